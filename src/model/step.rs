//! Steps: what shall be true of a node, one typed thing each. A playbook's template becomes steps once its values
//! are resolved for one node.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The public name of a step, such as `runtime.config`: stage, dot, name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl StepId {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A step of one node (or of the cluster), every value resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub id: StepId,
    /// What a person reads: "containerd configuration".
    pub title: String,
    pub kind: StepKind,
}

/// The closed list of step kinds; `kind/` has one file for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    File(File),
    Directory(Directory),
    /// Lines that we own inside a file that we do not.
    Block(Block),
    Packages(Packages),
    Repository(Repository),
    Service(Service),
    Sysctls(Vec<(String, String)>),
    Modules(Vec<String>),
    /// No swap: none active, none in fstab, no unit that brings it back.
    SwapOff,
    /// Images present in the runtime's `k8s.io` namespace.
    Images(Vec<String>),
    /// A condition on the facts, looked at before anything is changed.
    Assert(Assert),
    /// Something reached out to before anything is changed, only when the plan has a change that needs it.
    Probe(Probe),
    /// A user's own script with its own check; exit status 0 of `check` means satisfied.
    Script { check: String, run: String },
    /// A verb of ours with a name of its own.
    Action(Action),
}

/// A whole file that we own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub path: String,
    pub content: Content,
    pub mode: u32,
    /// `user:group`.
    pub owner: String,
}

/// What a file shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Text(String),
    /// Known only in the run: the name of a late input and of the file in it. `now` is the content if an
    /// observation already tells it (the cluster lives), so that drift is judged.
    Late { late: super::op::Late, name: String, now: Option<String> },
}

/// A directory that shall exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    pub path: String,
    pub mode: u32,
    pub owner: String,
}

/// Lines between two marks in a file of somebody else's, such as `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub path: String,
    /// The name in the marks: `# BEGIN kbootstrap NAME`.
    pub name: String,
    pub lines: Vec<String>,
}

/// Debian packages at wanted versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packages {
    pub packages: Vec<Package>,
    /// Held afterwards, so that an unattended upgrade never moves them.
    pub hold: bool,
}

/// One wanted package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    /// The exact version; any where absent.
    pub version: Option<String>,
}

/// An apt source with its keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// File name stem under `/etc/apt/sources.list.d` and `/etc/apt/keyrings`.
    pub name: String,
    /// The line after `deb [signed-by=…]`: URL and suite.
    pub source: String,
    pub key_url: String,
    /// The full fingerprint of the signing key, 40 hex digits; any other key is refused.
    pub fingerprint: String,
}

/// A systemd unit that shall be enabled and (where `running`) active, and restarted when what it read changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub unit: String,
    /// `false` for kubelet before init: enabled, and it may crash-loop.
    pub running: bool,
    /// Files whose change makes a restart due; the stamp `/var/lib/kbootstrap/stamps/<unit>` holds the digest of
    /// what it was last restarted with.
    pub watches: Vec<String>,
    /// `reload` keeps connections where the daemon can; else restart.
    pub reload: bool,
    /// POSIX text that must succeed before a restart or reload (haproxy -c).
    pub check: Option<String>,
}

/// Conditions on facts. Each has its reason and way out in `kind/assert.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assert {
    Os,
    Systemd,
    Hostname,
    /// machine-id, MAC and product_uuid unique among all nodes.
    Identity,
    /// Clock offset against the operator within two seconds of the others, and at most ten.
    Clock,
    Memory,
    Cpus,
    Disk,
    /// Ports that Kubernetes needs are free, or held by this cluster's own programs.
    Ports,
    /// No Kubernetes, other than this cluster.
    ForeignState,
    /// The node has the inventory's node-ip on a link.
    NodeIp,
}

/// Things reached out to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The package repository answers and its key is the one wanted.
    Repository { key_url: String, fingerprint: String },
    /// The image registries answer.
    Registry { urls: Vec<String> },
}

/// Verbs of ours; what each does stands in `kind/` (judging) and, where it needs the API, `action/` (doing).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Shared authorities on the first control plane.
    Pki,
    KubeadmInit,
    /// Control plane or worker, by the node's role.
    KubeadmJoin,
    /// Addons and late phases of init that a half-done init lacks.
    KubeadmFinish,
    /// Labels and taints of a node.
    NodeLabels,
    /// ConfigMap `kube-system/kbootstrap`.
    ClusterIdentity,
    /// Pod network and policies.
    Network,
    /// CoreDNS replicas on two nodes.
    CorednsSpread,
    /// Bootstrap tokens of ours removed.
    Tokens,
    /// The named conditions of a healthy cluster.
    Proof,
}
