//! The eight files that all control planes of a cluster share.

use std::fmt;

use serde::Serialize;

use crate::model::etcd::EtcdLayout;
use crate::model::mode::Mode;
use crate::model::secret::Secret;

/// Name of a shared file below kubeadm's `certificatesDir`.
///
/// The list is what kubeadm's own `upload-certs` transfers (`phases/copycerts`, `certsToTransfer`). Every other
/// certificate belongs to one node: copied to another it fails the check of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum SharedPath {
    #[serde(rename = "ca.crt")]
    CaCrt,
    #[serde(rename = "ca.key")]
    CaKey,
    #[serde(rename = "front-proxy-ca.crt")]
    FrontProxyCaCrt,
    #[serde(rename = "front-proxy-ca.key")]
    FrontProxyCaKey,
    #[serde(rename = "etcd/ca.crt")]
    EtcdCaCrt,
    #[serde(rename = "etcd/ca.key")]
    EtcdCaKey,
    #[serde(rename = "sa.key")]
    SaKey,
    #[serde(rename = "sa.pub")]
    SaPub,
}

impl SharedPath {
    /// Where kubeadm keeps them by default.
    pub const FOLDER: &'static str = "/etc/kubernetes/pki";

    /// All of them, certificates before their keys.
    pub const ALL: [Self; 8] = [
        Self::CaCrt,
        Self::CaKey,
        Self::FrontProxyCaCrt,
        Self::FrontProxyCaKey,
        Self::EtcdCaCrt,
        Self::EtcdCaKey,
        Self::SaKey,
        Self::SaPub,
    ];

    /// The path below [`SharedPath::FOLDER`]: `ca.crt`, `etcd/ca.key`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CaCrt => "ca.crt",
            Self::CaKey => "ca.key",
            Self::FrontProxyCaCrt => "front-proxy-ca.crt",
            Self::FrontProxyCaKey => "front-proxy-ca.key",
            Self::EtcdCaCrt => "etcd/ca.crt",
            Self::EtcdCaKey => "etcd/ca.key",
            Self::SaKey => "sa.key",
            Self::SaPub => "sa.pub",
        }
    }

    /// Where it lies on a control plane: all of them in [`SharedPath::FOLDER`], but for the key of etcd's authority where kubeadm
    /// does not run etcd.
    pub fn at(self, etcd: EtcdLayout) -> String {
        match self {
            Self::EtcdCaKey => etcd.ca_key().to_owned(),
            _ => format!("{}/{self}", Self::FOLDER),
        }
    }

    /// The file of this path below the folder; absent where it is none of the eight.
    pub fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shared| shared.as_str() == path)
    }

    /// Permission bits as kubeadm sets them: certificates are public, keys are root's, and so is `sa.pub`, which
    /// kubeadm writes by the same call as a key.
    pub const fn mode(self) -> Mode {
        match self {
            Self::CaCrt | Self::FrontProxyCaCrt | Self::EtcdCaCrt => Mode::PUBLIC,
            Self::CaKey | Self::FrontProxyCaKey | Self::EtcdCaKey | Self::SaKey | Self::SaPub => Mode::PRIVATE,
        }
    }
}

impl fmt::Display for SharedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One shared file with its content. Public ones are secrets too here: one type, one way to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedFile {
    pub path: SharedPath,
    /// PEM.
    pub content: Secret<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_again_and_nothing_else_is() {
        for path in SharedPath::ALL {
            assert_eq!(SharedPath::of(path.as_str()), Some(path));
            assert_eq!(serde_json::to_value(path).unwrap(), path.as_str());
        }
        assert_eq!(SharedPath::of("apiserver.crt"), None);
    }

    #[test]
    fn one_key_alone_lies_elsewhere_where_etcd_is_a_service() {
        let elsewhere =
            SharedPath::ALL.into_iter().filter(|path| !path.at(EtcdLayout::Service).starts_with(SharedPath::FOLDER));
        assert_eq!(elsewhere.collect::<Vec<_>>(), [SharedPath::EtcdCaKey]);
        assert_eq!(SharedPath::EtcdCaKey.at(EtcdLayout::Stacked), "/etc/kubernetes/pki/etcd/ca.key");
        assert!(SharedPath::EtcdCaKey.at(EtcdLayout::Service).starts_with(EtcdLayout::AUTHORITY_FOLDER));
    }
}
