//! The cluster as its API and etcd tell it. Unknown is not absent.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{facts::ClusterIdentity, name::NodeName, op::NodeTaint};

/// What is known of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Cluster {
    /// Every control plane of the inventory answered, and none carries cluster state.
    Absent,
    /// `kubeadm init` began on this node and did not finish: the API (or the local etcd) itself says that
    /// `kubeadm-config` is not there, or nothing of etcd was ever written.
    HalfFormed { node: NodeName, reason: String },
    Live(Box<Live>),
    /// Anything else: a time-out, a refusal, no quorum, an unreachable node. Never leads to init, reset or removal.
    Unknown { reason: String },
}

/// A cluster whose API answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Live {
    /// ConfigMap `kube-system/kbootstrap`; absent where it was not written yet (or the cluster is not ours).
    pub identity: Option<ClusterIdentity>,
    /// The API server that answered.
    pub version: String,
    pub nodes: BTreeMap<NodeName, LiveNode>,
    /// `ClusterConfiguration` of ConfigMap `kube-system/kubeadm-config`, as JSON.
    pub kubeadm_config: Option<serde_json::Value>,
    /// Objects of the manifests that were asked about: by `kind/namespace/name`, what the API has, or `None`.
    pub objects: BTreeMap<String, Option<serde_json::Value>>,
    /// Static pods' node, component and image: `(cp1, kube-apiserver) -> registry.k8s.io/kube-apiserver:v1.30.14`.
    #[serde(skip)]
    pub static_pods: BTreeMap<(NodeName, String), PodSeen>,
    /// Ready CoreDNS pods by node.
    pub coredns: Vec<String>,
    /// Bootstrap tokens of ours (ids) that still exist.
    pub tokens: Vec<String>,
}

/// A pod as far as health needs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PodSeen {
    pub image: String,
    pub ready: bool,
}

/// A Node object.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LiveNode {
    pub ready: bool,
    /// The Ready condition's message where it is not ready.
    pub why: Option<String>,
    pub kubelet: String,
    pub machine_id: String,
    pub internal_ips: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<NodeTaint>,
    pub unschedulable: bool,
}
