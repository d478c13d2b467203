//! The cluster as it is wanted: what an inventory says once everything in it was checked.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};

use super::backup::{AgeRecipient, Schedule};
use super::encryption::EncryptionProvider;
use super::etcd::EtcdLayout;
use super::image::{ImageRepository, ImageTag};
use super::invalid::Invalid;
use super::name::{ClusterName, DnsName, Host, NodeName};
use super::net::{Cidr, Families, Family, HasFamily};
use super::package::{PackageName, PackageVersion};
use super::release::Release;
use super::s3::S3Spec;
use super::version::KubeVersion;

pub use super::node::{NodeSpec, Role};
pub use super::package::RepositorySpec;

/// The port of every API server on its own machine.
pub const API_SERVER_PORT: u16 = 6443;

/// A whole cluster as wanted.
///
/// [`ClusterSpec::new`] has every default; an inventory changes single fields. What must hold between fields (an odd
/// number of control planes, networks apart from each other, …) is checked by whoever fills them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterSpec {
    /// Its name: kubeadm's `clusterName` and part of every node's identity. Fixed at init.
    pub name: ClusterName,
    /// The version of Kubernetes with the images and packages that belong to it. Rolled by upgrades.
    pub release: Release,
    /// Networks that pods get their addresses from. Default `10.244.0.0/16`. Fixed at init.
    pub pod_cidrs: Families<Cidr>,
    /// Networks of services, of the same families in the same order. Default `10.96.0.0/12`. Fixed at init.
    pub service_cidrs: Families<Cidr>,
    /// How much of the pod networks each node gets. Fixed at init.
    pub node_mask: NodeMask,
    /// The domain of services. Default `cluster.local`. Fixed at init.
    pub dns_domain: DnsName,
    /// Where the API is reached by everything in the cluster. Fixed at init.
    pub endpoint: Endpoint,
    /// More names and addresses for the API servers' certificates.
    pub extra_sans: Vec<Host>,
    /// Where Kubernetes' own images are pulled from. Default `registry.k8s.io`.
    pub image_repository: ImageRepository,
    /// The container runtime.
    pub runtime: RuntimeSpec,
    /// The network between pods.
    pub network: NetworkSpec,
    /// Where packages come from.
    pub repository: RepositorySpec,
    /// Time synchronisation.
    pub time: TimeSpec,
    /// Backups.
    pub backup: BackupSpec,
    /// How Secrets are encrypted at rest; absent where they are not. Never turned off again.
    pub encryption: Option<EncryptionProvider>,
    /// What users merge into rendered configuration.
    pub overrides: Overrides,
    /// How members of etcd run: as the inventory says, else by the number of control planes. Fixed at init; of a living
    /// cluster it is read from the cluster.
    pub etcd: EtcdLayout,
    /// The inventory's own word on it, absent where it is silent.
    pub etcd_given: Option<EtcdLayout>,
    /// The worker that holds a member of etcd, of the layout [`Service`](EtcdLayout::Service) alone: the inventory's, else
    /// one that is chosen.
    pub witness: Option<NodeName>,
    /// The machines, in the inventory's order.
    pub nodes: Vec<NodeSpec>,
}

impl ClusterSpec {
    /// A cluster of these nodes with every default.
    pub fn new(name: ClusterName, release: Release, nodes: Vec<NodeSpec>) -> Self {
        let cidr = |text: &str| Families::one(text.parse::<Cidr>().expect("a default network"));
        Self {
            endpoint: Endpoint::local_proxy_of(&name),
            name,
            release,
            pod_cidrs: cidr("10.244.0.0/16"),
            service_cidrs: cidr("10.96.0.0/12"),
            node_mask: NodeMask::default(),
            dns_domain: DnsName::new("cluster.local").expect("a default name"),
            extra_sans: Vec::new(),
            image_repository: ImageRepository::default(),
            runtime: RuntimeSpec::default(),
            network: NetworkSpec::default(),
            repository: RepositorySpec::default(),
            time: TimeSpec::default(),
            backup: BackupSpec::default(),
            encryption: None,
            overrides: Overrides::default(),
            etcd: EtcdLayout::Stacked,
            etcd_given: None,
            witness: None,
            nodes,
        }
    }

