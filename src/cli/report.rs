//! `kbootstrap report`: what one run did, and where its time went.

use clap::Args;
use serde_json::Value;

use super::{
    Failure, Format, Output,
    history::{account, folder},
};
use crate::{
    error::{Error, ExitStatus},
    run::{history, journal},
    ui::{self, Paint},
};

/// Show what a run did: nodes and stages with their times, the critical path, diffs and errors
#[derive(Debug, Args)]
pub struct Report {
    /// The run, by its id or the beginning of it; the newest one where absent
    #[arg(value_name = "RUN")]
    run: Option<String>,
}

impl Report {
    pub fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let folder = folder()?;
        let failed = |why: std::io::Error| Error::new(format!("read the journals in {}", folder.display())).cause(why);
        let run = self.choose(history::runs(&folder).map_err(failed)?)?;
        let plan: Option<Value> =
            std::fs::read(journal::plan_path(&folder, &run)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let account = account(&folder, run).map_err(failed)?;
        match output.format() {
            Format::Json => output.document(&ui::json::report(&account, plan.as_ref()))?,
            Format::Human => {
                output.result(&ui::report(&account, plan.as_ref(), Paint { colour: output.colour() }))?;
            }
        }
        Ok(ExitStatus::Done)
    }

    fn choose(&self, runs: Vec<String>) -> Result<String, Error> {
        let hint = "`kbootstrap runs` lists them";
        let Some(wanted) = &self.run else {
            let none = || Error::new("show the newest run").cause("no run was made yet").exit(ExitStatus::Usage);
            return runs.into_iter().next().ok_or_else(none);
        };
        let mut fits: Vec<String> = runs.into_iter().filter(|run| run.starts_with(wanted.as_str())).collect();
        match (fits.pop(), fits.len()) {
            (Some(run), 0) => Ok(run),
            (None, _) => {
                let text = wanted.escape_debug();
                Err(Error::new(format!("show run {text}")).cause("there is none").hint(hint).exit(ExitStatus::Usage))
            }
            (Some(_), more) => Err(Error::new(format!("show run {wanted}"))
                .cause(format!("{} runs begin so", more + 1))
                .hint(hint)
                .exit(ExitStatus::Usage)),
        }
    }
}
