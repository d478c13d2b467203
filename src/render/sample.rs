//! Clusters for the tests of this module.

use std::net::IpAddr;

use crate::model::cluster::ClusterSpec;
use crate::model::name::{ClusterName, NodeName};
use crate::model::net::Families;
use crate::model::node::{NodeSpec, Role};
use crate::model::release::Release;

/// Three control planes and two workers with every default, of Kubernetes 1.30.14.
pub fn cluster() -> ClusterSpec {
    of_version("1.30.14")
}

/// The same of another version.
pub fn of_version(version: &str) -> ClusterSpec {
    let node = |name: &str, last: u8, role: Role| {
        NodeSpec::new(NodeName::new(name).unwrap(), IpAddr::from([10, 77, 0, last]), role)
    };
    let nodes = vec![
        node("cp1", 11, Role::ControlPlane),
        node("cp2", 12, Role::ControlPlane),
        node("cp3", 13, Role::ControlPlane),
        node("w1", 21, Role::Worker),
        node("w2", 22, Role::Worker),
    ];
    let release = Release::of(version.parse().unwrap()).unwrap();
    ClusterSpec::new(ClusterName::new("demo").unwrap(), release, nodes)
}

/// The same with IPv4 and IPv6.
pub fn dual_stack() -> ClusterSpec {
    let mut spec = cluster();
    let both = |v4: &str, v6: &str| Families::new([v4.parse().unwrap(), v6.parse().unwrap()]).unwrap();
    spec.pod_cidrs = both("10.244.0.0/16", "fd00:10:244::/56");
    spec.service_cidrs = both("10.96.0.0/12", "fd00:10:96::/112");
    for node in &mut spec.nodes {
        let v4 = node.node_ip();
        let v6: IpAddr = format!("fd00:77::{}", v4.to_string().rsplit('.').next().unwrap()).parse().unwrap();
        node.node_ips = Families::new([v4, v6]).unwrap();
    }
    spec
}
