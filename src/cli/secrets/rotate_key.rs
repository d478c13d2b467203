//! `kbootstrap secrets rotate-key`: another key for Secrets, in an order in which every API server can always read them.

use std::cell::Cell;

use clap::Args;

use super::super::{Failure, Machines, Output, change::Changing, execute::Connections, open, survey::Survey};
use crate::{error::ExitStatus, plan::encryption};

/// Encrypt every Secret with a new key, and take the old one away
///
/// The new key can read on every API server before it writes on any, a backup with it is kept on every control plane before
/// its first write, every Secret is written anew and seen to be encrypted with it in etcd, and only then the old key goes. Takes
/// three to five minutes, most of which API servers take to look at their files. Run again where it was interrupted.
#[derive(Debug, Args)]
pub struct RotateKey {
    #[command(flatten)]
    machines: Machines,

    #[command(flatten)]
    changing: Changing,
}

impl RotateKey {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let mut desired = open::desired(&self.machines)?;
        desired.rolls = false;
        let begun = Cell::new(false);
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let mut survey = desired.survey(open, keep).await;
            survey.plan = encryption::rotate(&desired.input(&survey), begun.get());
            Ok(survey)
        };
        let before = async |_: &Survey| {
            begun.set(true);
            Ok(())
        };
        let change = self.changing.change("secrets rotate-key", &self.machines, &desired, output);
        change.run(look, before, || Ok(())).await
    }
}
