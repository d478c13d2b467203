//! `kbootstrap up`: from bare machines to a proven cluster; run again, it repairs and changes only what differs.

use std::{collections::BTreeMap, io::IsTerminal, sync::Arc};

use clap::Args;
use tokio::{signal, sync::mpsc};

use super::{
    Failure, Format, Machines, Output, confirm, locks, open, runs,
    survey::{Desired, Survey},
};
use crate::{
    action::{Actions, Setup},
    error::{Error, ExitStatus},
    exec::{Holder, Link, wait_for_batches},
    kube::Route,
    model::{
        event::{Event, Outcome, Stamped},
        live::Cluster,
        name::NodeName,
        observe::Observation,
        plan::{Owner, Plan},
    },
    plan,
    run::{Events, Report, Run, Stop, journal::Journal},
    ui::{self, Paint, Row, Screen, Style},
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
        let locks = locks::take(&desired, &survey, &holder).await?;
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
fn notices(plan: &Plan, output: &Output) {
    for notice in &plan.notices {
        let whose = notice.node.as_ref().map(|node| format!("{node}: ")).unwrap_or_default();
        output.say(&format!("note: {whose}{}", notice.text));
        if let Some(hint) = &notice.hint {
            output.say(&format!("      {hint}"));
        }
    }
}

/// Before the first effect on a node, work of another run that is found there comes to its end.
async fn wait_for_found(survey: &Survey, output: &Output) -> Result<(), Error> {
    for (name, observation) in &survey.observations {
        let (Observation::Seen(seen), Some(connection)) = (observation, survey.connections.get(name)) else { continue };
        for unit in &seen.facts.runs.active_batches {
            output.say(&format!("{name}  waits for {unit}, which a run that ended left at work"));
        }
        if !seen.facts.runs.active_batches.is_empty() {
            wait_for_batches(connection.as_ref())
                .await
                .map_err(|error| Error::new("wait for work that was found").node(name).cause(error))?;
        }
    }
    Ok(())
}

type Connections = BTreeMap<NodeName, Arc<dyn crate::transport::Effect>>;

/// Runs the plan with a journal and a screen; gives the connections back for the last look.
async fn execute(
    desired: &Desired,
    survey: Survey,
    holder: &Holder,
    output: &Output,
) -> Result<(Report, Connections), Failure> {
    let (queue, received) = mpsc::unbounded_channel();
    let events = Events::new(queue);
    events.send(Event::RunStarted {
        run: holder.run.clone(),
        command: holder.command.clone(),
        cluster: desired.spec.name.to_string(),
        plan: survey.plan.digest(),
        operator: holder.operator.clone(),
        unix: time::OffsetDateTime::now_utc().unix_timestamp().unsigned_abs(),
    });
    let style = match output.format() {
        Format::Json => Style::Json,
        Format::Human if output.is_quiet() => Style::Quiet,
        Format::Human if std::io::stderr().is_terminal() => Style::Bars,
        Format::Human => Style::Lines,
    };
    let screen = Screen::new(style, &survey.plan);
    let journal = journal(holder)?;
    let showing = tokio::spawn(show(received, screen, journal));
    let stop = Stop::default();
    let interrupts = tokio::spawn(interrupts(stop.clone(), output.clone()));
    let links = desired
        .targets
        .iter()
        .map(|(name, target)| {
            let connection = survey.connections.get(name).cloned();
            (name.clone(), Arc::new(Link::new(Arc::clone(&desired.connector), target.clone(), connection)))
        })
        .collect();
    let actions = Actions::new(Arc::clone(&desired.connector), setup(desired, &survey))
        .map_err(|error| Error::new("use a control plane's admin.conf").cause(error))?;
    let run = Run { id: holder.run.clone(), plan: survey.plan, links, actions: Arc::new(actions), events, stop };
    let report = run.execute().await;
    interrupts.abort();
    // The queue closes with the run, then everything is shown and written.
    drop(run);
    let _ = showing.await;
    Ok((report, survey.connections))
}

/// What the verbs of the run begin from.
fn setup(desired: &Desired, survey: &Survey) -> Setup {
    let plan::Bearings { leader, identity } = plan::bearings(&desired.spec, &survey.cluster, &survey.observations);
    let lives = matches!(survey.cluster, Cluster::Live(_));
    let joined = |name: &NodeName| match &survey.observations[name] {
        Observation::Seen(seen) => seen.facts.kubernetes.configs.iter().any(|config| config == "admin.conf"),
        Observation::Unknown { .. } => false,
    };
    let route = |node: NodeName| Route { target: desired.targets[&node].clone(), node };
    let others = desired.spec.control_planes().map(|node| &node.name).filter(|name| lives && joined(name));
    let others: Vec<NodeName> = others.filter(|name| **name != leader).cloned().collect();
    Setup {
        cluster: desired.spec.name.clone(),
        forming: (!lives).then(|| leader.clone()),
        routes: std::iter::once(leader).chain(others).map(route).collect(),
        admin_conf: survey.admin_conf.clone().filter(|_| lives),
        identity,
    }
}

fn journal(holder: &Holder) -> Result<Option<Journal>, Failure> {
    let Some(folder) = runs::folder() else { return Ok(None) };
    let journal = Journal::create(&folder, &holder.run).map_err(|why| {
        Error::new(format!("begin the run's journal in {}", folder.display()))
            .cause(why)
            .hint("give another folder by XDG_STATE_HOME")
    })?;
    Ok(Some(journal))
}

/// Shows and writes events until the run is over.
async fn show(mut received: mpsc::UnboundedReceiver<Stamped>, screen: Screen, mut journal: Option<Journal>) {
    while let Some(event) = received.recv().await {
        if let Some(open) = &mut journal
            && let Err(why) = open.write(&event)
        {
            // A full disk here must not end the work there.
            tracing::warn!("the journal {} is cut short: {why}", open.path().display());
            journal = None;
        }
        screen.show(&event);
    }
    screen.end();
}

/// The first Ctrl-C lets every op end; the second ends the program, and the work goes on on the nodes.
async fn interrupts(stop: Stop, output: Output) {
    let _ = signal::ctrl_c().await;
    output.say("stopping: every node ends its present op; once more to leave at once");
    stop.request();
    let _ = signal::ctrl_c().await;
    output.say("left; what is at work on nodes ends there, and `kbootstrap up` goes on from it");
    std::process::exit(ExitStatus::Interrupted.code().into());
}

/// The summary, and one more look: a step still unsatisfied is a failure, named.
async fn conclude(
    desired: &Desired,
    report: &Report,
    connections: Connections,
    output: &Output,
) -> Result<ExitStatus, Failure> {
    if output.format() == Format::Human {
        let rows: Vec<Row> = report
            .chains
            .iter()
            .map(|chain| Row {
                owner: &chain.owner,
                outcome: &chain.outcome,
                changed: chain.changed,
                seconds: chain.seconds,
                failure: chain.failure.as_ref(),
            })
            .collect();
        output.say(ui::summary(&rows, report.seconds, Paint { colour: output.colour_talk() }).trim_end());
    }
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

fn unsatisfied(plan: &Plan) -> Vec<String> {
    plan.items()
        .filter(|(_, item)| item.verdict.is_change())
        .map(|(owner, item)| format!("{owner} {}", item.step))
        .collect()
}

/// Some nodes failed and the rest is done: 4. The cluster itself, or nothing but failures: 1.
fn failed_status(report: &Report) -> ExitStatus {
    let well = |outcome: &Outcome| matches!(outcome, Outcome::Satisfied | Outcome::Changed);
    let cluster = report.chains.iter().find(|chain| chain.owner == Owner::Cluster);
    let cluster_blocked = cluster.is_some_and(|chain| matches!(chain.outcome, Outcome::BlockedBy { .. }));
    let any_node = report.chains.iter().any(|chain| chain.owner != Owner::Cluster && well(&chain.outcome));
    if any_node && !cluster_blocked { ExitStatus::Partial } else { ExitStatus::Failed }
}
