//! `kbootstrap check`: what an inventory says, offline.

mod summary;

use std::path::PathBuf;

use super::{Failure, Format, Output};
use crate::error::ExitStatus;
use crate::inventory::{self, Count, Refusal};
use crate::ui::json::check::Document;

/// Read an inventory and say what was understood, offline
///
/// Nothing is connected to. All problems are told at once, each with its place and the way out; then the exit status
/// is 2.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The inventory, a TOML file
    #[arg(value_name = "INVENTORY")]
    inventory: PathBuf,
}

impl Check {
    /// Prints the summary, or the problems.
    ///
    /// # Errors
    /// Where the inventory can't be read or has problems: exit status 2. With `--output json` the problems are printed
    /// as a document on standard output instead, with the same status.
    pub fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let home = std::env::home_dir();
        match (inventory::load(&self.inventory, home.as_deref(), Count::Odd), output.format()) {
            (Ok(spec), Format::Human) => output.result(&summary::of(&spec, output.colour()))?,
            (Ok(spec), Format::Json) => output.document(&Document::sound(&spec))?,
            (Err(Refusal::Invalid(problems)), Format::Json) => {
                output.document(&Document::unsound(&problems))?;
                return Ok(ExitStatus::Usage);
            }
            (Err(refusal), _) => return Err(refusal.into()),
        }
        Ok(ExitStatus::Done)
    }
}
