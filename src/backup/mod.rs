//! Backups on the operator's machine: one archive, encrypted to age recipients, of all that makes a cluster what it is.
//!
//! ```text
//! NAME-20261121-190000.backup.age      age, in it a tar:
//!   manifest.json                      of which cluster, in which versions, and the digest of each file below
//!   etcd.db                            a snapshot of etcd
//!   files.tar                          /etc/kubernetes, /etc/kbootstrap and the node's note of its cluster
//! ```

mod archive;
mod kept;
mod lay;
mod part;
mod take;
#[cfg(test)]
mod tests;

pub use crate::render::schedule::SUFFIX;
pub use archive::{Verified, verify};
pub use kept::{age, fetch, health, read as kept_read};
pub use lay::lay;
pub use take::{Taken, take};

/// Why a backup could not be taken, or is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BackupError(pub String);

impl BackupError {
    fn of(what: &str) -> impl Fn(std::io::Error) -> Self + '_ {
        move |why| Self(format!("{what}: {why}"))
    }
}
