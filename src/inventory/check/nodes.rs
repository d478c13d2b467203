//! Nodes among themselves: unlike each other, and in a number that can form a cluster.

use std::collections::BTreeMap;

use crate::diag::toml::{At, Document};
use crate::diag::{Problem, Span};
use crate::inventory::Count;
use crate::inventory::raw::{Inventory, Node};
use crate::model::cluster::Role;
use crate::model::etcd::EtcdLayout;

pub fn check(document: &Document<'_>, raw: &Inventory, count: Count) {
    differ(document, "name", "a name", raw.nodes.iter().filter_map(|node| text(node.name.as_ref())));
    // Several machines behind one address are told apart by their ports, as Vagrant's are.
    let doubled = differ(
        document,
        "address and port",
        "an address or a port",
        raw.nodes.iter().filter_map(|node| address(node, raw)),
    );
    // An address that is told of already is not told of again as the node-ip that it is by default.
    let ips = raw.nodes.iter().flat_map(Node::ips).filter(|ip| !doubled.contains(&ip.span));
    differ(document, "node-ip", "a `node-ip`", ips.map(|ip| ip.map(|ip| ip.to_string())));
    for node in &raw.nodes {
        labels(document, node);
        taints(document, node);
    }
    if document.is_whole() {
        control_planes(document, raw, count);
    }
    witness(document, raw);
}

fn text<T: ToString>(value: Option<&At<T>>) -> Option<At<String>> {
    value.map(|value| At { value: value.value.to_string(), span: value.span.clone() })
}

fn address(node: &Node, raw: &Inventory) -> Option<At<String>> {
    let port = node.ssh.port.as_ref().or(raw.ssh.port.as_ref()).map_or(22, |port| port.value);
    text(node.address.as_ref()).map(|address| address.map(|address| format!("{address} port {port}")))
}

/// No two values are the same; the places of those that are.
fn differ(document: &Document<'_>, what: &str, one: &str, values: impl Iterator<Item = At<String>>) -> Vec<Span> {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut doubled = Vec::new();
    for At { value, span } in values {
        if let Some(first) = seen.get(&value) {
            let message = format!("two nodes have the same {what}: {value}");
            let problem = Problem::at(span.clone(), message).label("again").other(first.clone(), "first here");
            document.push(problem.hint(format!("every node needs {one} of its own")));
            doubled.push(span);
        } else {
            seen.insert(value, span);
        }
    }
    doubled
}

/// A number of control planes by which etcd can count majorities: an odd one, or a worker besides that holds the witness.
fn control_planes(document: &Document<'_>, raw: &Inventory, allowed: Count) {
    // A role that was refused may be a control plane's: its own problem comes first.
    if raw.nodes.is_empty() || raw.nodes.iter().any(|node| node.role.is_none()) {
        return;
    }
    let planes = raw.control_planes();
    let Some(last) = planes.last() else {
        let problem = Problem::at(raw.nodes[0].span.clone(), "no node is a control plane");
        document
            .push(problem.hint("set `role = \"control-plane\"` for one node, or for three to survive the loss of one"));
        return;
    };
    let count = planes.len();
    let stacked = raw.etcd.layout.as_ref().is_some_and(|layout| layout.value == EtcdLayout::Stacked);
    let witness = !stacked && planes.len() < raw.nodes.len();
    if count % 2 == 1 || witness || allowed == Count::Any {
        return;
    }
    let span = last.role.as_ref().map_or(last.span.clone(), |role| role.span.clone());
    let problem = Problem::at(
        span,
        format!("{count} control planes: an even number survives no more losses than one fewer does"),
    );
    let lost = (count - 1) / 2;
    let label = match lost {
        0 => format!("etcd with {count} members stops when either is lost: less safe than one"),
        _ => format!("etcd with {count} members stops when {} are lost, as it does with {}", lost + 1, count - 1),
    };
    let hint = match (stacked, count) {
        (true, 2) => {
            "leave `layout` out, and a worker holds the third member of etcd; or have one control plane, or three"
                .to_owned()
        }
        (true, _) => format!("have {} or {} control planes", count - 1, count + 1),
        (false, _) => format!(
            "add a worker, which then holds one more member of etcd, the witness; or have {} or {} control planes",
            count - 1,
            count + 1
        ),
    };
    document.push(problem.label(label).hint(hint));
}

/// One worker at most is the witness, of etcd as a service.
fn witness(document: &Document<'_>, raw: &Inventory) {
    let mut first: Option<&At<bool>> = None;
    for node in raw.witnesses() {
        let Some(at) = &node.etcd_witness else { continue };
        if let Some(first) = first {
            let problem =
                Problem::at(at.span.clone(), "two nodes are etcd's witness").other(first.span.clone(), "first here");
            document.push(problem.hint("one makes the number of members odd: mark one worker alone"));
        } else if node.role.as_ref().is_some_and(|role| role.value == Role::ControlPlane) {
            let problem = Problem::at(at.span.clone(), "a control plane has a member of etcd of its own");
            document.push(problem.hint("mark a worker, in a zone of its own where there is one"));
        } else if raw.etcd.layout.as_ref().is_some_and(|layout| layout.value == EtcdLayout::Stacked) {
            let problem = Problem::at(at.span.clone(), "no witness is possible where etcd's members are static pods");
            document.push(problem.hint("leave it out, or `layout = \"stacked\"` of [etcd]"));
        }
        first = first.or(Some(at));
    }
}

/// Labels that somebody else sets.
fn labels(document: &Document<'_>, node: &Node) {
    for (key, _) in &node.labels {
        let hint = match key.value.as_str() {
            "topology.kubernetes.io/zone" | "failure-domain.beta.kubernetes.io/zone" => "use the node's `zone`",
            "kubernetes.io/hostname" => "the kubelet sets it to the node's `name`",
            "kubernetes.io/os" | "kubernetes.io/arch" => "the kubelet sets it",
            "node-role.kubernetes.io/control-plane" => "use `role = \"control-plane\"`; kubeadm sets the label",
            _ => continue,
        };
        let message = format!("the label `{}` can't be set", key.value);
        document.push(Problem::at(key.span.clone(), message).hint(hint));
    }
}

/// A taint is known by its key and effect: two that differ in the value alone are one.
fn taints(document: &Document<'_>, node: &Node) {
    let mut seen = BTreeMap::new();
    for taint in &node.taints {
        let id = (&taint.value.key, taint.value.effect);
        if let Some(first) = seen.insert(id, taint.span.clone()) {
            let message = format!("the taint `{}` with effect {} is given twice", id.0, id.1);
            document.push(Problem::at(taint.span.clone(), message).other(first, "first here").hint("remove one"));
        }
    }
}