    /// The version of Kubernetes.
    pub fn kubernetes(&self) -> KubeVersion {
        self.release.kubernetes
    }

    /// The control planes, in the inventory's order.
    pub fn control_planes(&self) -> impl Iterator<Item = &NodeSpec> {
        self.nodes.iter().filter(|node| node.is_control_plane())
    }

    /// The workers, in the inventory's order.
    pub fn workers(&self) -> impl Iterator<Item = &NodeSpec> {
        self.nodes.iter().filter(|node| !node.is_control_plane())
    }

    /// The machines that hold a member of etcd: the control planes, and the witness where there is one.
    pub fn members(&self) -> impl Iterator<Item = &NodeSpec> {
        self.nodes.iter().filter(|node| self.is_member(node))
    }

    /// Whether a machine shall hold a member of etcd.
    pub fn is_member(&self, node: &NodeSpec) -> bool {
        node.is_control_plane() || self.witness.as_ref() == Some(&node.name)
    }

    /// How many members etcd shall have.
    pub fn voters(&self) -> usize {
        self.control_planes().count() + usize::from(self.witness.is_some())
    }

    /// The node of this name.
    pub fn node(&self, name: &NodeName) -> Option<&NodeSpec> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// The first address of the primary service network, which the service `kubernetes` gets.
    pub fn first_service_ip(&self) -> IpAddr {
        nth_or_network(self.service_cidrs.primary(), 1)
    }

    /// The addresses of the cluster's DNS: the tenth of each service network, as kubeadm chooses.
    pub fn dns_ips(&self) -> Vec<IpAddr> {
        self.service_cidrs.iter().map(|cidr| nth_or_network(cidr, 10)).collect()
    }

    /// How many nodes the pod networks have room for.
    pub fn node_capacity(&self) -> u64 {
        let room = |cidr: &Cidr| cidr.subnets(self.node_mask.of(cidr.family()));
        self.pod_cidrs.iter().map(room).min().unwrap_or(0)
    }
}

/// The n-th address; the network's own where it is too small, which no checked inventory allows.
fn nth_or_network(cidr: &Cidr, n: u128) -> IpAddr {
    cidr.nth(n).unwrap_or(cidr.network())
}

/// Length of the prefix of each node's part of a pod network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NodeMask {
    /// For IPv4. Default 24: 254 pods on a node.
    pub v4: u8,
    /// For IPv6. Default 64.
    pub v6: u8,
}

impl NodeMask {
    /// The mask of this family.
    pub const fn of(self, family: Family) -> u8 {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

impl Default for NodeMask {
    /// The controller manager's own defaults.
    fn default() -> Self {
        Self { v4: 24, v6: 64 }
    }
}

/// Where the API is reached by everything in the cluster: kubeadm's `controlPlaneEndpoint`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Who brings a connection to a living API server.
    pub kind: EndpointKind,
    /// The name that certificates and kubeconfigs carry. Default `api.CLUSTER.internal`.
    pub name: DnsName,
    /// The port under that name. Default 7443 for the local proxy, 6443 for an external endpoint.
    pub port: u16,
}

impl Endpoint {
    /// The default port of the local proxy: free on control planes, where 6443 is taken.
    pub const LOCAL_PROXY_PORT: u16 = 7443;

    /// The default endpoint of a cluster of this name.
    ///
    /// `.internal` is reserved for private use, so the name can never be somebody else's.
    pub fn local_proxy_of(cluster: &ClusterName) -> Self {
        Self {
            kind: EndpointKind::LocalProxy,
            name: DnsName::new(format!("api.{cluster}.internal")).expect("a label between labels is a name"),
            port: Self::LOCAL_PROXY_PORT,
        }
    }
}

impl std::fmt::Display for Endpoint {
    /// `NAME:PORT`, as kubeadm takes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{}:{}", self.name, self.port))
    }
}

