//! The authorities as values.

use std::fmt;

use serde::Serialize;

use super::{SharedFile, SharedPath};
use crate::model::secret::Secret;

/// Which authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// Signs API servers, kubelets and users.
    Kubernetes,
    /// Signs the front of aggregated API servers.
    FrontProxy,
    /// Signs members and clients of etcd.
    Etcd,
    /// Signs the tokens of service accounts; a bare key pair.
    ServiceAccounts,
}

impl Authority {
    /// The common name that kubeadm gives the certificate, and its only DNS name; absent for the bare key pair.
    pub const fn common_name(self) -> Option<&'static str> {
        match self {
            Self::Kubernetes => Some("kubernetes"),
            Self::FrontProxy => Some("front-proxy-ca"),
            Self::Etcd => Some("etcd-ca"),
            Self::ServiceAccounts => None,
        }
    }

    /// The public file and the key.
    pub const fn files(self) -> (SharedPath, SharedPath) {
        match self {
            Self::Kubernetes => (SharedPath::CaCrt, SharedPath::CaKey),
            Self::FrontProxy => (SharedPath::FrontProxyCaCrt, SharedPath::FrontProxyCaKey),
            Self::Etcd => (SharedPath::EtcdCaCrt, SharedPath::EtcdCaKey),
            Self::ServiceAccounts => (SharedPath::SaPub, SharedPath::SaKey),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kubernetes => "the authority of the cluster",
            Self::FrontProxy => "the authority of the front proxy",
            Self::Etcd => "the authority of etcd",
            Self::ServiceAccounts => "the key pair of service accounts",
        })
    }
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub certificate: String,
    pub key: Secret<String>,
}

/// A public key and its private one, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningPair {
    /// SubjectPublicKeyInfo: kubeadm does not accept the older `RSA PUBLIC KEY`.
    pub public: String,
    pub key: Secret<String>,
}

/// The four authorities of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    pub kubernetes: Pair,
    pub front_proxy: Pair,
    pub etcd: Pair,
    pub service_accounts: SigningPair,
}

impl Authorities {
    /// The eight files, in the order of [`SharedPath::ALL`].
    pub fn files(&self) -> Vec<SharedFile> {
        SharedPath::ALL.into_iter().map(|path| SharedFile { path, content: self.content(path) }).collect()
    }

    /// The content of one file.
    pub fn content(&self, path: SharedPath) -> Secret<String> {
        let public = |text: &String| Secret::new(text.clone());
        match path {
            SharedPath::CaCrt => public(&self.kubernetes.certificate),
            SharedPath::CaKey => self.kubernetes.key.clone(),
            SharedPath::FrontProxyCaCrt => public(&self.front_proxy.certificate),
            SharedPath::FrontProxyCaKey => self.front_proxy.key.clone(),
            SharedPath::EtcdCaCrt => public(&self.etcd.certificate),
            SharedPath::EtcdCaKey => self.etcd.key.clone(),
            SharedPath::SaKey => self.service_accounts.key.clone(),
            SharedPath::SaPub => public(&self.service_accounts.public),
        }
    }
}
