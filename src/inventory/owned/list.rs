//! The list itself.

/// A key that the program owns.
#[derive(Debug, Clone, Copy)]
pub struct Owned {
    /// Which override table.
    pub table: &'static str,
    /// The key and the tables around it.
    pub path: &'static [&'static str],
    /// What to do instead.
    pub instead: Instead,
}

/// The way to what an owned key would do.
#[derive(Debug, Clone, Copy)]
pub enum Instead {
    /// Another key of the inventory.
    Key(&'static str),
    /// There is none, for this reason.
    Reason(&'static str),
}

use Instead::{Key, Reason};

const VERSION: Instead = Reason("it follows from the version of Kubernetes");
const FOLDERS: Instead = Reason("kbootstrap keeps to kubeadm's own folders");
const CGROUPS: Instead = Reason("runtime and kubelet must agree; kbootstrap sets both to systemd");

const fn own(table: &'static str, path: &'static [&'static str], instead: Instead) -> Owned {
    Owned { table, path, instead }
}

const CRI_V2: &str = "io.containerd.grpc.v1.cri";
const CRI_V3_IMAGES: &str = "io.containerd.cri.v1.images";
const CRI_V3_RUNTIME: &str = "io.containerd.cri.v1.runtime";

/// Every owned key. Fields of kubeadm's and the components' configuration are those of v1.30 and v1.31.
#[rustfmt::skip]
pub const OWNED: &[Owned] = &[
    own("cluster", &["apiVersion"], VERSION),
    own("cluster", &["kind"], VERSION),
    own("cluster", &["kubernetesVersion"], Key("cluster.kubernetes")),
    own("cluster", &["clusterName"], Key("cluster.name")),
    own("cluster", &["controlPlaneEndpoint"], Key("cluster.endpoint")),
    own("cluster", &["certificatesDir"], FOLDERS),
    own("cluster", &["imageRepository"], Key("cluster.image-repository")),
    own("cluster", &["networking", "podSubnet"], Key("cluster.pod-cidr")),
    own("cluster", &["networking", "serviceSubnet"], Key("cluster.service-cidr")),
    own("cluster", &["networking", "dnsDomain"], Key("cluster.dns-domain")),
    own("cluster", &["apiServer", "certSANs"], Key("cluster.extra-sans")),
    own("cluster", &["apiServer", "extraArgs", "advertise-address"], Key("node.node-ip")),
    own("cluster", &["apiServer", "extraArgs", "secure-port"], Reason("every API server listens on 6443")),
    own("cluster", &["apiServer", "extraArgs", "service-cluster-ip-range"], Key("cluster.service-cidr")),
    own("cluster", &["apiServer", "extraArgs", "etcd-servers"], Reason("kbootstrap looks after etcd")),
    own("cluster", &["controllerManager", "extraArgs", "cluster-cidr"], Key("cluster.pod-cidr")),
    own("cluster", &["controllerManager", "extraArgs", "service-cluster-ip-range"], Key("cluster.service-cidr")),
    own("cluster", &["controllerManager", "extraArgs", "allocate-node-cidrs"], Key("cluster.pod-cidr")),
    own("cluster", &["controllerManager", "extraArgs", "node-cidr-mask-size"], Key("cluster.node-mask")),
    own("cluster", &["controllerManager", "extraArgs", "node-cidr-mask-size-ipv4"], Key("cluster.node-mask")),
    own("cluster", &["controllerManager", "extraArgs", "node-cidr-mask-size-ipv6"], Key("cluster.node-mask-v6")),
    own("cluster", &["dns", "imageRepository"], Key("cluster.image-repository")),
    own("cluster", &["dns", "imageTag"], VERSION),
    own("cluster", &["dns", "disabled"], Reason("a cluster is only done when its DNS answers")),
    own("cluster", &["etcd", "external"], Reason("kbootstrap looks after etcd")),
    own("cluster", &["etcd", "local", "dataDir"], FOLDERS),
    own("cluster", &["etcd", "local", "imageRepository"], Key("cluster.image-repository")),
    own("cluster", &["encryptionAlgorithm"], Reason("kbootstrap makes the authorities' keys")),
    own("kubelet", &["apiVersion"], VERSION),
    own("kubelet", &["kind"], VERSION),
    own("kubelet", &["clusterDNS"], Key("cluster.service-cidr")),
    own("kubelet", &["clusterDomain"], Key("cluster.dns-domain")),
    own("kubelet", &["cgroupDriver"], CGROUPS),
    own("kubelet", &["containerRuntimeEndpoint"], Key("runtime.kind")),
    own("kubelet", &["staticPodPath"], FOLDERS),
    own("kubelet", &["rotateCertificates"], Reason("kubeadm always turns it on")),
    own("kubelet", &["authentication", "x509", "clientCAFile"], FOLDERS),
    own("kubelet", &["healthzPort"], Reason("kubeadm and kbootstrap ask there")),
    own("kubelet", &["healthzBindAddress"], Reason("kubeadm and kbootstrap ask there")),
    own("kubelet", &["podCIDR"], Key("cluster.pod-cidr")),
    own("kubelet", &["registerWithTaints"], Key("node.taints")),
    own("kube-proxy", &["apiVersion"], VERSION),
    own("kube-proxy", &["kind"], VERSION),
    own("kube-proxy", &["clusterCIDR"], Key("cluster.pod-cidr")),
    own("kube-proxy", &["clientConnection", "kubeconfig"], FOLDERS),
    own("kube-proxy", &["hostnameOverride"], Key("node.name")),
    own("containerd", &["version"], Reason("it follows from the version of containerd")),
    own("containerd", &["root"], FOLDERS),
    own("containerd", &["state"], FOLDERS),
    own("containerd", &["grpc", "address"], FOLDERS),
    own("containerd", &["disabled_plugins"], Reason("kubelets need the plugin for CRI")),
    own("containerd", &["plugins", CRI_V2, "sandbox_image"], VERSION),
    own("containerd", &["plugins", CRI_V3_IMAGES, "pinned_images", "sandbox"], VERSION),
    own("containerd", &["plugins", CRI_V2, "containerd", "runtimes", "runc", "options", "SystemdCgroup"], CGROUPS),
    own("containerd", &["plugins", CRI_V3_RUNTIME, "containerd", "runtimes", "runc", "options", "SystemdCgroup"], CGROUPS),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::keys;

    #[test]
    fn every_way_out_is_a_key() {
        for owned in OWNED {
            if let Key(key) = owned.instead {
                let table = format!("{key}.");
                let known = keys::find(key).is_some() || keys::KEYS.iter().any(|known| known.path.starts_with(&table));
                assert!(known, "{key}");
            }
        }
    }
}
