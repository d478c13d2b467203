//! The inventory as it was read: typed values with their places, nothing yet compared or filled in.
//!
//! A value that is absent here was either not given or refused; of the latter a problem tells.

use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::diag::Span;
use crate::diag::toml::At;
use crate::model::access::{SudoMode, UserName};
use crate::model::backup::{AgeRecipient, Calendar};
use crate::model::cluster::{EndpointKind, Mtu, NetworkKind, Role};
use crate::model::encryption::EncryptionProvider;
use crate::model::etcd::EtcdLayout;
use crate::model::image::{ImageRepository, ImageTag};
use crate::model::label::{LabelKey, LabelValue, Taint};
use crate::model::name::{ClusterName, DnsName, Host, NodeName};
use crate::model::net::Cidr;
use crate::model::package::{BaseUrl, KeyFingerprint, PackageName, PackageVersion};
use crate::model::release::Release;
use crate::model::s3::{S3Endpoint, S3Prefix, S3Word};
use crate::model::timeout::Timeout;

/// A whole inventory.
#[derive(Debug, Default)]
pub struct Inventory {
    pub cluster: Cluster,
    pub endpoint: Endpoint,
    pub ssh: Ssh,
    pub repository: Repository,
    pub runtime: Runtime,
    pub network: Network,
    pub time: Time,
    pub backup: Backup,
    pub etcd: Etcd,
    pub encryption: Encryption,
    pub overrides: Overrides,
    pub nodes: Vec<Node>,
    /// `~/.ssh/known_hosts`, absent where the operator has no home folder.
    pub default_known_hosts: Option<PathBuf>,
}

/// `[cluster]`
#[derive(Debug, Default)]
pub struct Cluster {
    pub name: Option<At<ClusterName>>,
    pub kubernetes: Option<At<Release>>,
    pub pod_cidrs: Vec<At<Cidr>>,
    pub service_cidrs: Vec<At<Cidr>>,
    /// Whether a network was given and refused: what is left then proves nothing.
    pub networks_refused: bool,
    pub node_mask_v4: Option<At<u64>>,
    pub node_mask_v6: Option<At<u64>>,
    pub dns_domain: Option<At<DnsName>>,
    pub extra_sans: Vec<At<Host>>,
    pub image_repository: Option<At<ImageRepository>>,
}

/// `[cluster.endpoint]`
#[derive(Debug, Default)]
pub struct Endpoint {
    pub kind: Option<At<EndpointKind>>,
    pub name: Option<At<DnsName>>,
    pub port: Option<At<u64>>,
}

/// `[ssh]`, or a node's `ssh`
#[derive(Debug, Default)]
pub struct Ssh {
    pub user: Option<At<UserName>>,
    pub port: Option<At<u64>>,
    pub keys: Option<Vec<PathBuf>>,
    pub agent: Option<At<bool>>,
    pub known_hosts: Option<Vec<PathBuf>>,
    pub sudo: Option<At<SudoMode>>,
    pub timeout: Option<At<Timeout>>,
}

/// `[repository]`
#[derive(Debug, Default)]
pub struct Repository {
    pub url: Option<At<BaseUrl>>,
    pub key_fingerprint: Option<At<KeyFingerprint>>,
}

/// `[runtime]`
#[derive(Debug, Default)]
pub struct Runtime {
    pub package: Option<At<PackageName>>,
    pub version: Option<At<PackageVersion>>,
}

/// `[network]`
#[derive(Debug, Default)]
pub struct Network {
    pub kind: Option<At<NetworkKind>>,
    pub mtu: Option<At<Mtu>>,
    pub flannel: Option<At<ImageTag>>,
    pub kube_router: Option<At<ImageTag>>,
}

/// `[time]`
#[derive(Debug, Default)]
pub struct Time {
    pub manage: Option<At<bool>>,
    pub servers: Vec<At<Host>>,
}

/// `[backup]`
#[derive(Debug, Default)]
pub struct Backup {
    pub recipients: Vec<At<AgeRecipient>>,
    pub schedule: Option<At<Calendar>>,
    pub keep: Option<At<u64>>,
    pub s3: Option<S3>,
}

/// `[backup.s3]`
#[derive(Debug)]
pub struct S3 {
    pub endpoint: Option<At<S3Endpoint>>,
    pub bucket: Option<At<S3Word>>,
    pub region: Option<At<S3Word>>,
    pub prefix: Option<At<S3Prefix>>,
    pub credentials: Option<PathBuf>,
}

/// `[etcd]`
#[derive(Debug, Default)]
pub struct Etcd {
    pub layout: Option<At<EtcdLayout>>,
}

/// `[encryption]`
#[derive(Debug, Default)]
pub struct Encryption {
    pub provider: Option<At<EncryptionProvider>>,
}

/// `[override.*]`
#[derive(Debug, Default)]
pub struct Overrides {
    pub cluster: Map<String, Value>,
    pub kubelet: Map<String, Value>,
    pub kube_proxy: Map<String, Value>,
    pub containerd: Map<String, Value>,
}

/// `[[node]]`
#[derive(Debug)]
pub struct Node {
    /// Where its header stands.
    pub span: Span,
    pub name: Option<At<NodeName>>,
    pub address: Option<At<Host>>,
    pub role: Option<At<Role>>,
    pub zone: Option<At<LabelValue>>,
    pub labels: Vec<(At<LabelKey>, LabelValue)>,
    pub taints: Vec<At<Taint>>,
    pub etcd_witness: Option<At<bool>>,
    pub node_ips: Vec<At<IpAddr>>,
    /// Whether `node-ip` was given at all, refused or not.
    pub node_ip_given: bool,
    /// Whether an address of it was refused.
    pub node_ip_refused: bool,
    pub ssh: Ssh,
}

impl Node {
    /// The addresses that nodes know it by: those given, else its `address`.
    pub fn ips(&self) -> Vec<At<IpAddr>> {
        if self.node_ip_given {
            return self.node_ips.clone();
        }
        let own = |address: &At<Host>| Some(At { value: address.value.ip()?, span: address.span.clone() });
        self.address.as_ref().and_then(own).into_iter().collect()
    }
}

impl Inventory {
    /// The nodes that are marked to hold the witness of etcd.
    pub fn witnesses(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.etcd_witness.as_ref().is_some_and(|witness| witness.value))
    }

    /// The nodes that are known to be control planes.
    pub fn control_planes(&self) -> Vec<&Node> {
        let is = |node: &&Node| node.role.as_ref().is_some_and(|role| role.value == Role::ControlPlane);
        self.nodes.iter().filter(is).collect()
    }
}
