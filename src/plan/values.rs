//! What names in a playbook stand for, by shape. A playbook gives each field a name of its own shape only, so a name of
//! another never comes here.

use crate::{
    model::{
        cluster::ClusterSpec,
        node::NodeSpec,
        step::{Content, LateFile, Package, Repository},
    },
    playbook::Name,
    render,
};

pub fn text(name: Name, spec: &ClusterSpec, node: &NodeSpec) -> Content {
    Content::Text(match name {
        Name::ClusterCa => return Content::Late(LateFile::ClusterCa),
        Name::ClusterIdentity => return Content::Late(LateFile::Identity),
        Name::ContainerdConfig => render::containerd::config(spec),
        Name::CrictlConfig => render::crictl::config(spec),
        Name::EndpointConfig => render::endpoint::config(spec, node),
        Name::EndpointUnit => render::endpoint::unit(),
        Name::NeedrestartConfig => render::packages::needrestart(),
        other => unreachable!("`{}` is not of shape {}", other.as_str(), "text"),
    })
}

pub fn lines(name: Name, spec: &ClusterSpec, node: &NodeSpec) -> Vec<String> {
    match name {
        Name::HostsLines => render::hosts::lines(spec, node),
        Name::KernelModules => render::kernel::modules(spec),
        other => unreachable!("`{}` is not of shape {}", other.as_str(), "lines"),
    }
}

pub fn sysctls(name: Name, spec: &ClusterSpec) -> Vec<(String, String)> {
    match name {
        Name::KernelSysctls => render::kernel::sysctls(spec),
        other => unreachable!("`{}` is not of shape {}", other.as_str(), "sysctls"),
    }
}

pub fn packages(name: Name, spec: &ClusterSpec) -> Vec<Package> {
    match name {
        Name::BackupPackages => render::packages::backup(spec),
        Name::BasePackages => render::packages::base(),
        Name::RuntimePackages => render::packages::runtime(spec),
        Name::KubernetesPackages => render::packages::kubernetes(spec),
        Name::EndpointPackages => render::packages::endpoint(spec),
        Name::TimePackages => render::packages::time(spec),
        other => unreachable!("`{}` is not of shape {}", other.as_str(), "packages"),
    }
}

pub fn repository(name: Name, spec: &ClusterSpec) -> Repository {
    match name {
        Name::KubernetesRepository => Repository {
            name: "kubernetes".to_owned(),
            source: render::packages::repository_source(spec),
            key_url: spec.repository.key_url(spec.kubernetes()),
            fingerprint: spec.repository.key_fingerprint.to_string(),
        },
        other => unreachable!("`{}` is not of shape {}", other.as_str(), "repository"),
    }
}

pub fn images(name: Name, spec: &ClusterSpec, node: &NodeSpec) -> Vec<String> {
    match name {
        Name::Images => render::images::of(spec, node).iter().map(ToString::to_string).collect(),
        other => unreachable!("`{}` is not of shape {}", other.as_str(), "images"),
    }
}

pub fn urls(name: Name, spec: &ClusterSpec, node: &NodeSpec) -> Vec<String> {
    match name {
        Name::RegistryUrls => render::images::registry_urls(spec, node),
        other => unreachable!("`{}` is not of shape {}", other.as_str(), "urls"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{name::ClusterName, node::Role, release::Release},
        playbook::Shape,
    };

    #[test]
    fn every_name_resolves_by_its_shape() {
        let node = NodeSpec::new("cp1".parse().unwrap(), "10.0.0.11".parse().unwrap(), Role::ControlPlane);
        let release = Release::of("1.30.14".parse().unwrap()).unwrap();
        let spec = ClusterSpec::new(ClusterName::new("lab").unwrap(), release, vec![node.clone()]);
        for &name in Name::ALL {
            match name.shape() {
                Shape::Text => drop(text(name, &spec, &node)),
                Shape::Lines => drop(lines(name, &spec, &node)),
                Shape::Sysctls => drop(sysctls(name, &spec)),
                Shape::Packages => drop(packages(name, &spec)),
                Shape::Repository => drop(repository(name, &spec)),
                Shape::Images => drop(images(name, &spec, &node)),
                Shape::Urls => drop(urls(name, &spec, &node)),
            }
        }
    }
}
