//! Running a plan, whatever command made it: the journal, the screen, the stop by Ctrl-C, and the summary.

use std::{collections::BTreeMap, io::IsTerminal, sync::Arc};

use tokio::{signal, sync::mpsc};

use super::{
    Failure, Format, Output, runs,
    survey::{Desired, Survey},
};
use crate::{
    action::{Actions, Fleet, Setup},
    error::{Error, ExitStatus},
    exec::{Holder, Link, Locks, wait_for_batches},
    kube::Route,
    model::{
        event::{Event, Stamped},
        live::Cluster,
        name::NodeName,
        observe::Observation,
        plan::Plan,
    },
    plan,
    run::{Events, Report, Run, Stop, journal::Journal},
    ui::{self, Paint, Row, Screen, Style},
};

/// Before the first effect on a node, work of another run that is found there comes to its end.
pub async fn wait_for_found(survey: &Survey, output: &Output) -> Result<(), Error> {
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

/// Connections to nodes, to be used again after a run.
pub type Connections = BTreeMap<NodeName, Arc<dyn crate::transport::Effect>>;

/// Runs the plan with a journal and a screen; gives the connections back for the last look.
pub async fn execute(
    desired: &Desired,
    survey: Survey,
    holder: &Holder,
    locks: Arc<Locks>,
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
    let journal = journal(holder, &survey.plan)?;
    let showing = tokio::spawn(show(received, screen, journal));
    let stop = Stop::default();
    let interrupts = tokio::spawn(interrupts(stop.clone(), holder.command.clone(), output.clone()));
    let links: Fleet = desired
        .targets
        .iter()
        .map(|(name, target)| {
            let connection = survey.connections.get(name).cloned();
            (name.clone(), Arc::new(Link::new(Arc::clone(&desired.connector), target.clone(), connection)))
        })
        .collect();
    let actions = Actions::new(Arc::clone(&desired.connector), setup(desired, &survey, links.clone()))
        .map_err(|error| Error::new("use a control plane's admin.conf").cause(error))?;
    let run = Run { id: holder.run.clone(), plan: survey.plan, locks, links, actions: Arc::new(actions), events, stop };
    let report = run.execute().await;
    interrupts.abort();
    // The queue closes with the run, then everything is shown and written.
    drop(run);
    let _ = showing.await;
    Ok((report, survey.connections))
}

/// What the verbs of the run begin from.
fn setup(desired: &Desired, survey: &Survey, fleet: Fleet) -> Setup {
    let plan::Bearings { leader, identity } = plan::bearings(&desired.spec, &survey.cluster, &survey.observations);
    let lives = matches!(survey.cluster, Cluster::Live(_));
    let joined = |name: &NodeName| match &survey.observations[name] {
        Observation::Seen(seen) => seen.facts.kubernetes.configs.iter().any(|config| config == "admin.conf"),
        Observation::Unknown { .. } => false,
    };
    let route = |node: NodeName| Route { target: desired.targets[&node].clone(), node };
    let others = desired.spec.control_planes().map(|node| &node.name).filter(|name| lives && joined(name));
    let others: Vec<NodeName> = others.filter(|name| **name != leader).cloned().collect();
    let forming = (!lives).then(|| leader.clone());
    let mut routes: Vec<Route> = std::iter::once(leader).chain(others).map(route).collect();
    routes.sort_by_key(|route| desired.leaving.as_ref() == Some(&route.node));
    Setup {
        cluster: desired.spec.name.clone(),
        forming,
        routes,
        fleet,
        addresses: desired
            .spec
            .nodes
            .iter()
            .map(|node| (node.name.clone(), node.node_ips.iter().copied().collect()))
            .collect(),
        admin_conf: survey.admin_conf.clone().filter(|_| lives),
        identity,
        s3_key: desired.spec.backup.s3.as_ref().map(|s3| s3.credentials.clone()),
    }
}

fn journal(holder: &Holder, plan: &Plan) -> Result<Option<Journal>, Failure> {
    let Some(folder) = runs::folder() else { return Ok(None) };
    let begun = Journal::create(&folder, &holder.run).and_then(|journal| {
        Journal::keep_plan(&folder, &holder.run, &ui::json::plan(plan))?;
        Ok(journal)
    });
    let journal = begun.map_err(|why| {
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
async fn interrupts(stop: Stop, command: String, output: Output) {
    let _ = signal::ctrl_c().await;
    output.say("stopping: every node ends its present op; once more to leave at once");
    stop.request();
    let _ = signal::ctrl_c().await;
    output.say(&format!("left; what is at work on nodes ends there, and `{command}` goes on from it"));
    std::process::exit(ExitStatus::Interrupted.code().into());
}

/// Says how every chain ended, to a person.
pub fn summarise(report: &Report, output: &Output) {
    if output.format() != Format::Human {
        return;
    }
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