/// Who brings a connection to a living API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointKind {
    /// A proxy on every node, control planes included; the name is 127.0.0.1 everywhere.
    LocalProxy,
    /// A load balancer of the user's own; the name is resolved by the user's DNS.
    External,
}

impl std::fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::LocalProxy => "local-proxy",
            Self::External => "external",
        })
    }
}

/// The container runtime of every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuntimeSpec {
    /// Which one.
    pub kind: RuntimeKind,
    /// The package that brings it. Default `containerd`, the distribution's own.
    pub package: PackageName,
    /// Its version; absent where whatever the repositories have is taken.
    pub version: Option<PackageVersion>,
}

/// Container runtimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeKind {
    /// containerd with runc.
    Containerd,
}

impl std::fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad("containerd")
    }
}

impl RuntimeKind {
    /// The socket that the kubelet talks to, with its scheme.
    pub const fn cri_socket(self) -> &'static str {
        "unix:///run/containerd/containerd.sock"
    }
}

impl Default for RuntimeSpec {
    fn default() -> Self {
        Self {
            kind: RuntimeKind::Containerd,
            package: PackageName::new("containerd").expect("a default package"),
            version: None,
        }
    }
}

/// The network between pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NetworkSpec {
    /// Which one.
    pub kind: NetworkKind,
    /// MTU of the pods' links; absent where it is taken from the nodes' links.
    pub mtu: Option<Mtu>,
    /// Version of flannel; absent for the one that this program brings.
    pub flannel: Option<ImageTag>,
    /// The same of kube-router.
    pub kube_router: Option<ImageTag>,
}

/// Pod networks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkKind {
    /// flannel with VXLAN for pods and kube-router as firewall for network policies.
    #[default]
    Flannel,
    /// kube-router alone, no tunnel: for one flat layer 2.
    Routed,
    /// None: the user brings one.
    None,
}

impl std::fmt::Display for NetworkKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Flannel => "flannel",
            Self::Routed => "routed",
            Self::None => "none",
        })
    }
}

/// Largest packet of a link in bytes: 576 to 9216, and at least 1280 where IPv6 is used (RFC 8200).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Mtu(u16);

impl Mtu {
    /// The MTU of this many bytes.
    ///
    /// # Errors
    /// Where no link of today has it.
    pub fn new(bytes: u16) -> Result<Self, Invalid> {
        if (576..=9216).contains(&bytes) {
            return Ok(Self(bytes));
        }
        Err(Invalid::new(format!("an MTU is between 576 and 9216 bytes, not {bytes}")))
    }

    /// Bytes.
    pub const fn bytes(self) -> u16 {
        self.0
    }
}

/// Time synchronisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeSpec {
    /// Whether the program sees to a running time daemon. Default true; false where something else does.
    pub manage: bool,
    /// Servers to ask; empty where the distribution's own are kept.
    pub servers: Vec<Host>,
}

impl Default for TimeSpec {
    fn default() -> Self {
        Self { manage: true, servers: Vec::new() }
    }
}

/// Backups that the operator takes, and those that control planes take by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackupSpec {
    /// To whom they are encrypted; nobody where absent, and then a command must name somebody.
    pub recipients: Vec<AgeRecipient>,
    /// When every control plane takes one by itself; never where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Where those are also sent; nowhere where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Spec>,
}

/// Tables that users merge into the configuration that the program renders. Keys that the program itself owns are
/// refused when the inventory is read.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Overrides {
    /// Into kubeadm's `ClusterConfiguration`.
    pub cluster: Map<String, Value>,
    /// Into `KubeletConfiguration`.
    pub kubelet: Map<String, Value>,
    /// Into `KubeProxyConfiguration`.
    pub kube_proxy: Map<String, Value>,
    /// Into containerd's `config.toml`.
    pub containerd: Map<String, Value>,
}
