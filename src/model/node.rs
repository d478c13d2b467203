//! A machine as it is wanted: its name, its place, its role, and how to reach it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::access::SshSettings;
use super::label::{LabelKey, LabelValue, Taint};
use super::name::{Host, NodeName};
use super::net::Families;

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs an API server and its companions, and a member of etcd.
    ControlPlane,
    /// Runs only what is scheduled on it.
    Worker,
}

impl Role {
    /// The word in inventories and output: `control-plane` or `worker`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One machine of the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeSpec {
    /// Its host name and the name of its Node object.
    pub name: NodeName,
    /// Where SSH reaches it from the operator's machine.
    pub address: Host,
    /// What it is for.
    pub role: Role,
    /// Failure zone, the label `topology.kubernetes.io/zone`; absent where the inventory names none.
    pub zone: Option<LabelValue>,
    /// Labels to set; those of the inventory only, the zone not among them.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Taints to set; those of the inventory only, the one of control planes not among them.
    pub taints: Vec<Taint>,
    /// Whether this worker is to hold the witness of etcd, where one is needed.
    pub etcd_witness: bool,
    /// Addresses by which nodes know each other, primary family first: the kubelet's `node-ip`, and on a control plane
    /// what its API server and etcd announce. The inventory's `address` where that is an IP address and none are given.
    pub node_ips: Families<IpAddr>,
    /// How to log in, the inventory's `[ssh]` and the node's own settings resolved.
    pub ssh: SshSettings,
}

impl NodeSpec {
    /// A node of this name, address and role with nothing else said of it.
    pub fn new(name: NodeName, address: IpAddr, role: Role) -> Self {
        Self {
            name,
            address: Host::Ip(address),
            role,
            zone: None,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            etcd_witness: false,
            node_ips: Families::one(address),
            ssh: SshSettings::default(),
        }
    }

    /// Whether it is a control plane.
    pub fn is_control_plane(&self) -> bool {
        self.role == Role::ControlPlane
    }

    /// The address of the primary family.
    pub fn node_ip(&self) -> IpAddr {
        *self.node_ips.primary()
    }
}
