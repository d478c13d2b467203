//! One change of the fleet from its look to its last look, whatever command it is of: planned, locked, planned again from
//! what is there then, shown, confirmed, run, and looked at once more.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    Failure, Format, Machines, Output, confirm,
    ending::{
        as_expected, failed_status, finished, has_refusals, left_behind, not_reached, nothing_to_change, notices,
        unsatisfied,
    },
    etcd::convert,
    execute::{Connections, execute, summarise, wait_for_found},
    locks::{self, Quorum, Taking},
    runs,
    survey::{Desired, Survey},
};
use crate::{
    error::{Error, ExitStatus},
    exec::Locks,
    model::{event::Outcome, live::Cluster, node::NodeSpec, observe::Observation, plan::Owner, timeout::Timeout},
    run::ChainReport,
    ui::{self, Paint},
};

/// How long a cluster that does not answer is looked at again, where its control planes do.
const STARTING: Duration = Duration::from_secs(60);

/// The options of a command that changes machines, and shows its plan alone where that is asked for.
#[derive(Debug, Clone, Args)]
pub struct Changing {
    /// Show the plan, and change nothing
    #[arg(long)]
    pub plan: bool,

    #[command(flatten)]
    pub consent: Consent,
}

impl Changing {
    /// How most commands go about it: with a majority of the voters locked, on a cluster that lives, whatever the plan's digest.
    pub fn change<'a>(
        &self,
        command: &'static str,
        machines: &'a Machines,
        desired: &'a Desired,
        output: &'a Output,
    ) -> Change<'a> {
        Change {
            desired,
            machines,
            command,
            quorum: Quorum::Majority,
            needs_cluster: true,
            plan_only: self.plan,
            expect: None,
            consent: self.consent.clone(),
            output,
        }
    }
}

/// What is agreed to beforehand.
#[derive(Debug, Clone, Args)]
pub struct Consent {
    /// Do not ask before what disrupts
    #[arg(long, short)]
    pub yes: bool,

    /// Wait for a run that is at work on the same machines, for a day or for as long as is said (10m)
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "24h")]
    pub wait: Option<Timeout>,
}

/// How a change is gone about.
pub struct Change<'a> {
    pub desired: &'a Desired,
    pub machines: &'a Machines,
    /// As it was typed, for locks and journal: `node add`.
    pub command: &'static str,
    pub quorum: Quorum,
    /// Whether nothing is done where it is unknown whether the cluster lives.
    pub needs_cluster: bool,
    /// Show the plan, and change nothing.
    pub plan_only: bool,
    /// The digest that the plan must have; any where absent.
    pub expect: Option<&'a str>,
    pub consent: Consent,
    pub output: &'a Output,
}

