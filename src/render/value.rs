//! What a playbook may name in `{ from = NAME }`: a closed list, each name with one type.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{containerd, crictl, endpoint, hosts, images, kernel, packages};
use crate::model::cluster::ClusterSpec;
use crate::model::node::NodeSpec;
use crate::model::step::Package;

/// A value of one node that a step of a playbook takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    BasePackages,
    ContainerdConfig,
    CrictlConfig,
    EndpointConfig,
    EndpointPackages,
    EndpointUnit,
    HostsBlock,
    Images,
    KubernetesPackages,
    Modules,
    NeedrestartConfig,
    RegistryUrls,
    RepositoryKeyFingerprint,
    RepositoryKeyUrl,
    RepositorySource,
    RuntimePackages,
    Sysctls,
    SysctlsAtLeast,
    TimePackages,
    TimeServers,
}

/// What a field of a step holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueType {
    Text,
    List,
    Pairs,
    /// Names with the least number that each shall have.
    Minimums,
    Packages,
}

/// A rendered value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rendered {
    Text(String),
    List(Vec<String>),
    Pairs(Vec<(String, String)>),
    Minimums(Vec<(String, u64)>),
    Packages(Vec<Package>),
}

impl Rendered {
    /// The type, the same for every node.
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::Text(_) => ValueType::Text,
            Self::List(_) => ValueType::List,
            Self::Pairs(_) => ValueType::Pairs,
            Self::Minimums(_) => ValueType::Minimums,
            Self::Packages(_) => ValueType::Packages,
        }
    }
}

impl Value {
    /// All of them, by name.
    pub const ALL: [Self; 20] = [
        Self::BasePackages,
        Self::ContainerdConfig,
        Self::CrictlConfig,
        Self::EndpointConfig,
        Self::EndpointPackages,
        Self::EndpointUnit,
        Self::HostsBlock,
        Self::Images,
        Self::KubernetesPackages,
        Self::Modules,
        Self::NeedrestartConfig,
        Self::RegistryUrls,
        Self::RepositoryKeyFingerprint,
        Self::RepositoryKeyUrl,
        Self::RepositorySource,
        Self::RuntimePackages,
        Self::Sysctls,
        Self::SysctlsAtLeast,
        Self::TimePackages,
        Self::TimeServers,
    ];

    /// The name in playbooks.
    pub const fn name(self) -> &'static str {
        self.about().0
    }

    /// What fields it fits.
    pub const fn value_type(self) -> ValueType {
        self.about().1
    }

    /// One line for a person: what it is.
    pub const fn doc(self) -> &'static str {
        self.about().2
    }

    /// Name, type and meaning: one row for each, so that none can lack one.
    const fn about(self) -> (&'static str, ValueType, &'static str) {
        use ValueType::{List, Minimums, Packages, Pairs, Text};
        match self {
            Self::BasePackages => {
                ("base-packages", Packages, "programs that kubelet, kubeadm and this program call; any version")
            }
            Self::ContainerdConfig => {
                ("containerd-config", Text, "containerd's config.toml with this release's pause image")
            }
            Self::CrictlConfig => ("crictl-config", Text, "crictl.yaml, so that crictl finds the runtime"),
            Self::EndpointConfig => {
                ("endpoint-config", Text, "haproxy.cfg of the local endpoint: this node's way to the API servers")
            }
            Self::EndpointPackages => {
                ("endpoint-packages", Packages, "what the local endpoint needs; none if external")
            }
            Self::EndpointUnit => ("endpoint-unit", Text, "kube-endpoint.service, which runs the local endpoint"),
            Self::HostsBlock => ("hosts-block", List, "lines of /etc/hosts: this node's own name and the endpoint's"),
            Self::Images => ("images", List, "images that this node runs, pause first, the proof's last"),
            Self::KubernetesPackages => {
                ("kubernetes-packages", Packages, "kubelet, kubeadm, kubectl and what they come with, pinned; to hold")
            }
            Self::Modules => ("modules", List, "kernel modules that containers and the pod network need"),
            Self::NeedrestartConfig => {
                ("needrestart-config", Text, "keeps needrestart from restarting the runtime and kubelet by itself")
            }
            Self::RegistryUrls => ("registry-urls", List, "addresses of the registries that this node pulls from"),
            Self::RepositoryKeyFingerprint => {
                ("repository-key-fingerprint", Text, "fingerprint of the only key trusted for Kubernetes' packages")
            }
            Self::RepositoryKeyUrl => ("repository-key-url", Text, "where the repository's key is fetched from"),
            Self::RepositorySource => ("repository-source", Text, "address and suite of Kubernetes' apt repository"),
            Self::RuntimePackages => ("runtime-packages", Packages, "the container runtime; to hold"),
            Self::Sysctls => ("sysctls", Pairs, "kernel settings that containers and the pod network need"),
            Self::SysctlsAtLeast => {
                ("sysctls-at-least", Minimums, "kernel limits that may be higher than what is asked for")
            }
            Self::TimePackages => ("time-packages", Packages, "the time daemon; none if time is not managed"),
            Self::TimeServers => {
                ("time-servers", List, "the inventory's time servers; none where the distribution's are kept")
            }
        }
    }
}

