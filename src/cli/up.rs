//! `kbootstrap up`: from bare machines to a proven cluster; run again, it repairs and changes only what differs.

use std::collections::BTreeMap;

use clap::Args;

use super::{
    Failure, Format, Machines, Output, confirm,
    execute::{Connections, execute, summarise, wait_for_found},
    locks, open, runs,
    survey::{Desired, Survey},
};
use crate::{
    error::{Error, ExitStatus},
    model::{
        event::Outcome,
        live::Cluster,
        plan::{Owner, Plan},
    },
    run::Report,
    ui::{self, Paint},
};

/// Make the machines of the inventory the cluster that it describes
#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    machines: Machines,

    /// Run only if the plan is the one with this digest, as `plan` printed it
    #[arg(long, value_name = "DIGEST")]
    expect: Option<String>,

    /// Do not ask before what disrupts
    #[arg(long, short)]
    yes: bool,
}

impl Up {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let desired = open::desired(&self.machines)?;
        let survey = desired.survey(BTreeMap::new(), true).await;
        if let Some(end) = self.look(&survey, output)? {
            return Ok(end);
        }
        let holder = runs::holder("up", &self.machines);
        // Locked first, then looked at again: what another run did meanwhile must be seen.
        let locks = locks::take(&desired, &survey, &holder, locks::Quorum::Majority).await?;
        wait_for_found(&survey, output).await?;
        let survey = desired.survey(survey.connections, true).await;
        if let Some(end) = self.look(&survey, output)? {
            return Ok(end);
        }
        if output.format() == Format::Human {
            output.say(&ui::plan_tree(&survey.plan, Paint { colour: output.colour_talk() }, ui::Detail::Changes));
        }
        confirm::disruptions(&survey.plan, self.yes)?;
        let unknown = !survey.plan.unknown().is_empty();
        let (report, connections) = execute(&desired, survey, &holder, output).await?;
        let end = conclude(&desired, &report, connections, output).await;
        drop(locks);
        match end? {
            ExitStatus::Done if unknown => Ok(ExitStatus::Partial),
            status => Ok(status),
        }
    }

    /// Whether the plan can be run; gives the end where there is nothing to do.
    fn look(&self, survey: &Survey, output: &Output) -> Result<Option<ExitStatus>, Failure> {
        let plan = &survey.plan;
        if let Cluster::Unknown { .. } = survey.cluster {
            notices(plan, output);
            return Err(Error::new("begin")
                .cause("whether the cluster lives is unknown, and nothing is done to what is merely unknown")
                .hint("bring the control planes named above back, then run `kbootstrap up` again")
                .into());
        }
        if plan.refusals().next().is_some() {
            output.say(&ui::plan_tree(plan, Paint { colour: output.colour_talk() }, ui::Detail::Changes));
            return Err(Error::new("begin").cause("the plan has what is not ours to change").into());
        }
        if let Some(expected) = &self.expect
            && *expected != plan.digest()
        {
            return Err(Error::new("run the expected plan")
                .cause(format!("the plan now has digest {}", plan.digest()))
                .hint("something changed since it was reviewed: look at `kbootstrap plan` again")
                .into());
        }
        if plan.has_changes() {
            return Ok(None);
        }
        notices(plan, output);
        let nodes = survey.observations.len();
        match plan.unknown().len() {
            0 => {
                output.say(&format!("Nothing to change on {nodes} nodes; the cluster is as wanted."));
                Ok(Some(ExitStatus::Done))
            }
            silent => {
                output.say(&format!("Nothing to change on the nodes that answered; {silent} of {nodes} did not."));
                Ok(Some(ExitStatus::Partial))
            }
        }
    }
}

/// What a person should know: said though nothing is done about it.
pub(super) fn notices(plan: &Plan, output: &Output) {
    for notice in &plan.notices {
        let whose = notice.node.as_ref().map(|node| format!("{node}: ")).unwrap_or_default();
        output.say(&format!("note: {whose}{}", notice.text));
        if let Some(hint) = &notice.hint {
            output.say(&format!("      {hint}"));
        }
    }
}

/// The summary, and one more look: a step still unsatisfied is a failure, named.
pub(super) async fn conclude(
    desired: &Desired,
    report: &Report,
    connections: Connections,
    output: &Output,
) -> Result<ExitStatus, Failure> {
    summarise(report, output);
    if report.chains.iter().any(|chain| chain.outcome == Outcome::NotReached) {
        let hint = "`kbootstrap up` goes on from what is there";
        return Err(Error::new("finish").cause("stopped").hint(hint).exit(ExitStatus::Interrupted).into());
    }
    if report.failed() {
        return Ok(failed_status(report));
    }
    let survey = desired.survey(connections, false).await;
    let left: Vec<String> = unsatisfied(&survey.plan);
    if left.is_empty() {
        return Ok(ExitStatus::Done);
    }
    output.say(&ui::plan_tree(&survey.plan, Paint { colour: output.colour_talk() }, ui::Detail::Changes));
    Err(Error::new("reach the wanted state")
        .cause(format!("every op was done, and these are still not as wanted: {}", left.join(", ")))
        .hint("`kbootstrap plan` shows how they differ")
        .into())
}

pub(super) fn unsatisfied(plan: &Plan) -> Vec<String> {
    plan.items()
        .filter(|(_, item)| item.verdict.is_change())
        .map(|(owner, item)| format!("{owner} {}", item.step))
        .collect()
}

/// Some nodes failed and the rest is done: 4. The cluster itself, or nothing but failures: 1.
pub(super) fn failed_status(report: &Report) -> ExitStatus {
    let well = |outcome: &Outcome| matches!(outcome, Outcome::Satisfied | Outcome::Changed);
    let cluster = report.chains.iter().find(|chain| chain.owner == Owner::Cluster);
    let cluster_blocked = cluster.is_some_and(|chain| matches!(chain.outcome, Outcome::BlockedBy { .. }));
    let any_node = report.chains.iter().any(|chain| chain.owner != Owner::Cluster && well(&chain.outcome));
    if any_node && !cluster_blocked { ExitStatus::Partial } else { ExitStatus::Failed }
}
