//! `kbootstrap certs renew`: new certificates, before they end or after.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use clap::Args;
use time::OffsetDateTime;

use super::{
    super::{
        Failure, Machines, Output,
        change::{Change, Changing},
        execute::Connections,
        open,
        survey::{Desired, Survey},
    },
    status::{ASKED, files, script},
};
use crate::{
    error::ExitStatus,
    model::{
        name::NodeName,
        node::NodeSpec,
        observe::Observation,
        step::{Only, Script, Step, StepId, StepKind},
        timeout::Timeout,
    },
    plan::renew,
};

/// Sign every certificate of the control planes anew, and restart what uses them
///
/// While the cluster lives it is one control plane after the other, and nobody notices. Where certificates have expired and
/// nothing answers any more it goes by ssh alone, all at once; kubelets whose certificates have ended get new ones. Servers
/// get the names and addresses that the inventory gives now. Authorities stay. What was there is kept aside.
#[derive(Debug, Args)]
pub struct Renew {
    #[command(flatten)]
    machines: Machines,

    #[command(flatten)]
    changing: Changing,
}

impl Renew {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let mut desired = open::desired(&self.machines)?;
        desired.rolls = false;
        let script = Script { check: script(), run: String::new(), timeout: Timeout::secs(30) };
        let (id, title) = (StepId::new(ASKED), "the certificates on it".to_owned());
        let asks = Step { id, title, only: Only::default(), kind: StepKind::Script(script) };
        desired.steps.values_mut().for_each(|steps| *steps = vec![asks.clone()]);
        desired.cluster_steps.clear();

        let renewed = Cell::new(false);
        let others = RefCell::new(BTreeSet::new());
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let mut survey = desired.survey(open, keep).await;
            let kubelets = unknown_kubelets(&desired, &survey);
            survey.plan = renew::control_planes(
                &desired.input(&survey),
                renew::Found { kubelets: &kubelets, renewed: renewed.get() },
            );
            *others.borrow_mut() = kubelets;
            Ok(survey)
        };
        let before = async |_: &Survey| {
            renewed.set(true);
            Ok(())
        };
        let ended = self.change(&desired, output, false).run(look, before, || Ok(())).await?;
        if self.changing.plan
            || ended != ExitStatus::Done
            || !desired.spec.workers().any(|node| others.borrow().contains(&node.name))
        {
            return Ok(ended);
        }
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let mut survey = desired.survey(open, keep).await;
            let kubelets = unknown_kubelets(&desired, &survey);
            survey.plan = renew::workers(&desired.input(&survey), renew::Found { kubelets: &kubelets, renewed: true });
            Ok(survey)
        };
        self.change(&desired, output, true).run(look, async |_| Ok(()), || Ok(())).await
    }

    fn change<'a>(&'a self, desired: &'a Desired, output: &'a Output, needs_cluster: bool) -> Change<'a> {
        Change { needs_cluster, ..self.changing.change("certs renew", &self.machines, desired, output) }
    }
}

/// Nodes of the cluster whose kubelet has no certificate that is good now.
fn unknown_kubelets(desired: &Desired, survey: &Survey) -> BTreeSet<NodeName> {
    let now = OffsetDateTime::now_utc();
    let is_unknown = |node: &&NodeSpec| {
        let Some(Observation::Seen(seen)) = survey.observations.get(&node.name) else { return false };
        let said = seen.commands.get(ASKED).map(|answer| answer.stdout.as_slice()).unwrap_or_default();
        let good = files(node.name.as_str(), said, now)
            .iter()
            .any(|row| row.path.ends_with("kubelet-client-current.pem") && row.until.is_some_and(|until| until > now));
        !good && seen.facts.kubernetes.has_state()
    };
    desired.spec.nodes.iter().filter(is_unknown).map(|node| node.name.clone()).collect()
}
