//! `kbootstrap.status/v1`: what a cluster is like now.

use serde::Serialize;

use crate::action::Condition;
use crate::ui;

/// The whole document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    cluster: &'a str,
    /// Absent where the cluster holds none.
    id: Option<&'a str>,
    /// `live`, `absent`, `half-formed` or `unknown`.
    state: &'static str,
    reason: Option<&'a str>,
    /// The API server's version.
    kubernetes: Option<&'a str>,
    /// Whether it lives and every condition holds.
    healthy: bool,
    nodes: Vec<Node<'a>>,
    conditions: &'a [Condition],
}

#[derive(Debug, Serialize)]
struct Node<'a> {
    name: &'a str,
    role: &'static str,
    in_inventory: bool,
    /// Null where the cluster has no such node.
    ready: Option<bool>,
    why: Option<&'a str>,
    kubelet: Option<&'a str>,
    static_pods: Option<StaticPods>,
    etcd: Option<Etcd<'a>>,
}

#[derive(Debug, Serialize)]
struct StaticPods {
    ready: usize,
    wanted: usize,
}

#[derive(Debug, Serialize)]
struct Etcd<'a> {
    member: &'a str,
    leader: bool,
    learner: bool,
    db_bytes: u64,
    version: &'a str,
    alarms: &'a [String],
}

/// The document of a status.
pub fn status(status: &ui::Status) -> Document<'_> {
    Document {
        schema: "kbootstrap.status/v1",
        cluster: &status.cluster,
        id: status.id.as_deref(),
        state: status.state,
        reason: status.reason.as_deref(),
        kubernetes: status.version.as_deref(),
        healthy: status.is_healthy(),
        nodes: status.nodes.iter().map(node).collect(),
        conditions: &status.conditions,
    }
}

fn node(node: &ui::NodeStatus) -> Node<'_> {
    Node {
        name: &node.name,
        role: node.role,
        in_inventory: node.in_inventory,
        ready: node.ready,
        why: node.why.as_deref(),
        kubelet: node.kubelet.as_deref(),
        static_pods: node.static_pods.map(|(ready, wanted)| StaticPods { ready, wanted }),
        etcd: node.etcd.as_ref().map(|etcd| Etcd {
            member: &etcd.member,
            leader: etcd.leader,
            learner: etcd.learner,
            db_bytes: etcd.db_bytes,
            version: &etcd.version,
            alarms: &etcd.alarms,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_additive_only() {
        let etcd =
            ui::EtcdStatus { member: "8e9e".into(), leader: true, version: "3.5.15".into(), ..Default::default() };
        let cp1 = ui::NodeStatus {
            name: "cp1".into(),
            role: "control-plane",
            in_inventory: true,
            ready: Some(true),
            kubelet: Some("v1.30.14".into()),
            static_pods: Some((4, 4)),
            etcd: Some(etcd),
            ..Default::default()
        };
        let all = ui::Status {
            cluster: "lab".into(),
            state: "live",
            version: Some("v1.30.14".into()),
            nodes: vec![cp1],
            conditions: vec![Condition { name: "etcd", holds: true, detail: "1 voter".into() }],
            ..Default::default()
        };
        insta::assert_json_snapshot!(status(&all));
    }
}
