//! `kbootstrap secrets`: the keys that Secrets are encrypted with.

mod rotate_key;

use clap::{Args, Subcommand};

use super::{Failure, Output};
use crate::error::ExitStatus;

/// The keys that Secrets are encrypted with in etcd
#[derive(Debug, Args)]
pub struct Secrets {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    RotateKey(rotate_key::RotateKey),
}

impl Secrets {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        match &self.command {
            Command::RotateKey(rotate) => rotate.run(output).await,
        }
    }
}
