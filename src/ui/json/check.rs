//! `kbootstrap.check/v1`: the result of `check`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::diag::{Located, Problems};
use crate::model::cluster::{ClusterSpec, NodeSpec};
use crate::model::net::HasFamily;

/// The whole document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    /// Whether the inventory can be used.
    valid: bool,
    /// What was understood; null where anything is wrong.
    cluster: Option<Cluster>,
    /// What is wrong; empty where nothing is.
    problems: Vec<Located<'a>>,
    /// How many problems there are beyond the first hundred.
    problems_left_out: usize,
}

impl<'a> Document<'a> {
    /// The document of an inventory in which nothing is wrong.
    pub fn sound(spec: &ClusterSpec) -> Self {
        Self {
            schema: SCHEMA,
            valid: true,
            cluster: Some(Cluster::of(spec)),
            problems: Vec::new(),
            problems_left_out: 0,
        }
    }

    /// The document of an inventory with problems.
    pub fn unsound(problems: &'a Problems) -> Self {
        Self {
            schema: SCHEMA,
            valid: false,
            cluster: None,
            problems: problems.located().collect(),
            problems_left_out: problems.left_out(),
        }
    }
}

const SCHEMA: &str = "kbootstrap.check/v1";

#[derive(Debug, Serialize)]
struct Cluster {
    name: String,
    kubernetes: String,
    etcd: &'static str,
    coredns: &'static str,
    pause: &'static str,
    endpoint: Endpoint,
    pod_cidrs: Vec<String>,
    service_cidrs: Vec<String>,
    /// One for each of `pod_cidrs`.
    node_masks: Vec<u8>,
    dns_domain: String,
    extra_sans: Vec<String>,
    image_repository: String,
    network: String,
    etcd_layout: String,
    nodes: Vec<Node>,
}

#[derive(Debug, Serialize)]
struct Endpoint {
    kind: String,
    name: String,
    port: u16,
}

#[derive(Debug, Serialize)]
struct Node {
    name: String,
    role: &'static str,
    address: String,
    node_ips: Vec<String>,
    zone: Option<String>,
    labels: BTreeMap<String, String>,
    taints: Vec<String>,
    ssh: Ssh,
}

/// How a node is logged in to. Paths of keys are left out: they differ between operators.
#[derive(Debug, Serialize)]
struct Ssh {
    user: String,
    port: u16,
    sudo: String,
}

impl Cluster {
    fn of(spec: &ClusterSpec) -> Self {
        let endpoint = &spec.endpoint;
        Self {
            name: spec.name.to_string(),
            kubernetes: spec.kubernetes().to_string(),
            etcd: spec.release.etcd,
            coredns: spec.release.coredns,
            pause: spec.release.pause,
            endpoint: Endpoint {
                kind: endpoint.kind.to_string(),
                name: endpoint.name.to_string(),
                port: endpoint.port,
            },
            pod_cidrs: words(spec.pod_cidrs.iter()),
            service_cidrs: words(spec.service_cidrs.iter()),
            node_masks: spec.pod_cidrs.iter().map(|cidr| spec.node_mask.of(cidr.family())).collect(),
            dns_domain: spec.dns_domain.to_string(),
            extra_sans: words(spec.extra_sans.iter()),
            image_repository: spec.image_repository.to_string(),
            network: spec.network.kind.to_string(),
            etcd_layout: spec.etcd.to_string(),
            nodes: spec.nodes.iter().map(Node::of).collect(),
        }
    }
}

impl Node {
    fn of(node: &NodeSpec) -> Self {
        Self {
            name: node.name.to_string(),
            role: node.role.as_str(),
            address: node.address.to_string(),
            node_ips: words(node.node_ips.iter()),
            zone: node.zone.as_ref().map(ToString::to_string),
            labels: node.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            taints: words(node.taints.iter()),
            ssh: Ssh { user: node.ssh.user.to_string(), port: node.ssh.port, sudo: node.ssh.sudo.to_string() },
        }
    }
}

fn words<'a, T: ToString + 'a>(values: impl Iterator<Item = &'a T>) -> Vec<String> {
    values.map(ToString::to_string).collect()
}
