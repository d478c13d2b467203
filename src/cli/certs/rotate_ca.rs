//! `kbootstrap certs rotate-ca`: new authorities in the place of the old.

use std::{collections::BTreeMap, sync::Arc};

use clap::{Args, ValueEnum};

use super::super::{
    Failure, Machines, Output,
    change::Changing,
    execute::Connections,
    open,
    survey::{Desired, Survey},
};
use crate::{
    error::ExitStatus,
    kind::rotate as look,
    kube::{self, AdminConf, KubeError},
    model::{
        plan::Plan,
        rotation::Trusting,
        step::{Action, Content, LateFile, Only, Script, Step, StepId, StepKind},
        timeout::Timeout,
    },
    plan::rotate::{self, Pass},
};

/// Exchange the authorities of the cluster for new ones, in three steps, while it serves
///
/// `start` makes new authorities beside the old ones, and lets everybody trust both. `continue` lets the new ones sign, and
/// signs every certificate anew. `finish` takes the old ones away: kubeconfigs that were handed out before are refused then.
/// Each step waits until all nodes have the one before behind them, names what is missing, and is run again where it was
/// interrupted. The key pair of service accounts stays as it is.
#[derive(Debug, Args)]
pub struct RotateCa {
    #[command(flatten)]
    machines: Machines,

    /// Which step is to be done
    phase: Phase,

    /// Let Deployments, DaemonSets and StatefulSets make those pods anew that read whom to trust before the new authorities were
    #[arg(long)]
    restart: bool,

    /// Go on though there are such pods: those that talk to the API lose it
    #[arg(long)]
    ignore_old_pods: bool,

    #[command(flatten)]
    changing: Changing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    /// New authorities beside the old ones, trusted everywhere
    Start,
    /// The new ones sign; all certificates anew
    Continue,
    /// The old ones go
    Finish,
}

impl Phase {
    const fn is(self) -> (rotate::Phase, &'static str) {
        match self {
            Self::Start => (rotate::Phase::Start, "certs rotate-ca start"),
            Self::Continue => (rotate::Phase::Continue, "certs rotate-ca continue"),
            Self::Finish => (rotate::Phase::Finish, "certs rotate-ca finish"),
        }
    }

    /// What comes next, said where all of it is done.
    const fn next(self) -> &'static str {
        match self {
            Self::Start => {
                "Everybody trusts old and new authorities. Next: kbootstrap certs rotate-ca INVENTORY continue --restart"
            }
            Self::Continue => {
                "All certificates are of the new authorities. Next: kbootstrap certs rotate-ca INVENTORY finish"
            }
            Self::Finish => {
                "The old authorities are gone: write kubeconfigs anew (kbootstrap kubeconfig), and take a backup (kbootstrap backup)."
            }
        }
    }
}

impl RotateCa {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let mut desired = open::desired(&self.machines)?;
        desired.rolls = false;
        let check = Script { check: look::script(), run: String::new(), timeout: Timeout::secs(30) };
        let (id, title) = (StepId::new(look::ASKED), "the certificates on it".to_owned());
        let asks = Step { id, title, only: Only::default(), kind: StepKind::Script(check) };
        for steps in desired.steps.values_mut() {
            steps.retain(concerns);
            steps.push(asks.clone());
        }
        desired.cluster_steps.clear();
        let (phase, _) = self.phase.is();
        let (survey, trusting) = self.look(&desired, BTreeMap::new(), false).await;
        let mut first = self.first(&desired, &survey, &trusting, phase.passes());
        drop(survey);
        if self.changing.plan {
            return self.pass(&desired, first.unwrap_or(phase.passes()[0]), output).await;
        }
        while let Some(pass) = first {
            let ended = self.pass(&desired, pass, output).await?;
            if ended != ExitStatus::Done {
                return Ok(ended);
            }
            let done = phase.passes().iter().position(|other| *other == pass).expect("it is one of them");
            let (survey, trusting) = self.look(&desired, BTreeMap::new(), false).await;
            first = self.first(&desired, &survey, &trusting, &phase.passes()[done + 1..]);
        }
        output.say(self.phase.next());
        Ok(ExitStatus::Done)
    }

    /// The first part of the phase that has anything to do, or to say against it.
    fn first(
        &self,
        desired: &Desired,
        survey: &Survey,
        trusting: &Result<Trusting, String>,
        passes: &[Pass],
    ) -> Option<Pass> {
        let says = |pass: &Pass| {
            let plan = self.plan_of(desired, survey, trusting, *pass);
            plan.has_changes() || plan.refusals().next().is_some()
        };
        passes.iter().copied().find(says)
    }

    async fn pass(&self, desired: &Desired, pass: Pass, output: &Output) -> Result<ExitStatus, Failure> {
        let (_, command) = self.phase.is();
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let (mut survey, trusting) = self.look(desired, open, keep).await;
            survey.plan = self.plan_of(desired, &survey, &trusting, pass);
            Ok(survey)
        };
        let change = self.changing.change(command, &self.machines, desired, output);
        change.run(look, async |_| Ok(()), || Ok(())).await
    }

    async fn look(&self, desired: &Desired, open: Connections, keep: bool) -> (Survey, Result<Trusting, String>) {
        let survey = desired.survey(open, keep).await;
        let trusting = trusting(desired, &survey).await.map_err(|error| error.to_string());
        (survey, trusting)
    }

    fn plan_of(&self, desired: &Desired, survey: &Survey, trusting: &Result<Trusting, String>, pass: Pass) -> Plan {
        let input = rotate::Input {
            base: desired.input(survey),
            trusting: trusting.as_ref().map_err(String::as_str),
            restart: self.restart,
            ignore_pods: self.ignore_old_pods,
        };
        rotate::build(self.phase.is().0, pass, &input)
    }
}

/// Whether a step of the playbook has to do with whom a node trusts.
fn concerns(step: &Step) -> bool {
    match &step.kind {
        StepKind::Action(Action::StaticPods) => true,
        StepKind::File(file) => matches!(file.content, Content::Late(LateFile::ClusterCa | LateFile::Identity)),
        StepKind::Service(service) => {
            service.watches.iter().any(|watch| watch.wanted == Some(Content::Late(LateFile::ClusterCa)))
        }
        _ => false,
    }
}

async fn trusting(desired: &Desired, survey: &Survey) -> Result<Trusting, KubeError> {
    let Some(conf) = &survey.admin_conf else { return Err(KubeError::Unreachable { tried: Vec::new() }) };
    let client = kube::client(Arc::new(desired.link()), &AdminConf::parse(conf)?)?;
    kube::trusting(&client).await
}
