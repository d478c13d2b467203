//! `kbootstrap status`: what the cluster is like now.

use std::{sync::Arc, time::Duration};

use clap::Args;
use time::OffsetDateTime;

use super::{Failure, Format, Machines, Output, control_planes::ControlPlanes};
use crate::{
    action::{Actions, Condition, Expected, Setup, conditions, etcd_condition},
    backup,
    error::{Error, ExitStatus},
    kind::etcd_takeover,
    kube,
    model::{
        cluster::ClusterSpec,
        facts::Etcd,
        live::{Cluster, Live},
        name::NodeName,
        node::Role,
        observe::Observation,
    },
    plan::{convert, layout},
    render::images,
    ui::{self, EtcdStatus, NodeStatus, Paint, Status as Shown},
};

/// Show nodes, etcd and the conditions of a healthy cluster
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    machines: Machines,

    /// Also start pods that ask DNS and connect across nodes, and remove them
    #[arg(long)]
    prove: bool,
}

/// The longest that probe pods are waited for.
const PROBE: Duration = Duration::from_secs(90);

impl Status {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let asks = |spec: &ClusterSpec| spec.backup.schedule.iter().map(|_| backup::kept_read()).collect();
        let seen = ControlPlanes::look_for(&self.machines, asks).await?;
        let answer = kube::ask(Arc::clone(&seen.link), seen.admin_conf.as_ref(), &[]).await;
        let cluster = kube::classify(&seen.sights(), answer);
        let mut shown = shown(&seen, &cluster);
        if seen.spec.backup.schedule.is_some() && matches!(cluster, Cluster::Live(_)) {
            let now = OffsetDateTime::now_utc().unix_timestamp();
            let (holds, detail) =
                seen.kept().map_or_else(|why| (false, why.to_string()), |kept| backup::health(&kept, now));
            shown.conditions.push(Condition { name: "backups", holds, detail });
        }
        if self.prove
            && let Cluster::Live(live) = &cluster
        {
            shown.conditions.push(probe(&seen, live).await?);
        }
        match output.format() {
            Format::Human => output.result(&ui::status(&shown, Paint { colour: output.colour() }))?,
            Format::Json => output.document(&ui::json::status(&shown))?,
        }
        Ok(end(&shown, &seen))
    }
}

/// Some nodes are missing though the cluster answers: 4. Anything else that is not well: 1.
fn end(shown: &Shown, seen: &ControlPlanes) -> ExitStatus {
    let silent = seen.observations.values().any(|node| matches!(node, Observation::Unknown { .. }));
    let lacking = shown.nodes.iter().any(|node| node.in_inventory && node.ready != Some(true));
    match shown.state {
        "live" if silent || lacking => ExitStatus::Partial,
        _ if shown.is_healthy() => ExitStatus::Done,
        _ => ExitStatus::Failed,
    }
}

async fn probe(seen: &ControlPlanes, live: &Live) -> Result<Condition, Failure> {
    let setup = Setup {
        cluster: seen.spec.name.clone(),
        forming: None,
        routes: seen.routes.clone(),
        fleet: Default::default(),
        addresses: Default::default(),
        admin_conf: seen.admin_conf.clone(),
        identity: live.identity.clone(),
        s3_key: None,
    };
    let actions =
        Actions::new(Arc::clone(&seen.connector), setup).map_err(|why| Error::new("read admin.conf").cause(why))?;
    let ready: Vec<NodeName> = live.nodes.iter().filter(|(_, node)| node.ready).map(|(name, _)| name.clone()).collect();
    Ok(actions.probe(&ready, images::proof(&seen.spec).as_ref(), PROBE).await)
}

