//! The authorities of a cluster exchanged for new ones: what is looked at on a node, and the ops that change it. Which of
//! them is due when is `plan::rotate`'s.
//!
//! While it goes on each control plane keeps both in [`FOLDER`], so that a run that died is gone on with from there.

mod look;
mod ops;

pub use look::{ASKED, File, Sight, script};
pub use ops::{authority, backup, clean, configs, prove, stage, trust};

use crate::pki::Authority;

/// Where a control plane keeps old and new authorities until the exchange is finished. Below kubeadm's own folder: a reset
/// takes it along, and so does a backup.
pub const FOLDER: &str = "/etc/kubernetes/pki/rotation";

/// The one certificate that the controller manager signs with: it ends itself over a file that holds more than one
/// (`newCAProvider` in pkg/controller/certificates/signer of 1.30 and 1.31), as `ca.crt` does meanwhile.
pub const SIGNING: &str = "/etc/kubernetes/pki/rotation/signing.crt";

/// The authorities that are exchanged. The key pair of service accounts is not: tokens that it signed have no end of their own.
pub const AUTHORITIES: [Authority; 3] = [Authority::Kubernetes, Authority::FrontProxy, Authority::Etcd];

/// Kubeconfigs that kubeadm writes, the second one only where `init` ran.
pub const CONFIGS: [&str; 5] =
    ["admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf", "kubelet.conf"];

/// The programs of a control plane, as containers are called.
pub const SERVERS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// Where kubelet's own certificate is.
pub const KUBELET: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// Which authority signs what is in this file.
pub fn signer(path: &str) -> Authority {
    if path.contains("/pki/etcd/") || path.ends_with("/apiserver-etcd-client.crt") {
        Authority::Etcd
    } else if path.ends_with("/front-proxy-client.crt") {
        Authority::FrontProxy
    } else {
        Authority::Kubernetes
    }
}
