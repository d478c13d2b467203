//! `kbootstrap etcd members`: who votes, who leads, who answers.

use clap::Args;

use super::{
    super::{Failure, Format, Machines, Output, control_planes::ControlPlanes},
    rows,
};
use crate::{
    error::{Error, ExitStatus},
    ui::{self, Paint},
};

/// Show every member of etcd: its vote, the leader, sizes, alarms; ends with 1 unless all of them are well
///
/// Each member is asked itself, by ssh, so that this works where the API does not.
#[derive(Debug, Args)]
pub struct Members {
    #[command(flatten)]
    machines: Machines,
}

impl Members {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let seen = ControlPlanes::look(&self.machines).await?;
        let Some(rows) = rows(&seen) else {
            return Err(Error::new("ask etcd for its members")
                .cause("no control plane's member answers")
                .hint("kbootstrap status tells what is known; on a node: sudo crictl ps -a --name etcd")
                .into());
        };
        match output.format() {
            Format::Human => output.result(&ui::etcd_members(&rows, Paint { colour: output.colour() }))?,
            Format::Json => output.document(&ui::json::etcd_members(&rows))?,
        }
        let well = rows.iter().all(|row| row.has_leader && !row.learner && row.alarms.is_empty());
        Ok(if well { ExitStatus::Done } else { ExitStatus::Failed })
    }
}
