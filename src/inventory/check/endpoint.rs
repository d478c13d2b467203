//! The endpoint: a name and a port that nothing else has.

use crate::diag::Problem;
use crate::diag::toml::Document;
use crate::inventory::raw::Inventory;
use crate::model::cluster::{API_SERVER_PORT, EndpointKind};
use crate::model::etcd::EtcdLayout;

/// Ports that a control plane or any node listens on, with who does.
const TAKEN: [(u16, &str); 9] = [
    (22, "sshd"),
    (EtcdLayout::CLIENT_PORT, "etcd"),
    (EtcdLayout::PEER_PORT, "etcd"),
    (API_SERVER_PORT, "the API server"),
    (10248, "the kubelet"),
    (10249, "kube-proxy"),
    (10250, "the kubelet"),
    (10257, "the controller manager"),
    (10259, "the scheduler"),
];

pub fn check(document: &Document<'_>, raw: &Inventory) {
    let endpoint = &raw.endpoint;
    let external = endpoint.kind.as_ref().is_some_and(|kind| kind.value == EndpointKind::External);
    if let Some(name) = &endpoint.name {
        let same =
            raw.nodes.iter().filter_map(|node| node.name.as_ref()).find(|n| n.value.as_str() == name.value.as_str());
        if let Some(node) = same {
            let problem = Problem::at(name.span.clone(), "the endpoint has the name of a node");
            let hint = "the endpoint outlives every node: give it a name of its own";
            document.push(problem.other(node.span.clone(), "this node").hint(hint));
        }
    }
    // A load balancer of the user's own is another machine: its ports are its own.
    if let (false, Some(port)) = (external, &endpoint.port) {
        let by = TAKEN.iter().find(|(taken, _)| u64::from(*taken) == port.value).map(|(_, by)| *by);
        let by = by.or((30_000..=32_767).contains(&port.value).then_some("services of type NodePort"));
        if let Some(by) = by {
            let problem = Problem::at(port.span.clone(), format!("port {} is used by {by}", port.value));
            document.push(problem.hint("the local proxy needs a port that is free on every node, such as 7443"));
        }
    }
}
