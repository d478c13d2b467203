//! `kbootstrap runs`: what was run from this machine.

use std::path::PathBuf;

use clap::Args;
use time::{OffsetDateTime, macros::format_description};

use super::{Failure, Format, Output, runs};
use crate::{
    error::{Error, ExitStatus},
    run::{account::Account, history},
    ui::{self, Paint},
};

/// List the runs whose journals are kept on this machine, newest first
#[derive(Debug, Args)]
pub struct Runs {
    /// How many
    #[arg(long, short, default_value_t = 20, value_name = "NUMBER")]
    number: usize,
}

impl Runs {
    pub fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let folder = folder()?;
        let failed = |why: std::io::Error| Error::new(format!("read the journals in {}", folder.display())).cause(why);
        let mut accounts = Vec::new();
        for run in history::runs(&folder).map_err(failed)?.into_iter().take(self.number) {
            accounts.push(account(&folder, run).map_err(failed)?);
        }
        match output.format() {
            Format::Json => output.document(&ui::json::runs(&accounts))?,
            Format::Human if accounts.is_empty() => {
                output.say(&format!("No run was made yet; journals are kept in {}.", folder.display()));
            }
            Format::Human => {
                let paint = Paint { colour: output.colour() };
                let lines: String =
                    accounts.iter().map(|account| ui::run_line(account, &started(account), paint) + "\n").collect();
                output.result(&lines)?;
            }
        }
        Ok(ExitStatus::Done)
    }
}

/// Where journals are kept.
///
/// # Errors
/// This user has no home.
pub fn folder() -> Result<PathBuf, Error> {
    runs::folder()
        .ok_or_else(|| Error::new("find the journals").cause("neither XDG_STATE_HOME nor a home folder is known"))
}

/// A run's events, added up. Its name is that of its file, whatever stands in it.
pub fn account(folder: &std::path::Path, run: String) -> std::io::Result<Account> {
    let mut account = Account::of(&history::read(folder, &run)?);
    account.run = run;
    Ok(account)
}

/// A run's begin as a person reads it, in UTC.
fn started(account: &Account) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    i64::try_from(account.unix)
        .ok()
        .and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok())
        .and_then(|moment| moment.format(format).ok())
        .unwrap_or_else(|| "at an unknown time".to_owned())
}
