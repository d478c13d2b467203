//! What an archive says of itself.

use serde::{Deserialize, Serialize};

/// The first entry of every archive (`kbootstrap.backup/v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub schema: String,
    /// The cluster's name and random id.
    pub cluster: String,
    pub id: String,
    pub kubernetes: String,
    /// The control plane that it was taken on.
    pub node: String,
    /// RFC 3339.
    pub taken: String,
    pub program: String,
    /// What etcd says of its snapshot.
    pub etcd: Snapshot,
    pub parts: Vec<Part>,
}

/// `etcdctl snapshot status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub hash: u64,
    pub revision: u64,
    #[serde(rename = "totalKey")]
    pub keys: u64,
    #[serde(rename = "totalSize")]
    pub bytes: u64,
}

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    pub bytes: u64,
    /// SHA-256, hex.
    pub sha256: String,
}

/// The only schema there is.
pub const SCHEMA: &str = "kbootstrap.backup/v1";
