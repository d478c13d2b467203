//! Facts of a machine, as one observation read them. Each part is filled by the file of its name in `facts/`.

use std::collections::BTreeMap;

use serde::Serialize;

/// All facts of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    pub os: Os,
    pub identity: Identity,
    pub clock: Clock,
    pub hardware: Hardware,
    /// Free bytes by mount point asked for: `/`, `/var/lib` …
    pub disks: BTreeMap<String, Disk>,
    pub links: Vec<Link>,
    pub ports: Vec<ListeningPort>,
    pub kubernetes: Kubernetes,
    pub runs: Runs,
}

/// The operating system, from `/etc/os-release` and `uname`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Os {
    /// `ubuntu`, `debian`.
    pub id: String,
    /// `24.04`, `12`.
    pub version: String,
    pub codename: String,
    pub pretty: String,
    pub kernel: String,
    /// Debian's word: `amd64`, `arm64`.
    pub arch: String,
    /// systemd's version; absent where PID 1 is not systemd.
    pub systemd: Option<u32>,
    /// Whether systemd-resolved serves `/etc/resolv.conf` (a stub at 127.0.0.53).
    pub resolved_stub: bool,
}

/// What must be unique among nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    pub hostname: String,
    pub machine_id: String,
    /// DMI product UUID, where the machine has one.
    pub product_uuid: Option<String>,
}

/// The node's clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Clock {
    /// Unix time when the script began, seconds with fraction.
    pub unix: f64,
    /// The node's clock less the operator's as far as it is certain: what the script's round trip can explain is left
    /// out, so two clocks that may agree differ by 0. Set by `gather`.
    pub offset_s: Option<f64>,
    /// A time daemon that is active: `chrony`, `systemd-timesyncd`, `ntpsec`, …
    pub daemon: Option<String>,
}

/// Processors and memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hardware {
    pub cpus: u32,
    pub memory_bytes: u64,
    /// Active swap devices and files, from `/proc/swaps`.
    pub swaps: Vec<String>,
    /// Lines of `/etc/fstab` that would bring swap back at the next boot, as they stand there.
    pub fstab_swaps: Vec<String>,
}

/// One file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Disk {
    pub size_bytes: u64,
    pub free_bytes: u64,
}

/// A network link with its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    pub name: String,
    pub mac: String,
    pub mtu: u32,
    /// `10.0.0.1/24`.
    pub addresses: Vec<String>,
}

/// A TCP port that something listens on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListeningPort {
    pub port: u16,
    /// The program's name, where it can be told.
    pub program: Option<String>,
}

/// Traces of Kubernetes on the node's disk, and etcd's own word.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Kubernetes {
    /// `/var/lib/kbootstrap/cluster.toml`, if there is one.
    pub identity: Option<ClusterIdentity>,
    /// Names under `/etc/kubernetes` that exist: `admin.conf`, `kubelet.conf`, `super-admin.conf`, …
    pub configs: Vec<String>,
    /// Names under `/etc/kubernetes/manifests`.
    pub manifests: Vec<String>,
    /// `/etc/kubernetes/pki/ca.crt`, PEM.
    pub ca_crt: Option<String>,
    /// Names of the eight shared files that exist, wherever the layout of etcd has them: `ca.crt`, `etcd/ca.key`, …
    pub shared_pki: Vec<String>,
    /// Whether `/var/lib/etcd/member` exists.
    pub etcd_data: bool,
    /// Whether etcd as a service has data here.
    pub etcd_service: bool,
    /// Whether a conversion of etcd to a service is in its midst here
    /// ([`KEPT_MANIFEST`](super::etcd::EtcdLayout::KEPT_MANIFEST)).
    pub etcd_taken: bool,
    /// Whether a snapshot lies here that the next init begins from: a restore that has not come to its end.
    pub restoring: bool,
    /// What the local etcd says; absent where none runs or it does not answer.
    pub etcd: Option<Etcd>,
    /// HTTP status of `https://127.0.0.1:6443/readyz`; absent where nothing answers.
    pub readyz: Option<u16>,
    /// Encryption of Secrets at rest; absent where the machine has no trace of it.
    pub encryption: Option<Encryption>,
}

/// What a control plane has for encrypting Secrets: names and digests, never a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Encryption {
    /// The file of keys; absent where it is not there.
    pub file: Option<EncryptionFile>,
    /// Whether the API server's manifest names that file.
    pub flag: bool,
    /// Whether Secrets of before encryption may still be plain ([`PENDING`](super::encryption::PENDING)).
    pub pending: bool,
}

/// The file of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EncryptionFile {
    /// Names of keys, and `identity`, in their order; whatever is otherwise in a file of somebody else's is not told.
    pub providers: Vec<String>,
    /// SHA-256 of all of it, hex.
    pub sha256: String,
    /// Permission bits and owner: `600 root:root`.
    pub mode: String,
}

impl Kubernetes {
    /// Whether this machine carries state of a cluster: anything that kubeadm or its etcd wrote. Our own preparation
    /// (identity, packages, a member of etcd as a service that no API server has used) is not state.
    pub fn has_state(&self) -> bool {
        self.etcd_data || !self.configs.is_empty() || !self.manifests.is_empty()
    }

    /// Whether anything of a cluster is here that goes when the machine leaves it.
    pub fn has_anything(&self) -> bool {
        self.has_state() || self.etcd_service
    }

    /// Names of the keys that Secrets may be encrypted with here.
    pub fn keys(&self) -> Vec<String> {
        let file = self.encryption.as_ref().and_then(|encryption| encryption.file.as_ref());
        let providers = file.map(|file| file.providers.clone()).unwrap_or_default();
        providers.into_iter().filter(|provider| provider != "identity").collect()
    }
}

/// The identity that every node of a cluster carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterIdentity {
    /// 16 random bytes, hex.
    pub id: String,
    pub name: String,
    /// SHA-256 (hex) of the authority's SubjectPublicKeyInfo, as kubeadm's `caCertHashes` has it.
    pub ca_sha256: String,
}

/// etcd as its member on this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Etcd {
    pub members: Vec<EtcdMember>,
    /// Id of the leader, hex; absent without quorum.
    pub leader: Option<String>,
    /// This node's member id, hex.
    pub member: String,
    pub db_bytes: u64,
    /// Of them what is in use; the rest is given back by a defragmentation.
    pub db_in_use_bytes: u64,
    pub version: String,
    pub alarms: Vec<String>,
    /// Whether key `/registry/configmaps/kube-system/kubeadm-config` is there, asked with quorum (`/v3/kv/range`,
    /// `count_only`); absent where no answer came. It tells a half-done init where the API server does not run.
    pub kubeadm_config: Option<bool>,
}

impl Etcd {
    /// Whether the member that was asked is the leader.
    pub fn leads(&self) -> bool {
        self.leader.as_ref() == Some(&self.member)
    }
}

/// One member of etcd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EtcdMember {
    /// Hex, as etcdctl prints it.
    pub id: String,
    /// Empty until the member has started.
    pub name: String,
    pub peer_urls: Vec<String>,
    pub learner: bool,
}

/// Work of ours that is on the node now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Runs {
    /// Active units `kbootstrap-batch-*`.
    pub active_batches: Vec<String>,
    /// The holder of the node's lock, as it described itself; absent where the lock is free.
    pub lock_holder: Option<String>,
}
