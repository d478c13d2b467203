//! Another version of Kubernetes on one node: what is observed of it, and the ops that bring it there. In which order nodes
//! are taken, and what surrounds these ops, is `plan::upgrade`'s.

mod backup;
mod certificates;
mod flags;
mod kubeadm;
mod kubelet;
mod packages;

pub use backup::{FOLDER, backup, keep};
pub use certificates::outlive;
pub use flags::try_flags;
pub use kubeadm::{Etcd, Verb, upgrade};
pub use kubelet::{RESTART, restart, restart_with_static_pods};
pub use packages::{fetch, kubeadm_package, offered};

pub use super::super::packages::{changed_installed, judge_upgrade};

use super::super::{Context, write};
use crate::{
    model::{
        cluster::ClusterSpec,
        live::Live,
        name::NodeName,
        node::NodeSpec,
        observe::{ContentRead, FileSeen, Read, Seen},
        version::KubeVersion,
    },
    render,
};

/// The static pods whose images carry Kubernetes' own version.
pub const COMPONENTS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// What `kubeadm upgrade` last began with on a node, `v1.31.13 begun`, or came to its end with: `v1.31.13 apply`, `v1.31.13
/// node`. Between that and the change of kubelet's package nothing else tells it.
fn stamp_path() -> String {
    format!("{}/kubeadm-upgrade", write::STAMPS)
}

/// What the stamp says until kubeadm has come to its end.
const BEGUN: &str = "begun";

/// What is to be read on a node besides what its steps ask for.
pub fn reads() -> Vec<Read> {
    let packages = ["kubeadm", "kubelet"].map(|name| Read::Package(name.to_owned()));
    std::iter::once(Read::File { path: stamp_path(), content: ContentRead::Always }).chain(packages).collect()
}

/// How far a node is on the way to a version, from what was seen of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// kubeadm's package is of the version. It disturbs nothing.
    pub tools: bool,
    /// `kubeadm upgrade` was begun: from then on a node may be what a run that died made of it.
    pub begun: bool,
    /// `kubeadm upgrade` is done: everything that it writes is of the version.
    pub kubeadm: bool,
    /// It was `kubeadm upgrade apply`, which is done once for the whole cluster.
    pub applied: bool,
    /// kubelet's package is of the version.
    pub package: bool,
    /// kubelet runs in this version.
    pub running: bool,
}

impl Stage {
    /// Whether nothing of Kubernetes itself is left to be done.
    pub fn is_done(&self) -> bool {
        self.kubeadm && self.package && self.running
    }

    /// Whether anything of what runs was changed already.
    pub fn has_begun(&self) -> bool {
        self.begun || self.kubeadm || self.package || self.running
    }
}

/// Tells the stage of a node. A control plane whose kubelet's package is of the version has passed kubeadm, since that
/// goes first; a static pod of another version says otherwise, whatever else does, and so does an older etcd.
pub fn stage(spec: &ClusterSpec, node: &NodeSpec, seen: &Seen, live: &Live) -> Stage {
    let (name, version) = (&node.name, spec.kubernetes());
    let stamp = match seen.files.get(&stamp_path()) {
        Some(FileSeen::File { content: Some(text), .. }) => String::from_utf8_lossy(text).trim().to_owned(),
        _ => String::new(),
    };
    let (stamped, verb) = stamp.split_once(' ').unwrap_or_default();
    let stamped = stamped == version.tag();
    let of_version = |package: &str| installed(seen, package) == Some(version);
    let package = of_version("kubelet");
    let pods = !node.is_control_plane()
        || (COMPONENTS.iter().all(|component| pod_version(live, name, component) == Some(version))
            && !etcd_is_behind(spec, name, live));
    Stage {
        tools: of_version("kubeadm"),
        begun: stamped,
        kubeadm: ((stamped && verb != BEGUN) || package) && pods,
        applied: pods && node.is_control_plane() && (package || (stamped && verb == "apply")),
        package,
        running: live.nodes.get(name).is_some_and(|node| node.kubelet == version.tag()),
    }
}

/// Whether anything on a node is seen to be of an older version than is wanted. What is not seen at all is no sign of that:
/// a static pod may be away for other reasons.
pub fn is_behind(spec: &ClusterSpec, node: &NodeSpec, seen: &Seen, live: &Live) -> bool {
    let wanted = spec.kubernetes();
    let older = |found: Option<KubeVersion>| found.is_some_and(|found| found < wanted);
    let kubelet = live.nodes.get(&node.name).and_then(|node| node.kubelet.parse().ok());
    ["kubeadm", "kubelet"].iter().any(|package| older(installed(seen, package)))
        || older(kubelet)
        || (node.is_control_plane()
            && (COMPONENTS.iter().any(|component| older(pod_version(live, &node.name, component)))
                || etcd_is_behind(spec, &node.name, live)))
}

/// Whether anything of Kubernetes on a node is of a newer version than this.
pub fn is_beyond(seen: &Seen, version: KubeVersion) -> bool {
    ["kubeadm", "kubelet"].iter().any(|package| installed(seen, package).is_some_and(|found| found > version))
}

fn installed(seen: &Seen, package: &str) -> Option<KubeVersion> {
    package_version(seen.packages.get(package)?.version.as_deref()?)
}

/// Whether a control plane's etcd is older than the one that is wanted. kubeadm takes none back, so a newer one stays.
pub fn etcd_is_behind(spec: &ClusterSpec, node: &NodeName, live: &Live) -> bool {
    let Some(pod) = live.static_pods.get(&(node.clone(), "etcd".to_owned())) else { return false };
    let wanted = render::images::etcd_tag(spec);
    match (numbers(pod.tag()), numbers(wanted)) {
        (Some(found), Some(wanted)) => found < wanted,
        _ => false,
    }
}

/// `3.5.15-0` as numbers.
fn numbers(tag: &str) -> Option<Vec<u32>> {
    tag.trim_start_matches('v').split(['.', '-']).map(|part| part.parse().ok()).collect()
}

/// The version of Kubernetes in that of a Debian package: `1.30.14-1.1`.
pub fn package_version(version: &str) -> Option<KubeVersion> {
    version.split(['-', '~', '+']).next()?.parse().ok()
}

/// The version of a static pod's image; absent where the pod is not seen, or its tag is no version.
pub fn pod_version(live: &Live, node: &NodeName, component: &str) -> Option<KubeVersion> {
    let pod = live.static_pods.get(&(node.clone(), component.to_owned()))?;
    pod.tag().parse().ok()
}

/// Version of the packages and images that a node is brought to.
fn target(context: &Context<'_>) -> KubeVersion {
    context.spec.kubernetes()
}
