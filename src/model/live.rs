//! The cluster as its API and etcd tell it. Unknown is not absent.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{facts::ClusterIdentity, name::NodeName, op::NodeTaint};

/// Annotation of a node: the keys of labels that this program set, with commas between.
pub const OWNED_LABELS: &str = "kbootstrap/labels";
/// Annotation of a node: the taints that this program set, as `key:Effect`, with commas between.
pub const OWNED_TAINTS: &str = "kbootstrap/taints";

/// What is known of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Cluster {
    /// Every control plane of the inventory answered, and none carries cluster state.
    Absent,
    /// `kubeadm init` began on this node and did not finish: the API (or the local etcd) itself says that
    /// `kubeadm-config` is not there, or nothing of etcd was ever written.
    HalfFormed {
        node: NodeName,
        reason: String,
    },
    Live(Box<Live>),
    /// Anything else: a time-out, a refusal, no quorum, an unreachable node. Never leads to init, reset or removal.
    Unknown {
        reason: String,
    },
}

/// A cluster whose API answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Live {
    /// ConfigMap `kube-system/kbootstrap`; absent where it was not written yet (or the cluster is not ours).
    pub identity: Option<ClusterIdentity>,
    /// The API server that answered, as `v1.30.14`.
    pub version: String,
    pub nodes: BTreeMap<NodeName, LiveNode>,
    /// `ClusterConfiguration` of ConfigMap `kube-system/kubeadm-config`, as JSON.
    pub kubeadm_config: Option<Value>,
    /// `KubeletConfiguration` of ConfigMap `kube-system/kubelet-config`, as JSON.
    pub kubelet_config: Option<Value>,
    /// `KubeProxyConfiguration` of ConfigMap `kube-system/kube-proxy`, as JSON.
    pub kube_proxy_config: Option<Value>,
    /// Whether ConfigMap `kube-public/cluster-info` is there: what the phase `bootstrap-token` of init leaves behind.
    pub cluster_info: bool,
    /// Objects of the manifests that were asked about: what the API has, or `None`.
    pub objects: BTreeMap<ObjectRef, Option<Value>>,
    /// Pods of kubeadm's static manifests by node and component (`kube-apiserver`, `etcd`).
    #[serde(skip)]
    pub static_pods: BTreeMap<(NodeName, String), PodSeen>,
    /// CoreDNS's Deployment, absent where there is none (the last phase of init).
    pub coredns: Option<Rollout>,
    /// CoreDNS's pods by their names.
    pub coredns_pods: BTreeMap<String, PodSeen>,
    /// DaemonSets that the cluster needs, by `namespace/name`: kube-proxy, and those that this program applied.
    pub daemon_sets: BTreeMap<String, Rollout>,
    /// Bootstrap tokens of ours (ids) that still exist.
    pub tokens: Vec<String>,
}

/// An object's name in the API, shown as `DaemonSet/kube-flannel/kube-flannel-ds`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    pub kind: String,
    /// Absent for what belongs to the whole cluster.
    pub namespace: Option<String>,
    pub name: String,
}

impl ObjectRef {
    /// The name of a manifest's object; `None` where it lacks apiVersion, kind or name.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |pointer: &str| object.pointer(pointer)?.as_str().map(String::from);
        Some(Self {
            api_version: text("/apiVersion")?,
            kind: text("/kind")?,
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name")?,
        })
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

impl Serialize for ObjectRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A pod as far as health needs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PodSeen {
    /// Where it is bound to; absent while it is not.
    pub node: Option<String>,
    /// The first container's image, as the manifest names it.
    pub image: String,
    pub ready: bool,
    /// Whether it is being deleted.
    pub going: bool,
    /// What keeps it from being ready: a container's waiting reason, or the scheduler's message.
    pub why: Option<String>,
    /// RFC 3339; orders by age as text.
    pub created: String,
}

impl PodSeen {
    /// The tag of its image; a digest after it does not count.
    pub fn tag(&self) -> &str {
        let image = self.image.split('@').next().unwrap_or_default();
        image.rsplit('/').next().and_then(|name| name.split_once(':')).map_or("latest", |(_, tag)| tag)
    }
}

/// How far a DaemonSet or Deployment is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rollout {
    /// Whether its controller has seen the newest specification.
    pub observed: bool,
    pub desired: u32,
    /// Pods of the newest specification.
    pub updated: u32,
    pub available: u32,
}

impl Rollout {
    /// Whether every wanted pod is of the newest specification and available. With nothing to run it is not done: a
    /// DaemonSet that was just created wants nothing yet.
    pub fn is_done(&self) -> bool {
        self.observed && self.desired > 0 && self.updated >= self.desired && self.available >= self.desired
    }
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
    /// Keys of labels that this program set ([`OWNED_LABELS`]).
    pub owned_labels: Vec<String>,
    /// Taints that this program set, as `key:Effect` ([`OWNED_TAINTS`]).
    pub owned_taints: Vec<String>,
    pub unschedulable: bool,
    /// Whether it was this program that made it so ([`CORDONED`](super::drain::CORDONED)).
    pub cordoned: bool,
}

impl LiveNode {
    /// Whether kubeadm marked it as a control plane.
    pub fn is_control_plane(&self) -> bool {
        self.labels.contains_key("node-role.kubernetes.io/control-plane")
    }

    /// Whether a system pod such as CoreDNS, which tolerates the taint of control planes, can be placed here.
    pub fn takes_system_pods(&self) -> bool {
        let repels = |taint: &NodeTaint| {
            taint.effect != "PreferNoSchedule" && taint.key != "node-role.kubernetes.io/control-plane"
        };
        self.ready && !self.unschedulable && !self.taints.iter().any(repels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_done_when_all_is_new_and_available() {
        let done = Rollout { observed: true, desired: 2, updated: 2, available: 2 };
        assert!(done.is_done());
        for other in [
            Rollout { observed: false, ..done.clone() },
            Rollout { desired: 3, ..done.clone() },
            Rollout { updated: 1, ..done.clone() },
            Rollout { available: 1, ..done.clone() },
            Rollout::default(),
            Rollout { observed: true, ..Rollout::default() },
        ] {
            assert!(!other.is_done(), "{other:?}");
        }
    }

    #[test]
    fn tags_of_images() {
        for (image, wanted) in [
            ("registry.k8s.io/kube-apiserver:v1.30.14", "v1.30.14"),
            ("r:5000/x", "latest"),
            ("r:5000/x:v1@sha256:ab", "v1"),
        ] {
            assert_eq!(PodSeen { image: image.into(), ..PodSeen::default() }.tag(), wanted);
        }
    }

    #[test]
    fn system_pods_go_to_ready_nodes_that_do_not_repel_them() {
        let taint = |key: &str, effect: &str| NodeTaint { key: key.into(), value: None, effect: effect.into() };
        let node = LiveNode { ready: true, ..LiveNode::default() };
        let tainted = |taint| LiveNode { taints: vec![taint], ..node.clone() };
        assert!(node.takes_system_pods());
        assert!(tainted(taint("node-role.kubernetes.io/control-plane", "NoSchedule")).takes_system_pods());
        assert!(tainted(taint("a", "PreferNoSchedule")).takes_system_pods());
        assert!(!tainted(taint("node.kubernetes.io/not-ready", "NoSchedule")).takes_system_pods());
        assert!(!LiveNode { unschedulable: true, ..node.clone() }.takes_system_pods());
        assert!(!LiveNode::default().takes_system_pods());
    }
}
