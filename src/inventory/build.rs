//! From checked values to the cluster: defaults filled in.

use std::path::PathBuf;

use super::{credentials, raw};
use crate::diag::toml::At;
use crate::model::access::{SshSettings, SudoMode};
use crate::model::backup::Schedule;
use crate::model::cluster::{
    API_SERVER_PORT, BackupSpec, ClusterSpec, Endpoint, EndpointKind, NetworkSpec, NodeSpec, Overrides, RepositorySpec,
    RuntimeSpec, TimeSpec,
};
use crate::model::etcd::EtcdLayout;
use crate::model::net::Families;
use crate::model::s3::{S3Spec, S3Word};

/// The cluster of an inventory in which nothing is wrong; absent where a needed value is.
pub fn cluster(raw: raw::Inventory) -> Option<ClusterSpec> {
    let nodes: Option<Vec<NodeSpec>> =
        raw.nodes.into_iter().map(|one| node(one, &raw.ssh, raw.default_known_hosts.as_ref())).collect();
    let given = raw.cluster;
    let mut spec = ClusterSpec::new(given.name?.value, given.kubernetes?.value, nodes?);
    if !given.pod_cidrs.is_empty() {
        spec.pod_cidrs = Families::new(given.pod_cidrs.iter().map(|cidr| cidr.value)).ok()?;
    }
    if !given.service_cidrs.is_empty() {
        spec.service_cidrs = Families::new(given.service_cidrs.iter().map(|cidr| cidr.value)).ok()?;
    }
    set(&mut spec.node_mask.v4, narrow(given.node_mask_v4));
    set(&mut spec.node_mask.v6, narrow(given.node_mask_v6));
    set(&mut spec.dns_domain, given.dns_domain);
    set(&mut spec.image_repository, given.image_repository);
    spec.extra_sans = given.extra_sans.into_iter().map(|san| san.value).collect();
    spec.endpoint = endpoint(raw.endpoint, spec.endpoint);
    spec.repository = repository(raw.repository);
    spec.runtime = runtime(raw.runtime);
    spec.network = NetworkSpec {
        kind: raw.network.kind.map(|kind| kind.value).unwrap_or_default(),
        mtu: raw.network.mtu.map(|mtu| mtu.value),
        flannel: raw.network.flannel.map(|tag| tag.value),
        kube_router: raw.network.kube_router.map(|tag| tag.value),
    };
    spec.time = TimeSpec {
        manage: raw.time.manage.is_none_or(|manage| manage.value),
        servers: raw.time.servers.into_iter().map(|server| server.value).collect(),
    };
    spec.backup = BackupSpec {
        recipients: raw.backup.recipients.into_iter().map(|one| one.value).collect(),
        schedule: raw.backup.schedule.map(|calendar| Schedule {
            calendar: calendar.value,
            keep: narrow(raw.backup.keep).map_or(Schedule::KEEP, |keep| keep.value),
        }),
        s3: match raw.backup.s3 {
            Some(given) => Some(s3(given)?),
            None => None,
        },
    };
    spec.etcd_given = raw.etcd.layout.map(|layout| layout.value);
    spec.etcd = spec.etcd_given.unwrap_or(match spec.control_planes().count().is_multiple_of(2) {
        true => EtcdLayout::Service,
        false => EtcdLayout::Stacked,
    });
    spec.encryption = raw.encryption.provider.map(|provider| provider.value);
    let raw::Overrides { cluster, kubelet, kube_proxy, containerd } = raw.overrides;
    spec.overrides = Overrides { cluster, kubelet, kube_proxy, containerd };
    Some(spec)
}

fn s3(given: raw::S3) -> Option<S3Spec> {
    let credentials = given.credentials?;
    Some(S3Spec {
        endpoint: given.endpoint?.value,
        bucket: given.bucket?.value,
        region: given.region.map_or_else(|| S3Word::new("us-east-1").expect("a default region"), |region| region.value),
        prefix: given.prefix.map(|prefix| prefix.value).unwrap_or_default(),
        digest: credentials::digest(&credentials),
        credentials,
    })
}

fn endpoint(given: raw::Endpoint, default: Endpoint) -> Endpoint {
    let mut endpoint = default;
    set(&mut endpoint.kind, given.kind);
    if endpoint.kind == EndpointKind::External {
        endpoint.port = API_SERVER_PORT;
    }
    set(&mut endpoint.name, given.name);
    set(&mut endpoint.port, narrow(given.port));
    endpoint
}

fn repository(given: raw::Repository) -> RepositorySpec {
    let mut repository = RepositorySpec::default();
    set(&mut repository.url, given.url);
    set(&mut repository.key_fingerprint, given.key_fingerprint);
    repository
}

fn runtime(given: raw::Runtime) -> RuntimeSpec {
    let mut runtime = RuntimeSpec::default();
    set(&mut runtime.package, given.package);
    runtime.version = given.version.map(|version| version.value);
    runtime
}

fn node(raw: raw::Node, defaults: &raw::Ssh, known_hosts: Option<&PathBuf>) -> Option<NodeSpec> {
    let node_ips = Families::new(raw.ips().into_iter().map(|ip| ip.value)).ok()?;
    Some(NodeSpec {
        name: raw.name?.value,
        address: raw.address?.value,
        role: raw.role?.value,
        zone: raw.zone.map(|zone| zone.value),
        labels: raw.labels.into_iter().map(|(key, value)| (key.value, value)).collect(),
        taints: raw.taints.into_iter().map(|taint| taint.value).collect(),
        etcd_witness: raw.etcd_witness.is_some_and(|witness| witness.value),
        node_ips,
        ssh: ssh(&raw.ssh, defaults, known_hosts),
    })
}

/// A node's own settings, else those of `[ssh]`, else the defaults.
fn ssh(own: &raw::Ssh, shared: &raw::Ssh, known_hosts: Option<&PathBuf>) -> SshSettings {
    let mut ssh = SshSettings { known_hosts: known_hosts.into_iter().cloned().collect(), ..SshSettings::default() };
    for given in [shared, own] {
        set(&mut ssh.user, given.user.clone());
        set(&mut ssh.port, narrow(given.port.clone()));
        set(&mut ssh.agent, given.agent.clone());
        set(&mut ssh.timeout, given.timeout.clone());
        if let Some(keys) = &given.keys {
            ssh.keys.clone_from(keys);
        }
        if let Some(files) = &given.known_hosts {
            ssh.known_hosts.clone_from(files);
        }
    }
    // The default follows the user that was settled on, a given mode does not.
    let given = own.sudo.as_ref().or(shared.sudo.as_ref()).map(|mode| mode.value);
    let default = if ssh.user.as_str() == "root" { SudoMode::None } else { SudoMode::Passwordless };
    ssh.sudo = given.unwrap_or(default);
    ssh
}

/// Puts a given value in the place of a default.
fn set<T>(place: &mut T, given: Option<At<T>>) {
    if let Some(given) = given {
        *place = given.value;
    }
}

/// A number of the type that it is known to fit.
fn narrow<T: TryFrom<u64>>(given: Option<At<u64>>) -> Option<At<T>> {
    given.and_then(|given| Some(At { value: T::try_from(given.value).ok()?, span: given.span }))
}