impl Change<'_> {
    /// As it is typed to see the plan alone.
    fn shows(&self) -> String {
        match self.command {
            "up" => "plan".to_owned(),
            command => format!("{command} --plan"),
        }
    }

    /// Goes through all of it. `look` looks at what is there and plans; `before` is done once the plan stands and before
    /// anything is changed, `after` when the machines are as they shall be.
    ///
    /// # Errors
    /// What stands in the way, or what failed.
    pub async fn run(
        &self,
        look: impl AsyncFn(Connections, bool) -> Result<Survey, Failure>,
        before: impl AsyncFnOnce(&Survey) -> Result<(), Failure>,
        after: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<ExitStatus, Failure> {
        let mut survey = self.settled(&look).await?;
        if survey.plan.settling {
            survey = self.come_up(survey, &look).await?;
        }
        if self.plan_only {
            return self.show(&survey);
        }
        let holder = runs::holder(self.command, self.machines);
        let patience = self.consent.wait.map(Timeout::duration);
        let taking = Taking::new(self.desired, &holder, patience, self.quorum, self.output);
        match locks::holder_seen(&survey) {
            // What another run does right now looks unfinished, and is not judged.
            Some((node, by)) if patience.is_none() => return Err(locks::held(node, &by).into()),
            Some(_) => {}
            // Nor is what a run that died left at work: that is waited for first.
            None if is_at_work(&survey) => {}
            None => {
                self.can_begin(&survey)?;
                if !survey.plan.has_changes() {
                    return self.nothing_to_do(&survey, before, after).await;
                }
            }
        }
        // Locked first, then looked at again: what another run did meanwhile must be seen, and locked where it adds to it.
        let mut locks = Locks::default();
        while taking.take(&survey, &mut locks).await? {
            let was_at_work = is_at_work(&survey);
            wait_for_found(&survey, self.output).await?;
            survey = look(survey.connections, true).await?;
            if was_at_work || survey.plan.settling {
                survey = self.come_up(survey, &look).await?;
            }
            self.can_begin(&survey)?;
            if !survey.plan.has_changes() {
                return self.nothing_to_do(&survey, before, after).await;
            }
        }
        self.tree(&survey, ui::Detail::Changes);
        confirm::disruptions(&survey.plan, self.consent.yes)?;
        before(&survey).await?;
        let unknown = !survey.plan.unknown().is_empty();
        let plan = survey.plan.clone();
        let locks = Arc::new(locks);
        let (report, connections) = execute(self.desired, survey, &holder, Arc::clone(&locks), self.output).await?;
        summarise(&report, self.output);
        for line in left_behind(&plan, &report) {
            self.output.say(&line);
        }
        finished(&report, self.command)?;
        if report.failed() {
            // What was to be done on machines is done, even where the cluster as a whole is not proven well.
            let well = |chain: &ChainReport| matches!(chain.outcome, Outcome::Satisfied | Outcome::Changed);
            if report.chains.iter().all(|chain| chain.owner == Owner::Cluster || well(chain)) {
                after()?;
            }
            return Ok(failed_status(&report));
        }
        let survey = look(connections, false).await?;
        let left = unsatisfied(&survey.plan);
        if !left.is_empty() {
            self.tree(&survey, ui::Detail::Changes);
            return Err(not_reached(&left).hint(format!("`kbootstrap {}` shows how they differ", self.shows())).into());
        }
        after()?;
        drop(locks);
        Ok(if unknown { ExitStatus::Partial } else { ExitStatus::Done })
    }

    /// Looks at everything; where every control plane answered and the cluster did not, again for a minute: after a
    /// reboot, or an init that died, its programs are most likely starting.
    async fn settled(
        &self,
        look: &impl AsyncFn(Connections, bool) -> Result<Survey, Failure>,
    ) -> Result<Survey, Failure> {
        let end = Instant::now() + STARTING;
        let mut survey = look(BTreeMap::new(), !self.plan_only).await?;
        let mut said = false;
        while let (Cluster::Unknown { reason }, true) = (&survey.cluster, self.needs_cluster) {
            let seen = |node: &NodeSpec| matches!(survey.observations.get(&node.name), Some(Observation::Seen(_)));
            // What another run does right now looks so, too.
            let at_work = locks::holder_seen(&survey).is_some() || is_at_work(&survey);
            if at_work || Instant::now() >= end || !self.desired.spec.control_planes().all(seen) {
                break;
            }
            if !said {
                self.output.say(&format!(
                    "the cluster does not answer, and may be starting; looking again for a minute: {reason}"
                ));
                said = true;
            }
            tokio::time::sleep(Duration::from_secs(3)).await;
            survey = look(survey.connections, true).await?;
        }
        Ok(survey)
    }

    /// What a run that died left at work has ended a moment ago, and may have restarted a member of etcd or an API server last:
    /// what stands in the way then is looked at again for a minute.
    async fn come_up(
        &self,
        mut survey: Survey,
        look: &impl AsyncFn(Connections, bool) -> Result<Survey, Failure>,
    ) -> Result<Survey, Failure> {
        let end = Instant::now() + STARTING;
        let mut said = false;
        loop {
            let reason = survey.plan.refusals().next().map(|(_, _, refusal)| refusal.reason.clone());
            let Some(reason) = reason.filter(|_| Instant::now() < end) else { return Ok(survey) };
            if !said {
                self.output.say(&format!("something may still be coming up; looking again for a minute: {reason}"));
                said = true;
            }
            tokio::time::sleep(Duration::from_secs(3)).await;
            survey = look(survey.connections, true).await?;
        }
    }

    /// The plan as data, and whether it could be run.
    fn show(&self, survey: &Survey) -> Result<ExitStatus, Failure> {
        let plan = &survey.plan;
        match self.output.format() {
            Format::Human => {
                self.output.result(&ui::plan_tree(plan, Paint { colour: self.output.colour() }, ui::Detail::All))?;
            }
            Format::Json => self.output.document(&ui::json::plan(plan))?,
        }
        Ok(match (plan.refusals().next(), plan.unknown().is_empty()) {
            (Some(_), _) => ExitStatus::Failed,
            (None, false) => ExitStatus::Partial,
            (None, true) => ExitStatus::Done,
        })
    }

    fn can_begin(&self, survey: &Survey) -> Result<(), Failure> {
        // Members of both kinds are what no other command plans with; what ends a cluster ends both.
        if self.quorum == Quorum::Majority && self.command != convert::COMMAND {
            convert::refuse_in_between(&survey.spec, &survey.observations)?;
        }
        if let Cluster::Unknown { reason } = &survey.cluster
            && self.needs_cluster
            // What a plan refuses for another reason is told by itself.
            && survey.plan.refusals().all(|(_, _, refusal)| refusal.reason.contains(reason.as_str()))
        {
            notices(&survey.plan, self.output);
            return Err(Error::new("begin")
                .cause(format!(
                    "whether the cluster lives is unknown, and nothing is done to what is merely unknown: {reason}"
                ))
                .hint(
                    "bring the control planes back, then run the same command again; in the place of one that is gone for \
                     good before there was a cluster, put a bare machine",
                )
                .into());
        }
        if survey.plan.refusals().next().is_some() {
            self.tree(survey, ui::Detail::Changes);
            return Err(has_refusals(&survey.plan, self.output.format() == Format::Json).into());
        }
        as_expected(&survey.plan, self.expect, &self.shows())?;
        Ok(())
    }

    async fn nothing_to_do(
        &self,
        survey: &Survey,
        before: impl AsyncFnOnce(&Survey) -> Result<(), Failure>,
        after: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<ExitStatus, Failure> {
        notices(&survey.plan, self.output);
        before(survey).await?;
        after()?;
        let silent = survey.plan.unknown().len();
        self.output.say(&nothing_to_change(survey.observations.len(), silent));
        Ok(if silent == 0 { ExitStatus::Done } else { ExitStatus::Partial })
    }

    /// The plan, as talk to a person.
    fn tree(&self, survey: &Survey, detail: ui::Detail) {
        if self.output.format() == Format::Human {
            self.output.say(&ui::plan_tree(&survey.plan, Paint { colour: self.output.colour_talk() }, detail));
        }
    }
}

/// Whether a batch of a run that has ended is still at work on any node.
fn is_at_work(survey: &Survey) -> bool {
    let busy = |observation: &Observation| matches!(observation, Observation::Seen(seen) if !seen.facts.runs.active_batches.is_empty());
    survey.observations.values().any(busy)
}
