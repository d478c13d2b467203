//! `kbootstrap up`: from bare machines to a proven cluster; run again, it repairs and changes only what differs.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    Failure, Format, Machines, Output, confirm,
    ending::{as_expected, failed_status, finished, has_refusals, not_reached, notices, unsatisfied},
    execute::{Connections, execute, summarise, wait_for_found},
    locks::{self, Locks, Taking},
    open, runs,
    survey::{Desired, Survey},
};
use crate::{
    error::{Error, ExitStatus},
    model::{live::Cluster, node::NodeSpec, observe::Observation, timeout::Timeout},
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

    /// Wait for a run that is at work on the same machines, for a day or for as long as is said (10m)
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "24h")]
    wait: Option<Timeout>,
}

impl Up {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let desired = open::desired(&self.machines)?;
        let mut survey = settled(&desired, output).await;
        let holder = runs::holder("up", &self.machines);
        let taking = Taking::new(&desired, &holder, self.wait.map(Timeout::duration), output);
        match locks::holder_seen(&survey) {
            // What another run does right now looks unfinished, and is not judged.
            Some((node, by)) if self.wait.is_none() => return Err(locks::held(node, &by).into()),
            Some(_) => {}
            None => {
                if let Some(end) = self.look(&survey, output)? {
                    return Ok(end);
                }
            }
        }
        // Locked first, then looked at again: what another run did meanwhile must be seen, and locked where it adds to it.
        let mut locks = Locks::new();
        while taking.take(&survey, &mut locks).await? {
            wait_for_found(&survey, output).await?;
            survey = desired.survey(survey.connections, true).await;
            if let Some(end) = self.look(&survey, output)? {
                return Ok(end);
            }
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
            return Err(has_refusals().into());
        }
        as_expected(plan, self.expect.as_deref(), "plan")?;
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

/// How long a cluster that does not answer is looked at again, where its control planes do.
const STARTING: Duration = Duration::from_secs(60);

/// Looks at everything; where every control plane answered and the cluster did not, again for a minute: after a reboot, or
/// an init that died, its programs are most likely starting.
async fn settled(desired: &Desired, output: &Output) -> Survey {
    let end = Instant::now() + STARTING;
    let mut survey = desired.survey(BTreeMap::new(), true).await;
    let mut said = false;
    while let Cluster::Unknown { reason } = &survey.cluster {
        let answered = |node: &NodeSpec| matches!(survey.observations[&node.name], Observation::Seen(_));
        // What another run does right now looks so, too.
        let at_work = locks::holder_seen(&survey).is_some();
        if at_work || Instant::now() >= end || !desired.spec.control_planes().all(answered) {
            break;
        }
        if !said {
            output.say(&format!(
                "the cluster does not answer, and may be starting; looking again for a minute: {reason}"
            ));
            said = true;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        survey = desired.survey(survey.connections, true).await;
    }
    survey
}

/// The summary, and one more look: a step still unsatisfied is a failure, named.
async fn conclude(
    desired: &Desired,
    report: &Report,
    connections: Connections,
    output: &Output,
) -> Result<ExitStatus, Failure> {
    summarise(report, output);
    finished(report, "up")?;
    if report.failed() {
        return Ok(failed_status(report));
    }
    let survey = desired.survey(connections, false).await;
    let left: Vec<String> = unsatisfied(&survey.plan);
    if left.is_empty() {
        return Ok(ExitStatus::Done);
    }
    output.say(&ui::plan_tree(&survey.plan, Paint { colour: output.colour_talk() }, ui::Detail::Changes));
    Err(not_reached(&left).hint("`kbootstrap plan` shows how they differ").into())
}
