//! `kbootstrap playbook`: what `up` makes true, and whether a playbook of the user's own can be used.

mod words;

use std::path::PathBuf;

use super::{Failure, Format, Output};
use crate::{
    error::ExitStatus,
    playbook::{self, LoadError},
    ui::json::playbook::{Checked, Document},
};

/// Show what is made true on nodes, or check a playbook of your own
#[derive(Debug, clap::Args)]
pub struct Playbook {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Show(Show),
    Check(Check),
}

/// List stages and steps in their order, offline
#[derive(Debug, clap::Args)]
struct Show {
    /// Folder with playbooks of your own, laid over the ones that are built in
    #[arg(long, value_name = "FOLDER")]
    playbook: Option<PathBuf>,

    /// List the values that `{ from = NAME }` can name instead
    #[arg(long, conflicts_with_all = ["source", "playbook"])]
    values: bool,

    /// Print the text of the built-in playbook instead: what a playbook of your own can patch
    #[arg(long, conflicts_with = "playbook")]
    source: bool,
}

/// Read a folder of playbooks and say what it changes, offline
///
/// All problems are told at once, each with its place and the way out; then the exit status is 2.
#[derive(Debug, clap::Args)]
struct Check {
    /// Folder with playbooks of your own
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Playbook {
    /// Prints what was asked for.
    ///
    /// # Errors
    /// Where a playbook can't be read or has problems: exit status 2. With `--output json` the problems are printed as a
    /// document on standard output instead, with the same status.
    pub fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        match &self.command {
            Command::Show(show) => show.run(output),
            Command::Check(check) => check.run(output),
        }
    }
}

impl Show {
    fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        if self.source {
            for (_, text) in playbook::FILES {
                output.result(text)?;
            }
            return Ok(ExitStatus::Done);
        }
        let playbook = match &self.playbook {
            Some(folder) => playbook::load(folder)?,
            None => playbook::builtin(),
        };
        match output.format() {
            Format::Human if self.values => output.result(&words::values())?,
            Format::Human => output.result(&words::steps(&playbook, output.colour()))?,
            Format::Json => output.document(&Document::of(&playbook))?,
        }
        Ok(ExitStatus::Done)
    }
}

impl Check {
    fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        match (playbook::load(&self.folder), output.format()) {
            (Ok(playbook), Format::Human) => output.result(&words::changes(&playbook))?,
            (Ok(_), Format::Json) => output.document(&Checked::sound())?,
            (Err(LoadError::Problems(problems)), Format::Json) => {
                output.document(&Checked::unsound(&problems))?;
                return Ok(ExitStatus::Usage);
            }
            (Err(why), _) => return Err(why.into()),
        }
        Ok(ExitStatus::Done)
    }
}
