//! `kbootstrap etcd convert`: etcd as a service of its own, while the cluster lives.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use clap::Args;

use super::super::{
    Failure, Machines, Output,
    change::{Change, Changing},
    execute::Connections,
    open,
    survey::{Desired, Survey},
};
use crate::{
    error::{Error, ExitStatus},
    inventory::Draft,
    kind::etcd_takeover,
    model::{cluster::ClusterSpec, etcd::EtcdLayout, name::NodeName, observe::Observation},
    plan::convert,
};

/// As it is typed: the one command that goes on with what all others refuse.
pub const COMMAND: &str = "etcd convert";

/// Make etcd a service of its own where it is static pods of kubeadm, while the cluster serves
///
/// One member after the other, each with the data it has, so that etcd's membership stays as it is: kubeadm sees etcd as
/// external from then on, and a witness is possible. Interrupted, the same command goes on; until it has come to its end,
/// other commands refuse. The layout is written into the inventory. There is no way back.
#[derive(Debug, Args)]
pub struct Convert {
    #[command(flatten)]
    machines: Machines,

    #[command(flatten)]
    changing: Changing,
}

impl Convert {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let mut desired = open::desired(&self.machines)?;
        desired.rolls = false;
        // Opened before anything is done: a file that can't be written is told now.
        let draft = RefCell::new(self.draft(&desired)?);
        let rescuing = Cell::new(false);
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let mut survey = desired.survey(open, keep).await;
            let input = desired.input(&survey);
            rescuing.set(rescuing.get() || convert::is_stranded(&input));
            survey.plan = if rescuing.get() { convert::rescue(&input) } else { convert::build(&input) };
            Ok(survey)
        };
        let after = || if rescuing.get() { Ok(()) } else { self.write(&draft, output) };
        // Of a cluster that does not answer, members that are between are brought up first.
        let ended = self.change(&desired, output, false).run(look, async |_| Ok(()), after).await?;
        if self.changing.plan || !rescuing.get() || ended != ExitStatus::Done {
            return Ok(ended);
        }
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let mut survey = desired.survey(open, keep).await;
            survey.plan = convert::build(&desired.input(&survey));
            Ok(survey)
        };
        self.change(&desired, output, true).run(look, async |_| Ok(()), || self.write(&draft, output)).await
    }

    fn change<'a>(&'a self, desired: &'a Desired, output: &'a Output, needs_cluster: bool) -> Change<'a> {
        Change { needs_cluster, ..self.changing.change(COMMAND, &self.machines, desired, output) }
    }

    /// The inventory as it shall be; absent where it says so, or would form such a cluster by itself.
    fn draft(&self, desired: &Desired) -> Result<Option<Draft>, Failure> {
        if self.changing.plan || desired.spec.etcd == EtcdLayout::Service {
            return Ok(None);
        }
        let mut draft = Draft::open(&self.machines.inventory)?;
        draft.etcd_service()?;
        Ok(Some(draft))
    }

    /// What was reached is what is wanted from now on.
    fn write(&self, draft: &RefCell<Option<Draft>>, output: &Output) -> Result<(), Failure> {
        if let Some(draft) = &mut *draft.borrow_mut() {
            draft.save()?;
            output.say(&format!("{} says layout = \"service\" now.", self.machines.inventory.display()));
        }
        Ok(())
    }
}

/// What every other command says of a cluster that is between the two layouts.
///
/// # Errors
/// It is.
pub fn refuse_in_between(settled: &ClusterSpec, observations: &BTreeMap<NodeName, Observation>) -> Result<(), Error> {
    if !convert::is_under_way(settled, observations) {
        return Ok(());
    }
    let (reason, hint) = etcd_takeover::UNDER_WAY;
    Err(Error::new("begin").cause(reason).hint(hint))
}
