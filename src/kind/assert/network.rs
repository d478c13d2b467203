//! Addresses and ports.

use super::{super::op, Context};
use crate::model::{
    cluster::{API_SERVER_PORT, EndpointKind},
    etcd::EtcdLayout,
    plan::Verdict,
};

pub fn node_ip(context: &Context<'_>) -> Verdict {
    let links = &context.seen.facts.links;
    let has = |ip: &std::net::IpAddr| {
        let ip = ip.to_string();
        links.iter().flat_map(|link| &link.addresses).any(|address| address.split('/').next() == Some(&ip))
    };
    match context.node.node_ips.iter().find(|ip| !has(ip)) {
        None => Verdict::Satisfied,
        Some(missing) => {
            let addresses: Vec<&str> = links
                .iter()
                .filter(|link| link.name != "lo")
                .flat_map(|link| &link.addresses)
                .filter_map(|address| address.split('/').next())
                .filter(|address| !address.starts_with("fe80:"))
                .collect();
            op::refused(
                format!("no link of the machine has the address {missing}; it has {}", addresses.join(", ")),
                "give the node its `node-ip`: the address by which the other nodes reach it",
            )
        }
    }
}

/// What listens where. Names are those of the kernel, which ends them after 15 bytes.
pub fn ports(context: &Context<'_>) -> Verdict {
    if context.has_joined() {
        return Verdict::Satisfied;
    }
    let mut wanted = vec![(10250, "kubelet"), (10256, "kube-proxy")];
    if context.node.is_control_plane() {
        wanted.extend([(API_SERVER_PORT, "kube-apiserver"), (10257, "kube-controller"), (10259, "kube-scheduler")]);
    }
    if context.spec.is_member(context.node) {
        wanted.extend([(EtcdLayout::CLIENT_PORT, "etcd"), (EtcdLayout::PEER_PORT, "etcd")]);
    }
    if context.spec.endpoint.kind == EndpointKind::LocalProxy {
        wanted.push((context.spec.endpoint.port, "haproxy"));
    }
    let taken: Vec<String> = context
        .seen
        .facts
        .ports
        .iter()
        .filter_map(|listening| {
            let (_, ours) = wanted.iter().find(|(port, _)| *port == listening.port)?;
            let program = listening.program.as_deref();
            // What an attempt of ours left behind is not in anybody's way.
            (program != Some(ours)).then(|| format!("{} ({})", listening.port, program.unwrap_or("an unknown program")))
        })
        .collect();
    if taken.is_empty() {
        return Verdict::Satisfied;
    }
    op::refused(
        format!("ports that Kubernetes needs are taken: {}", taken.join(", ")),
        "stop these programs, or let them listen elsewhere",
    )
}
