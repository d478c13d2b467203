//! The summary of a cluster for a person.

use std::collections::BTreeMap;

use crate::{
    model::{
        cluster::{ClusterSpec, EndpointKind, NodeSpec},
        live::Cluster,
    },
    plan::layout,
};

/// What was understood, in lines with a final newline; headings bold where colour is wanted.
pub fn of(spec: &ClusterSpec, colour: bool) -> String {
    let release = &spec.release;
    let mut lines = vec![
        field("cluster", spec.name.as_str()),
        field("kubernetes", &format!("{} (etcd {}, CoreDNS {})", release.kubernetes, release.etcd, release.coredns)),
        field("endpoint", &format!("{} ({})", spec.endpoint, spec.endpoint.kind)),
        field("network", &network(spec)),
        field("runtime", &runtime(spec)),
        field("etcd", &etcd(spec)),
    ];
    if spec.image_repository != crate::model::image::ImageRepository::default() {
        lines.push(field("images", spec.image_repository.as_str()));
    }
    if spec.encryption.is_some() {
        lines.push(field("secrets", "encrypted in etcd"));
    }
    if spec.endpoint.kind == EndpointKind::External {
        lines.push(field("", "the endpoint's name must lead to every control plane's port 6443"));
    }
    lines.push(String::new());
    lines.extend(table(spec, colour));
    lines.push(String::new());
    lines.join("\n")
}

fn field(name: &str, value: &str) -> String {
    format!("{name:<12}{value}")
}

fn network(spec: &ClusterSpec) -> String {
    let mtu = spec.network.mtu.map(|mtu| format!(", MTU {}", mtu.bytes())).unwrap_or_default();
    let nodes = spec.node_capacity();
    format!(
        "{}{mtu}: pods {}, services {}, room for {nodes} nodes",
        spec.network.kind, spec.pod_cidrs, spec.service_cidrs
    )
}

fn etcd(spec: &ClusterSpec) -> String {
    let spec = layout::settled(spec, &Cluster::Absent, &BTreeMap::new());
    let witness = match spec.witness.as_ref().and_then(|name| spec.node(name)) {
        Some(node) if node.etcd_witness => format!(", one of them the witness on {}", node.name),
        Some(_) => ", one of them the witness on a worker".to_owned(),
        None => String::new(),
    };
    match spec.voters() {
        1 => format!("{}, 1 member: nothing survives the loss of its machine", spec.etcd),
        n => format!("{}, {n} members{witness}: survives the loss of {}", spec.etcd, (n - 1) / 2),
    }
}

fn runtime(spec: &ClusterSpec) -> String {
    let version = spec.runtime.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    format!("{} from package {}{version}", spec.runtime.kind, spec.runtime.package)
}

/// Nodes in columns as wide as their widest cell; columns that are empty for all nodes are left out.
fn table(spec: &ClusterSpec, colour: bool) -> Vec<String> {
    let headings = ["NODE", "ROLE", "ADDRESS", "NODE IP", "SSH", "ZONE", "LABELS", "TAINTS"];
    let rows: Vec<[String; 8]> = spec.nodes.iter().map(row).collect();
    let used: Vec<usize> =
        (0..headings.len()).filter(|column| rows.iter().any(|row| !row[*column].is_empty())).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).chain([headings[column].len()]).max();
    let line = |cells: &[&str]| {
        let padded: Vec<String> =
            used.iter().map(|column| format!("{:<1$}", cells[*column], width(*column).unwrap_or(0))).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let heading = line(&headings);
    let mut lines = vec![if colour { format!("\u{1b}[1m{heading}\u{1b}[0m") } else { heading }];
    lines.extend(rows.iter().map(|row| line(&row.each_ref().map(String::as_str))));
    lines
}

fn row(node: &NodeSpec) -> [String; 8] {
    // The usual case, node-ip being the address, needs no column of its own.
    let ips = node.node_ips.to_string();
    let ips = if ips == node.address.to_string() { String::new() } else { ips };
    let labels: Vec<String> = node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let taints: Vec<String> = node.taints.iter().map(ToString::to_string).collect();
    let port = if node.ssh.port == 22 { String::new() } else { format!(" port {}", node.ssh.port) };
    [
        node.name.to_string(),
        node.role.to_string(),
        node.address.to_string(),
        ips,
        format!("{}{port}", node.ssh.user),
        node.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
        labels.join(","),
        taints.join(","),
    ]
}
