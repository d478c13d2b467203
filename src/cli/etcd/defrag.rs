//! `kbootstrap etcd defrag`: unused space of etcd back to the disks.

use clap::Args;

use super::super::{
    Failure, Machines, Output,
    change::{Change, Changing},
    execute::Connections,
    open,
    survey::Survey,
};
use crate::{error::ExitStatus, plan};

/// Give etcd's unused space back to the disks, one member at a time, the leader last
///
/// Members whose files hold little that is unused are left alone. Where etcd has raised the alarm for space, older
/// revisions are dropped before, and the alarm is ended after.
#[derive(Debug, Args)]
pub struct Defrag {
    #[command(flatten)]
    machines: Machines,

    #[command(flatten)]
    changing: Changing,
}

impl Defrag {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let mut desired = open::desired(&self.machines)?;
        desired.rolls = false;
        desired.scope = Some(desired.spec.control_planes().map(|node| node.name.clone()).collect());
        let change = Change {
            // Under the alarm for space the API may well be out of order: members are asked themselves.
            needs_cluster: false,
            ..self.changing.change("etcd defrag", &self.machines, &desired, output)
        };
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let mut survey = desired.survey(open, keep).await;
            survey.plan = plan::defrag::build(&desired.input(&survey));
            Ok(survey)
        };
        change.run(look, async |_| Ok(()), || Ok(())).await
    }
}
