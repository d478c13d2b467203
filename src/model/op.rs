//! Ops: what a run does, one at a time. An op says "make it so", never "apply this difference"; a destructive one
//! repeats its precondition in the same script.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{drain::OnBlocked, facts::ClusterIdentity, name::NodeName, rolling::Settle, rotation::Workload};

/// One change of a node or of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Public name of the op's kind: `file.write`, `apt.install`, `kubeadm.init`.
    pub kind: &'static str,
    /// One line for a person: "write /etc/containerd/config.toml".
    pub what: String,
    pub work: Work,
    /// The longest that it may take, in seconds; it is ended then.
    pub timeout_s: u32,
}

/// Where an op works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// POSIX text run as root in the node's batch (`set -eu` is on; standard input is `/dev/null`). Late inputs lie as
    /// files of mode 0600 under `$KB_IN`, named as [`Late`] says.
    Node { script: String, inputs: Vec<Late> },
    /// A call of the Kubernetes API by the operator's program.
    Cluster(ClusterOp),
}

/// What cannot be known when planning: a closed list. Each is shown as "known after STEP".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Late {
    /// The authorities with their keys: `pki/ca.crt`, `pki/ca.key`, `pki/front-proxy-ca.crt`, `…key`, `pki/etcd/ca.crt`,
    /// `…key`, `pki/sa.key`, `pki/sa.pub`.
    SharedPki,
    /// The cluster's authority, certificate only: `ca.crt`.
    ClusterCa,
    /// `cluster.toml`: cluster id, name, digest of the authority's public key.
    Identity,
    /// What a member of etcd shows and asks with, signed for this node: `etcd/ca.crt`, `etcd/member.crt`, `etcd/member.key`.
    EtcdMember,
    /// The same, signed by the authority that shall take the place of the present one: `etcd/member.crt`, `etcd/member.key`.
    NextEtcdMember,
    /// The authorities that shall take the place of the present ones, without the key pair of service accounts: `next/ca.crt`
    /// and so on.
    NextPki,
    /// A bootstrap token: `token` (the text `abcdef.0123456789abcdef`).
    JoinToken,
    /// The key of the S3 account that backups are sent to: `s3` (its id and its secret, a line each).
    S3Key,
    /// The keys that Secrets are encrypted with.
    Encryption(Keys),
}

/// Files with keys for Secrets, under `encryption/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keys {
    /// `config.yaml`: what the control planes have; made where a cluster is formed and none has any.
    Present,
    /// `second.yaml`, `first.yaml`: the way to the first key of a cluster that lives.
    First,
    /// `before.yaml`, `second.yaml`, `first.yaml`, `only.yaml`: the way from the present key to the next one.
    Next,
}

/// Calls of the Kubernetes API. Objects are changed by server-side apply or patch, never by replacing a typed read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterOp {
    /// Server-side apply of every document in a YAML text, in order. `set` names it: `flannel`, `kube-router`.
    Apply { set: String, yaml: String },
    /// Write ConfigMap `kube-system/kbootstrap` from the run's identity.
    WriteIdentity,
    /// The labels and taints that this program owns on a node. Labels: all that shall be (with a value) and those of
    /// ours that shall go (`None`). Taints: all of ours that shall be; others of ours go, foreign ones (a kubelet's
    /// `not-ready`) stay. `None` leaves taints alone. What is ours is remembered in two annotations of the node.
    PatchNode { node: NodeName, labels: Vec<(String, Option<String>)>, taints: Option<Vec<NodeTaint>> },
    /// Let no new pods onto a node. One that takes none already is left as it is; one that this call closed is marked
    /// ([`CORDONED`](super::drain::CORDONED)).
    Cordon { node: NodeName },
    /// Evict every pod that can run elsewhere, and wait until they are gone; the op's time limit is that of evictions.
    /// Pods that would lose data are evicted only with `delete_local_data`. Where it fails, what [`Cordon`](Self::Cordon)
    /// closed is opened again.
    Drain { node: NodeName, on_blocked: OnBlocked, delete_local_data: bool },
    /// Let pods onto a node again, if it was [`Cordon`](Self::Cordon) that closed it.
    Uncordon { node: NodeName },
    /// Give the leadership of etcd to another voter, if this control plane's member has it.
    MoveEtcdLeader { from: NodeName },
    /// Take a node's member out of etcd, asked of another member, if the rest keeps its quorum; and see by the list that it
    /// is gone. `peer` is its peer URL, by which one that never started is known.
    RemoveEtcdMember { node: NodeName, peer: String },
    /// Delete a node's object; with a machine-id only if it is that machine's.
    DeleteNode { node: NodeName, machine_id: Option<String> },
    /// Move one replica of CoreDNS if all of them share a node and another node could take one.
    SpreadCoredns,
    /// Remove bootstrap tokens that a run of ours made.
    DeleteTokens,
    /// Write every Secret anew, so that the key that writes now has encrypted it, and see by etcd that it is so. That key must
    /// be the same on all control planes.
    RewriteSecrets,
    /// Wait until every named condition holds; fails with those that do not. With `probe` (an image), pods are started
    /// that ask DNS and connect across nodes, and are removed after. etcd shall have so many `members`.
    Prove { nodes: Vec<NodeName>, control_planes: Vec<NodeName>, members: usize, probe: Option<String> },
    /// On each of these nodes, let the local proxy send nothing new to this control plane's API server, close what is
    /// open to it, and use every other again. A node undoes it by itself after a while, should nobody come back to it.
    Divert { server: NodeName, nodes: Vec<NodeName> },
    /// On each of these nodes, let the local proxy use every API server again.
    Return { nodes: Vec<NodeName> },
    /// Let the cluster's objects trust these authorities (PEM) and no other: `cluster-info`, what extension API servers read,
    /// and `kube-root-ca.crt` of every namespace, which is waited for. With `record`, the digest of a certificate, note since
    /// when that one is trusted.
    Trust { kubernetes: String, front_proxy: String, record: Option<String> },
    /// Have these make their pods anew, until none is older than the trust in this authority (a certificate's digest).
    RestartWorkloads { workloads: Vec<Workload>, authority: String },
    /// Write ConfigMap `kube-system/kbootstrap` with the digest of another authority.
    AdoptIdentity(ClusterIdentity),
    /// Remove what [`Trust`](Self::Trust) noted.
    ForgetRotation,
    /// Wait until a node has come well out of what was done to it.
    Settle(Settle),
}

/// A taint as the API has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeTaint {
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub effect: String,
}

impl Op {
    /// SHA-256 (hex) over all that the op is: its kind, its text or call, the names of its late inputs.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        part(self.kind);
        part(&self.what);
        match &self.work {
            Work::Node { script, inputs } => {
                part("node");
                part(script);
                part(&format!("{inputs:?}"));
            }
            Work::Cluster(call) => {
                part("cluster");
                part(&format!("{call:?}"));
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