/// The value for one node.
pub fn render(value: Value, spec: &ClusterSpec, node: &NodeSpec) -> Rendered {
    match value {
        Value::BasePackages => Rendered::Packages(packages::base()),
        Value::ContainerdConfig => Rendered::Text(containerd::config(spec)),
        Value::CrictlConfig => Rendered::Text(crictl::config(spec)),
        Value::EndpointConfig => Rendered::Text(endpoint::config(spec, node)),
        Value::EndpointPackages => Rendered::Packages(packages::endpoint(spec)),
        Value::EndpointUnit => Rendered::Text(endpoint::unit()),
        Value::HostsBlock => Rendered::List(hosts::lines(spec, node)),
        Value::Images => Rendered::List(images::of(spec, node).iter().map(ToString::to_string).collect()),
        Value::KubernetesPackages => Rendered::Packages(packages::kubernetes(spec)),
        Value::Modules => Rendered::List(kernel::modules(spec)),
        Value::NeedrestartConfig => Rendered::Text(packages::needrestart()),
        Value::RegistryUrls => Rendered::List(images::registry_urls(spec, node)),
        Value::RepositoryKeyFingerprint => Rendered::Text(spec.repository.key_fingerprint.to_string()),
        Value::RepositoryKeyUrl => Rendered::Text(spec.repository.key_url(spec.kubernetes())),
        Value::RepositorySource => Rendered::Text(packages::repository_source(spec)),
        Value::RuntimePackages => Rendered::Packages(packages::runtime(spec)),
        Value::Sysctls => Rendered::Pairs(kernel::sysctls(spec)),
        Value::SysctlsAtLeast => Rendered::Minimums(kernel::sysctls_at_least()),
        Value::TimePackages => Rendered::Packages(packages::time(spec)),
        Value::TimeServers => Rendered::List(spec.time.servers.iter().map(ToString::to_string).collect()),
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Value {
    type Err = UnknownValue;

    fn from_str(name: &str) -> Result<Self, UnknownValue> {
        Self::ALL.into_iter().find(|value| value.name() == name).ok_or(UnknownValue)
    }
}

/// A name that no value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no value has this name")]
pub struct UnknownValue;

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Text => "text",
            Self::List => "list",
            Self::Pairs => "pairs",
            Self::Minimums => "minimums",
            Self::Packages => "packages",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn every_value_has_its_type_for_every_node() {
        let spec = sample::cluster();
        for value in Value::ALL {
            for node in &spec.nodes {
                assert_eq!(render(value, &spec, node).value_type(), value.value_type(), "{value} of {}", node.name);
            }
        }
    }

    #[test]
    fn names_are_sorted_and_read_back() {
        assert!(Value::ALL.is_sorted_by_key(|value| value.name()));
        for value in Value::ALL {
            assert_eq!(value.name().parse(), Ok(value));
            assert_eq!(serde_json::to_value(value).unwrap(), value.name());
        }
        assert_eq!("image".parse::<Value>(), Err(UnknownValue));
    }
}
