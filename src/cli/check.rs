//! `kbootstrap check`: what an inventory says, offline.

mod summary;

use std::path::PathBuf;

use super::{Failure, Format, Inventory, Output};
use crate::error::ExitStatus;
use crate::inventory;
use crate::model::cluster::ClusterSpec;
use crate::ui::json::check::Document;

/// Reads an inventory and says what was understood: cluster, versions, endpoint, networks and nodes. Nothing is
/// connected to. Every problem is told at once, each with its place and the way out.
#[derive(Debug, clap::Args)]
pub struct Check {
    #[command(flatten)]
    inventory: Inventory,
}

impl Check {
    /// Prints the summary, or the problems.
    ///
    /// # Errors
    /// Where the inventory can't be read or has problems: exit status 2. With `--output json` the problems are printed
    /// as a document on standard output instead, with the same status.
    pub fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        match (self.inventory.load(), output.format()) {
            (Ok(spec), Format::Human) => output.result(&summary::of(&spec, output.colour()))?,
            (Ok(spec), Format::Json) => output.document(&Document::sound(&spec))?,
            (Err(Failure::Problems(problems)), Format::Json) => {
                output.document(&Document::unsound(&problems))?;
                return Ok(ExitStatus::Usage);
            }
            (Err(failure), _) => return Err(failure),
        }
        Ok(ExitStatus::Done)
    }
}

impl Inventory {
    /// Reads the inventory that the argument names.
    ///
    /// # Errors
    /// Where it can't be read or has problems.
    pub fn load(&self) -> Result<ClusterSpec, Failure> {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        Ok(inventory::load(&self.path, home.as_deref())?)
    }
}
