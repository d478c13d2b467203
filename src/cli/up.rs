//! `kbootstrap up`: from bare machines to a proven cluster; run again, it repairs and changes only what differs.

use clap::Args;

use super::{
    Failure, Machines, Output,
    change::{Change, Consent},
    execute::Connections,
    locks::Quorum,
    open,
};
use crate::error::ExitStatus;

/// Make the machines of the inventory the cluster that it describes
#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    machines: Machines,

    /// Run only if the plan is the one with this digest, as `plan` printed it
    #[arg(long, value_name = "DIGEST")]
    expect: Option<String>,

    #[command(flatten)]
    consent: Consent,
}

impl Up {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let desired = open::desired(&self.machines)?;
        let change = Change {
            desired: &desired,
            machines: &self.machines,
            command: "up",
            quorum: Quorum::Majority,
            needs_cluster: true,
            plan_only: false,
            expect: self.expect.as_deref(),
            consent: self.consent.clone(),
            output,
        };
        let look = async |open: Connections, keep: bool| Ok(desired.survey(open, keep).await);
        change.run(look, async |_| Ok(()), || Ok(())).await
    }
}
