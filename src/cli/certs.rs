//! `kbootstrap certs`: the certificates of a cluster.

mod renew;
mod rotate_ca;
mod status;

use clap::{Args, Subcommand};

use super::{Failure, Output};
use crate::error::ExitStatus;

/// The certificates of a cluster
#[derive(Debug, Args)]
pub struct Certs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Status),
    Renew(renew::Renew),
    RotateCa(rotate_ca::RotateCa),
}

impl Certs {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        match &self.command {
            Command::Status(status) => status.run(output).await,
            Command::Renew(renew) => renew.run(output).await,
            Command::RotateCa(rotate) => rotate.run(output).await,
        }
    }
}
