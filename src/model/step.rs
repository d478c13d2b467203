//! Steps: what shall be true of a node, one typed thing each. A playbook's template becomes steps once its values
//! are resolved for one node.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{mode::Mode, op::Late, timeout::Timeout};

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
    /// On which machines it belongs: what only the machine itself can tell.
    pub only: Only,
    pub kind: StepKind,
}

/// The part of a step's `when` that is decided by a machine's facts; empty lists mean any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// `debian`, `ubuntu`, or with the version: `ubuntu-24.04`.
    pub os: Vec<String>,
    /// Debian's words: `amd64`, `arm64`.
    pub arch: Vec<String>,
}

impl Only {
    /// Whether a machine with this operating system is meant.
    pub fn fits(&self, os: &super::facts::Os) -> bool {
        let versioned = format!("{}-{}", os.id, os.version);
        (self.os.is_empty() || self.os.iter().any(|wanted| *wanted == os.id || *wanted == versioned))
            && (self.arch.is_empty() || self.arch.contains(&os.arch))
    }
}

/// The closed list of step kinds; `kind/` has one file for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    File(File),
    Directory(Directory),
    /// Lines that we own inside a file that we do not.
    Block(Block),
    /// All of them in one transaction of apt.
    Packages(Vec<PackageWish>),
    Repository(Repository),
    Service(Service),
    Sysctls(Sysctls),
    Modules(Vec<String>),
    /// No swap: none active, none in fstab, no unit that brings it back.
    SwapOff,
    Time(Time),
    /// Images present in the runtime's `k8s.io` namespace.
    Images(Vec<String>),
    /// A condition on the facts, looked at before anything is changed.
    Assert(Assert),
    /// Something reached out to before anything is changed, only when the plan has a change that needs it.
    Probe(Probe),
    Script(Script),
    /// A verb of ours with a name of its own.
    Action(Action),
}

/// A whole file that we own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub path: String,
    pub content: Content,
    pub mode: Mode,
    /// `user:group`.
    pub owner: String,
}

/// What a file shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Text(String),
    /// Known only in the run, or once the cluster lives.
    Late(LateFile),
}

/// Files whose content cannot always be known when planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LateFile {
    /// The cluster's authority, certificate only.
    ClusterCa,
    /// The identity that every node of a cluster carries.
    Identity,
}

impl LateFile {
    /// The late input that holds it in a run.
    pub const fn late(self) -> Late {
        match self {
            Self::ClusterCa => Late::ClusterCa,
            Self::Identity => Late::Identity,
        }
    }

    /// The file's name below `$KB_IN`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClusterCa => "ca.crt",
            Self::Identity => "cluster.toml",
        }
    }
}

/// A directory that shall exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    pub path: String,
    pub mode: Mode,
    pub owner: String,
}

/// Lines between two marks in a file of somebody else's, such as `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub path: String,
    /// The name in the marks: `# BEGIN kbootstrap NAME`.
    pub name: String,
    pub lines: Vec<String>,
    /// A file that is not there is left so; without this it is made.
    pub optional: bool,
}

/// A Debian package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    /// The exact version, or its beginning with `*`; any where absent.
    pub version: Option<String>,
}

/// A package as a step wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageWish {
    pub package: Package,
    /// Held afterwards, so that an unattended upgrade never moves it.
    pub hold: bool,
    /// Not wanted where something else already does the same.
    pub unless: Option<Unless>,
}

/// What makes a package needless on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unless {
    /// A time daemon runs, or the clock is not the machine's own.
    TimeKept,
}

/// An apt source with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// File name stem under `/etc/apt/sources.list.d` and `/etc/apt/keyrings`.
    pub name: String,
    /// What stands after `deb [signed-by=…]`: URL and suite.
    pub source: String,
    pub key_url: String,
    /// The full fingerprint of the signing key, 40 hex digits in upper case; any other key is refused.
    pub fingerprint: String,
}

/// A systemd unit and what it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// With its suffix: `containerd.service`.
    pub unit: String,
    pub state: ServiceState,
    /// Files whose change makes a restart due; the stamp `/var/lib/kbootstrap/stamps/<unit>` holds the digest of
    /// what it was last restarted with.
    pub watches: Vec<Watch>,
    /// `reload` keeps connections where the daemon can; else restart.
    pub reload: bool,
    /// POSIX text that must succeed before a restart or reload (haproxy -c).
    pub check: Option<String>,
}

/// What a unit shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// Enabled and active.
    Running,
    /// Enabled; whether it runs is somebody else's affair (kubelet before it joined).
    Enabled,
    /// Masked before its package is installed, so that it never starts. A unit that is there already is somebody's
    /// own, and is left alone.
    Masked,
}

/// A file whose change makes a restart due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub path: String,
    /// What an earlier step of the same node puts there; absent where the file is not ours.
    pub wanted: Option<Content>,
}

/// Kernel parameters by their dotted names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sysctls {
    /// Exactly this value.
    pub exact: Vec<(String, String)>,
    /// This value or more: a machine that was given more keeps it.
    pub at_least: Vec<(String, u64)>,
}

/// A clock that is kept right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Servers to ask; empty where the distribution's own are kept.
    pub servers: Vec<String>,
}

/// A user's own script with its own check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Read-only POSIX text; exit status 0 means satisfied.
    pub check: String,
    /// POSIX text that makes it so.
    pub run: String,
    pub timeout: Timeout,
}

/// Conditions on facts. Each has its reason and way out in `kind/assert/`.
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
    /// The disk under the data of the node's member of etcd takes writes fast enough.
    EtcdDisk,
}

/// Verbs of ours; what each does stands in `kind/` (judging) and, where it needs the API, `action/` (doing).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Shared authorities on the leading control plane.
    Pki,
    /// The file of keys that Secrets are encrypted with.
    Encryption,
    /// A member of etcd as a service, where the cluster has it so.
    EtcdMember,
    /// On the leading control plane: the whole of init, and the late phases that an init which died lacks.
    KubeadmInit,
    /// Control plane or worker, by the node's role.
    KubeadmJoin,
    /// Flags of the programs that kubeadm runs on a control plane.
    StaticPods,
    /// kubelet's configuration on a node that has joined.
    KubeletConfig,
    /// Labels and taints of a node.
    NodeLabels,
    /// The timer by which a control plane takes backups.
    BackupSchedule,
    /// ConfigMap `kube-system/kbootstrap`.
    ClusterIdentity,
    /// What kubeadm keeps in the cluster's ConfigMaps.
    ClusterConfig,
    /// Pod network and policies.
    Network,
    /// CoreDNS replicas on two nodes.
    CorednsSpread,
    /// Bootstrap tokens of ours removed.
    Tokens,
    /// The named conditions of a healthy cluster.
    Proof,
}
