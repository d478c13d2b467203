//! One change of the fleet from its look to its last look, whatever command it is of: planned, locked, planned again from
//! what is there then, shown, confirmed, run, and looked at once more.

use std::collections::BTreeMap;

use super::{
    Failure, Format, Machines, Output, confirm,
    ending::{as_expected, failed_status, finished, has_refusals, left_behind, not_reached, notices, unsatisfied},
    execute::{Connections, execute, summarise, wait_for_found},
    locks::{self, Quorum},
    runs,
    survey::{Desired, Survey},
};
use crate::{
    error::{Error, ExitStatus},
    model::{event::Outcome, live::Cluster, plan::Owner},
    run::ChainReport,
    ui::{self, Paint},
};

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
    /// Do not ask before what disrupts.
    pub yes: bool,
    pub output: &'a Output,
}

impl Change<'_> {
    /// Goes through all of it. `look` looks at what is there and plans; `before` is done once the plan stands and before
    /// anything is changed, `after` when the machines are
    /// as they shall be.
    ///
    /// # Errors
    /// What stands in the way, or what failed.
    pub async fn run(
        &self,
        look: impl AsyncFn(Connections, bool) -> Result<Survey, Failure>,
        before: impl FnOnce() -> Result<(), Failure>,
        after: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<ExitStatus, Failure> {
        let survey = look(BTreeMap::new(), !self.plan_only).await?;
        if self.plan_only {
            return self.show(&survey);
        }
        self.can_begin(&survey)?;
        if !survey.plan.has_changes() {
            return self.nothing_to_do(&survey, before, after);
        }
        let holder = runs::holder(self.command, self.machines);
        let locks = locks::take(self.desired, &survey, &holder, self.quorum).await?;
        wait_for_found(&survey, self.output).await?;
        let survey = look(survey.connections, true).await?;
        self.can_begin(&survey)?;
        if !survey.plan.has_changes() {
            return self.nothing_to_do(&survey, before, after);
        }
        self.tree(&survey, ui::Detail::Changes);
        confirm::disruptions(&survey.plan, self.yes)?;
        before()?;
        let unknown = !survey.plan.unknown().is_empty();
        let plan = survey.plan.clone();
        let (report, connections) = execute(self.desired, survey, &holder, self.output).await?;
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
            return Err(not_reached(&left).hint("the same command with --plan shows how they differ").into());
        }
        after()?;
        drop(locks);
        Ok(if unknown { ExitStatus::Partial } else { ExitStatus::Done })
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
        if let Cluster::Unknown { reason } = &survey.cluster
            && self.needs_cluster
            && survey.plan.refusals().next().is_none()
        {
            return Err(Error::new("begin")
                .cause(format!("whether the cluster lives is unknown: {reason}"))
                .hint("bring the control planes back first; nothing is done to what is merely unknown")
                .into());
        }
        if survey.plan.refusals().next().is_some() {
            self.tree(survey, ui::Detail::Changes);
            return Err(has_refusals().into());
        }
        as_expected(&survey.plan, self.expect, &format!("{} --plan", self.command))?;
        Ok(())
    }

    fn nothing_to_do(
        &self,
        survey: &Survey,
        before: impl FnOnce() -> Result<(), Failure>,
        after: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<ExitStatus, Failure> {
        notices(&survey.plan, self.output);
        before()?;
        after()?;
        self.output.say("Nothing to change on the machines.");
        Ok(if survey.plan.unknown().is_empty() { ExitStatus::Done } else { ExitStatus::Partial })
    }

    fn tree(&self, survey: &Survey, detail: ui::Detail) {
        if self.output.format() == Format::Human {
            self.output.say(&ui::plan_tree(&survey.plan, Paint { colour: self.output.colour_talk() }, detail));
        }
    }
}