fn shown(seen: &ControlPlanes, cluster: &Cluster) -> Shown {
    let spec = &seen.spec;
    let empty = Live::default();
    let settled = layout::settled(spec, cluster, &seen.observations);
    let (state, reason, live) = match cluster {
        Cluster::Live(live) => ("live", between(&settled, seen), &**live),
        Cluster::Absent => (
            "absent",
            Some("no control plane of the inventory carries a cluster: kbootstrap up forms it".into()),
            &empty,
        ),
        Cluster::HalfFormed { node, reason } => {
            ("half-formed", Some(format!("{node}: {reason}; kbootstrap up goes on from there")), &empty)
        }
        Cluster::Unknown { reason } => ("unknown", Some(reason.clone()), &empty),
    };
    let names: Vec<NodeName> = spec.nodes.iter().map(|node| node.name.clone()).collect();
    let control_planes: Vec<NodeName> = spec.control_planes().map(|node| node.name.clone()).collect();
    let foreign = live.nodes.keys().filter(|name| spec.node(name).is_none());
    let nodes = names.iter().chain(foreign).map(|name| node(seen, live, name)).collect();
    let mut all = Vec::new();
    if state == "live" {
        let expected = Expected { nodes: &names, control_planes: &control_planes, members: settled.voters() };
        all = conditions(live, expected);
        // A member with a leader knows of all others; one without quorum would only know its own past.
        let members = || control_planes.iter().filter_map(|name| seen.facts(name)?.kubernetes.etcd.as_ref());
        let word = members().find(|etcd| etcd.leader.is_some()).or_else(|| members().next());
        // What the others know of one that is down is that it was once there.
        let answers = |name: &NodeName| seen.facts(name).is_some_and(|facts| facts.kubernetes.etcd.is_some());
        let silent = settled.members().filter(|node| !answers(&node.name));
        let silent = silent.map(|node| format!("the member on {} does not answer", node.name)).collect();
        all.push(etcd_condition(word.ok_or("no member answers"), expected).and(silent));
    }
    Shown {
        cluster: spec.name.to_string(),
        id: live.identity.as_ref().map(|identity| identity.id.clone()),
        state,
        reason,
        version: (!live.version.is_empty()).then(|| live.version.clone()),
        nodes,
        conditions: all,
    }
}

/// Said of a cluster whose etcd is on its way from one layout to the other.
fn between(settled: &ClusterSpec, seen: &ControlPlanes) -> Option<String> {
    let (what, next) = etcd_takeover::UNDER_WAY;
    convert::is_under_way(settled, &seen.observations).then(|| format!("{what}: {next}"))
}

fn node(seen: &ControlPlanes, live: &Live, name: &NodeName) -> NodeStatus {
    let spec = seen.spec.node(name);
    let there = live.nodes.get(name);
    let control_plane =
        spec.map_or_else(|| there.is_some_and(|node| node.is_control_plane()), |node| node.is_control_plane());
    let role = if control_plane { Role::ControlPlane } else { Role::Worker };
    let silent = match seen.observations.get(name) {
        Some(Observation::Unknown { error, .. }) => Some(error.clone()),
        _ => None,
    };
    let pods = || live.static_pods.iter().filter(|((node, _), _)| node == name);
    NodeStatus {
        name: name.to_string(),
        role: role.as_str(),
        in_inventory: spec.is_some(),
        ready: there.map(|node| node.ready),
        why: there.and_then(|node| node.why.clone()).or(silent),
        kubelet: there.map(|node| node.kubelet.clone()),
        static_pods: (control_plane && there.is_some())
            .then(|| (pods().filter(|(_, pod)| pod.ready).count(), pods().count())),
        etcd: seen.facts(name).and_then(|facts| facts.kubernetes.etcd.as_ref()).map(etcd),
    }
}

fn etcd(etcd: &Etcd) -> EtcdStatus {
    EtcdStatus {
        member: etcd.member.clone(),
        leader: etcd.leads(),
        learner: etcd.members.iter().any(|member| member.id == etcd.member && member.learner),
        db_bytes: etcd.db_bytes,
        version: etcd.version.clone(),
        alarms: etcd.alarms.clone(),
    }
}
