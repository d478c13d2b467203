//! `kbootstrap node`: nodes come and go.

mod add;
mod remove;
mod replace;

use clap::{Args, Subcommand};

use super::{Failure, Output};
use crate::error::ExitStatus;

/// Add, remove and replace nodes of a cluster that lives
#[derive(Debug, Args)]
pub struct Node {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(add::Add),
    Remove(remove::Remove),
    Replace(replace::Replace),
}

impl Node {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        match &self.command {
            Command::Add(add) => add.run(output).await,
            Command::Remove(remove) => remove.run(output).await,
            Command::Replace(replace) => replace.run(output).await,
        }
    }
}
