//! Debian packages of a node. Their names are the same on Debian 12 and on Ubuntu.

use super::HEADER;
use crate::model::cluster::{ClusterSpec, EndpointKind};
use crate::model::step::Package;

/// Where needrestart of Ubuntu reads additional settings from.
pub const NEEDRESTART_PATH: &str = "/etc/needrestart/conf.d/kbootstrap.conf";

/// What kubelet, kubeadm and this program call.
///
/// kubelet's own package stopped depending on socat and ebtables with 1.30.5 and on conntrack, ethtool and iproute2
/// later; kubeadm's preflight still asks for most of them. socat also carries this program's connections to the API.
/// curl and gnupg fetch and check the repository's key.
pub fn base() -> Vec<Package> {
    let names = [
        "ca-certificates",
        "conntrack",
        "curl",
        "ebtables",
        "ethtool",
        "gnupg",
        "iproute2",
        "iptables",
        "kmod",
        "socat",
        "util-linux",
    ];
    names.into_iter().map(any).collect()
}

/// The container runtime, to be held: an unattended upgrade would restart it on all nodes in the same hour.
///
/// The distribution's containerd comes with runc as a package of its own; Docker's containerd.io holds its own runc
/// and conflicts with that.
pub fn runtime(spec: &ClusterSpec) -> Vec<Package> {
    let runtime = Package {
        name: spec.runtime.package.to_string(),
        version: spec.runtime.version.as_ref().map(ToString::to_string),
    };
    let own_runc = (runtime.name == "containerd").then(|| any("runc"));
    std::iter::once(runtime).chain(own_runc).collect()
}

/// kubelet, kubeadm and kubectl at the release's version, with cri-tools and kubernetes-cni; to be held.
pub fn kubernetes(spec: &ClusterSpec) -> Vec<Package> {
    let at = |name: &str, version: String| Package { name: name.to_owned(), version: Some(version) };
    let mut packages: Vec<Package> =
        ["kubelet", "kubeadm", "kubectl"].map(|name| at(name, spec.release.package_version())).into();
    packages.push(at("cri-tools", spec.release.cri_tools_version()));
    packages.push(any("kubernetes-cni"));
    packages
}

/// haproxy, where the node itself answers for the endpoint. Not held: its security fixes are wanted, and a restart of
/// the stock unit does not touch ours.
pub fn endpoint(spec: &ClusterSpec) -> Vec<Package> {
    match spec.endpoint.kind {
        EndpointKind::LocalProxy => vec![any("haproxy")],
        EndpointKind::External => Vec::new(),
    }
}

/// age, where control planes encrypt backups by themselves.
pub fn backup(spec: &ClusterSpec) -> Vec<Package> {
    if spec.backup.schedule.is_some() { vec![any("age")] } else { Vec::new() }
}

/// chrony, where the program sees to the time.
pub fn time(spec: &ClusterSpec) -> Vec<Package> {
    if spec.time.manage { vec![any("chrony")] } else { Vec::new() }
}

/// Address and suite of Kubernetes' repository as an apt source line has them after its options.
pub fn repository_source(spec: &ClusterSpec) -> String {
    format!("{} /", spec.repository.deb_url(spec.kubernetes()))
}

/// Settings of needrestart, which on Ubuntu 24.04 restarts services by itself whenever apt has run: never those whose
/// restart is planned.
pub fn needrestart() -> String {
    format!(
        "{HEADER}$nrconf{{override_rc}}->{{qr(^(containerd|docker|cri-docker|kubelet|etcd|kube-endpoint)\\.)}} = 0;\n"
    )
}

fn any(name: &str) -> Package {
    Package { name: name.to_owned(), version: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::package::PackageName;
    use crate::render::sample;

    fn shown(packages: &[Package]) -> Vec<String> {
        packages
            .iter()
            .map(|package| match &package.version {
                Some(version) => format!("{}={version}", package.name),
                None => package.name.clone(),
            })
            .collect()
    }

    #[test]
    fn kubernetes_is_pinned() {
        let wanted = [
            "kubelet=1.30.14-1.1",
            "kubeadm=1.30.14-1.1",
            "kubectl=1.30.14-1.1",
            "cri-tools=1.30.0-1.1",
            "kubernetes-cni",
        ];
        assert_eq!(shown(&kubernetes(&sample::cluster())), wanted);
        assert_eq!(repository_source(&sample::cluster()), "https://pkgs.k8s.io/core:/stable:/v1.30/deb/ /");
    }

    #[test]
    fn runc_comes_apart_only_from_the_distributions_containerd() {
        let mut spec = sample::cluster();
        assert_eq!(shown(&runtime(&spec)), ["containerd", "runc"]);
        spec.runtime.package = PackageName::new("containerd.io").unwrap();
        assert_eq!(shown(&runtime(&spec)), ["containerd.io"]);
    }

    #[test]
    fn nothing_for_what_others_see_to() {
        let mut spec = sample::cluster();
        assert_eq!((shown(&endpoint(&spec)), shown(&time(&spec))), (vec!["haproxy".into()], vec!["chrony".into()]));
        spec.endpoint.kind = EndpointKind::External;
        spec.time.manage = false;
        assert!(endpoint(&spec).is_empty() && time(&spec).is_empty());
    }
}
