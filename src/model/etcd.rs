//! Where etcd lives on a node: the one place that names its folders and manifest.

use serde::Serialize;

/// How the members of etcd run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EtcdLayout {
    /// A static pod on each control plane, managed by kubeadm. What one, three and more control planes get.
    Stacked,
    /// A systemd service, managed by this program.
    Service,
}

impl EtcdLayout {
    /// The port that clients use.
    pub const CLIENT_PORT: u16 = 2379;
    /// The port that members use among themselves.
    pub const PEER_PORT: u16 = 2380;

    /// The folder of a member's data.
    ///
    /// `kubeadm reset` wipes `/var/lib/etcd` even where etcd is external, workers included, so a service keeps away
    /// from it.
    pub const fn data_folder(self) -> &'static str {
        match self {
            Self::Stacked => "/var/lib/etcd",
            Self::Service => "/var/lib/kbootstrap/etcd",
        }
    }

    /// The static pod's manifest, absent where etcd is a service.
    pub const fn manifest(self) -> Option<&'static str> {
        match self {
            Self::Stacked => Some("/etc/kubernetes/manifests/etcd.yaml"),
            Self::Service => None,
        }
    }

    /// The authority that signs every certificate of etcd.
    pub const fn ca_certificate(self) -> &'static str {
        "/etc/kubernetes/pki/etcd/ca.crt"
    }

    /// Certificate and key that may ask a member for its health and its members.
    pub const fn client_certificate(self) -> (&'static str, &'static str) {
        ("/etc/kubernetes/pki/etcd/healthcheck-client.crt", "/etc/kubernetes/pki/etcd/healthcheck-client.key")
    }
}

impl std::fmt::Display for EtcdLayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Stacked => "stacked",
            Self::Service => "service",
        })
    }
}
