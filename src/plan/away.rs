//! A control plane out of everybody's way while its servers restart, and back again: the others are well, one of them
//! leads etcd, and no proxy asks its API server.

use super::item;
use crate::model::{
    cluster::{ClusterSpec, EndpointKind},
    name::NodeName,
    node::NodeSpec,
    op::{ClusterOp, Op, Work},
    plan::{Change, Item, Verdict},
    rolling::{Settle, Word},
    version::KubeVersion,
};

/// Looks in a row that must find a node well.
pub const LOOKS: u32 = 3;
/// The longest that a node may take to be well again: static pods, their leases and the network's pods.
const SETTLE_S: u32 = 300;
/// The longest that a call to every proxy may take.
const DIVERT_S: u32 = 120;
const LEADER_S: u32 = 60;

/// A node, and the steps around what is done to it.
pub struct Away<'a> {
    pub spec: &'a ClusterSpec,
    pub node: &'a NodeSpec,
    /// What the steps' ids begin with: `upgrade.server-`.
    pub prefix: &'static str,
}

impl Away<'_> {
    fn others(&self) -> impl Iterator<Item = &NodeName> {
        self.spec.control_planes().map(|node| &node.name).filter(|name| **name != self.node.name)
    }

    fn proxies(&self) -> Vec<NodeName> {
        match self.spec.endpoint.kind == EndpointKind::LocalProxy && self.others().next().is_some() {
            true => self.spec.nodes.iter().map(|node| node.name.clone()).collect(),
            false => Vec::new(),
        }
    }

    /// Before a control plane's servers are restarted: all others are well, lead, and are asked in its place. None where
    /// there are no others.
    pub fn away(&self) -> Vec<Item> {
        let (name, mut items) = (&self.node.name, Vec::new());
        if self.others().next().is_none() {
            return items;
        }
        let well = self.others().map(|other| settle(self.spec, other, None, None, 1, Word::Either)).collect();
        items.push(self.step("others", "every other control plane is well", well));
        let call = ClusterOp::MoveEtcdLeader { from: name.clone() };
        let ops = vec![op("etcd.leader", "move etcd's leadership away", call, LEADER_S)];
        items.push(self.step("leader", "etcd is led by another", ops));
        let nodes = self.proxies();
        if !nodes.is_empty() {
            let call = ClusterOp::Divert { server: name.clone(), nodes };
            let what = format!("let every proxy use other API servers than that of {name}");
            let ops = vec![op("proxy.divert", &what, call, DIVERT_S)];
            items.push(self.step("divert", "nothing asks this API server", ops));
        }
        items
    }

    /// The end of [`Away::away`]. The step is there without proxies, too: others wait for it.
    pub fn back(&self) -> Item {
        let call = ClusterOp::Return { nodes: self.proxies() };
        let ops = vec![op("proxy.return", "let every proxy use every API server", call, DIVERT_S)];
        self.step("return", "this API server is asked again", ops)
    }

    fn step(&self, step: &str, title: &str, ops: Vec<Op>) -> Item {
        let change = Change { diff: vec![], ops, disrupts: None };
        item(&format!("{}{step}", self.prefix), title, Verdict::Change(change))
    }
}

/// Sees, or waits until it has seen several times in a row, that a node is well.
pub fn settle(
    spec: &ClusterSpec,
    name: &NodeName,
    servers: Option<KubeVersion>,
    kubelet: Option<KubeVersion>,
    looks: u32,
    word: Word,
) -> Op {
    let node = spec.node(name);
    let control_plane = node.is_some_and(NodeSpec::is_control_plane);
    let members = node.filter(|node| spec.is_member(node)).map(|_| spec.voters());
    let settle = Settle { node: name.clone(), kubelet, control_plane, servers, members, looks, word };
    let what = match looks {
        1 => format!("see that {name} is well"),
        looks => format!("wait until {name} is well {looks} times in a row"),
    };
    op("node.settle", &what, ClusterOp::Settle(settle), SETTLE_S)
}

/// A call of the cluster.
pub fn op(kind: &'static str, what: &str, call: ClusterOp, timeout_s: u32) -> Op {
    Op { kind, what: what.to_owned(), work: Work::Cluster(call), timeout_s }
}
