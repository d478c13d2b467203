//! `kbootstrap etcd`: care of etcd's data.

mod defrag;

use clap::{Args, Subcommand};

use super::{Failure, Output};
use crate::error::ExitStatus;

/// Care of etcd's data
#[derive(Debug, Args)]
pub struct Etcd {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Defrag(defrag::Defrag),
}

impl Etcd {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        match &self.command {
            Command::Defrag(defrag) => defrag.run(output).await,
        }
    }
}
