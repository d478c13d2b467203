//! Taking the work off a node: which pods leave it, and which would lose something by that. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Annotation of a node that this program made unschedulable, so that it undoes nobody else's word.
pub const CORDONED: &str = "kbootstrap/cordoned";

/// What happens to a pod whose eviction a budget still forbids at the end of the time limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBlocked {
    /// Nothing more is evicted, and the node takes pods again.
    #[default]
    Abort,
    /// It is deleted in spite of its budget.
    Force,
}

/// A pod on a node, as far as a drain needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodePod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// Kind of the object that makes it anew: `ReplicaSet`, `DaemonSet`; absent where nothing does.
    pub controller: Option<String>,
    /// Whether it is only the image of a static pod, which the kubelet runs by itself.
    pub mirror: bool,
    /// Whether its containers have ended for good.
    pub ended: bool,
    /// Whether it is being deleted.
    pub going: bool,
    /// What of its data lies on the node alone: `emptyDir cache`, `local volume pvc-1`.
    pub local: Vec<String>,
    /// Budgets over it that let none go now.
    pub held_by: Vec<String>,
}

/// What a drain means for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It belongs to the node and ends with it: static pods, those of DaemonSets.
    Stays,
    /// It is evicted, and runs again elsewhere where anything wants it to.
    Leaves,
    /// It is evicted, and this is gone then.
    Loses(String),
}

/// How the namespaces begin in which a cluster is proven; each is deleted with all that is in it.
pub const PROOF_NAMESPACE: &str = "kbootstrap-proof-";

impl NodePod {
    /// What a drain means for it.
    pub fn fate(&self) -> Fate {
        match self.controller.as_deref() {
            _ if self.mirror => Fate::Stays,
            Some("DaemonSet") => Fate::Stays,
            // What has ended needs its place no more.
            _ if self.ended => Fate::Leaves,
            // Pods of our own proof, whose namespace goes away just now.
            _ if self.namespace.starts_with(PROOF_NAMESPACE) => Fate::Leaves,
            None => Fate::Loses("nothing makes it anew: it has no controller".to_owned()),
            Some(_) if !self.local.is_empty() => Fate::Loses(self.local.join(", ")),
            Some(_) => Fate::Leaves,
        }
    }
}

impl fmt::Display for NodePod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl OnBlocked {
    /// The word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Force => "force",
        }
    }
}

/// How nodes are drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainPolicy {
    pub on_blocked: OnBlocked,
    /// Whether pods that lose data by it may be evicted.
    pub delete_local_data: bool,
    /// Seconds that the pods of one node may take to leave.
    pub timeout_s: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(controller: Option<&str>) -> NodePod {
        NodePod { controller: controller.map(String::from), ..NodePod::default() }
    }

    #[test]
    fn who_stays_and_who_loses() {
        assert_eq!(pod(Some("ReplicaSet")).fate(), Fate::Leaves);
        assert_eq!(pod(Some("DaemonSet")).fate(), Fate::Stays);
        assert_eq!(NodePod { mirror: true, ..pod(Some("Node")) }.fate(), Fate::Stays);
        assert!(matches!(pod(None).fate(), Fate::Loses(why) if why.contains("no controller")));
        let cache = NodePod { local: vec!["emptyDir cache".into()], ..pod(Some("StatefulSet")) };
        assert_eq!(cache.fate(), Fate::Loses("emptyDir cache".into()));
        assert_eq!(NodePod { ended: true, ..cache }.fate(), Fate::Leaves);
        assert_eq!(NodePod { ended: true, ..pod(None) }.fate(), Fate::Leaves);
    }
}
