//! To whom backups are encrypted, and what an archive says of itself.

use serde::{Deserialize, Serialize};

use super::invalid::{Invalid, checked_text};

/// The public half of an age key, which reads nothing: `age1…` (age-encryption.org).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgeRecipient(String);
checked_text!(AgeRecipient);

/// A bech32 text of 32 bytes under `age`.
const LENGTH: usize = 62;

impl AgeRecipient {
    fn check(text: &str) -> Result<(), Invalid> {
        if text.starts_with("AGE-SECRET-KEY-") {
            return Err(Invalid::new("this is a secret key of age, which must not be here")
                .hint("what is needed is its public half: age-keygen -y FILE prints it"));
        }
        let digits = |rest: &str| rest.bytes().all(|byte| b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".contains(&byte));
        match text.strip_prefix("age1") {
            Some(rest) if text.len() == LENGTH && digits(rest) => Ok(()),
            _ => Err(Invalid::new(format!("`{}` is no recipient of age", text.escape_debug()))
                .hint("age-keygen makes a key, and prints its recipient, which begins with `age1`")),
        }
    }
}

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
    /// The control planes of that time; absent in archives of program versions that did not tell.
    #[serde(default)]
    pub control_planes: Vec<Machine>,
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

/// A control plane as the inventory had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub name: String,
    pub address: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_half_is_taken() {
        let good = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudmp87qqkcyqv3";
        assert!(good.len() == LENGTH && AgeRecipient::new(good).is_ok());
        for bad in ["", "age1", "AGE-SECRET-KEY-1QQQ", "ssh-ed25519 AAAA", &good[..61], &good.replace('q', "b")] {
            assert!(AgeRecipient::new(bad).is_err(), "{bad}");
        }
    }
}
