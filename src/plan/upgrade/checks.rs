//! What is looked at before anything is done: whether there is a way from the versions that run to the one that is wanted,
//! and whether the cluster is fit for it.

use std::collections::BTreeSet;

use super::{Known, Roll, checked, item};
use crate::{
    kind::upgrade::pod_version,
    model::{
        name::NodeName,
        plan::{Item, Notice},
        version::KubeVersion,
    },
    pki,
};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// kubelet may be this many minor versions behind the API servers.
const KUBELET_BEHIND: u16 = 3;

/// The versions of API servers.
pub struct Versions {
    /// The oldest: what the cluster is upgraded from.
    pub from: KubeVersion,
    /// By control plane, in the inventory's order; absent where its static pod is not seen.
    servers: Vec<(NodeName, Option<KubeVersion>)>,
}

impl Versions {
    pub fn of(roll: &Roll) -> Self {
        let servers: Vec<(NodeName, Option<KubeVersion>)> = roll
            .spec
            .control_planes()
            .map(|node| (node.name.clone(), pod_version(roll.live, &node.name, "kube-apiserver")))
            .collect();
        let oldest = servers.iter().filter_map(|(_, version)| *version).min();
        Self { from: oldest.unwrap_or(roll.target()), servers }
    }

    fn newest(&self) -> KubeVersion {
        self.servers.iter().filter_map(|(_, version)| *version).max().unwrap_or(self.from)
    }

    fn who(&self, version: KubeVersion) -> String {
        let names = self.servers.iter().filter(|(_, its)| *its == Some(version)).map(|(name, _)| name.to_string());
        names.collect::<Vec<_>>().join(", ")
    }
}

/// The check that a restart fails for a moment.
pub const ETCD: &str = "upgrade.etcd";

/// Checks of the whole cluster, of which these nodes are to be drained.
pub fn cluster(roll: &Roll, versions: &Versions, drained: &BTreeSet<NodeName>) -> Vec<Item> {
    vec![
        item("upgrade.version", "there is a way from the version that runs", checked(way(roll, versions))),
        item("upgrade.coredns", "kubeadm knows the CoreDNS that runs", checked(coredns(roll))),
        item("upgrade.authorities", "no authority is being exchanged", checked(authorities(roll))),
        item(ETCD, "every member of etcd votes and is healthy", checked(etcd(roll, drained))),
        item("upgrade.members", "every control plane is in the inventory", checked(members(roll))),
        item("upgrade.local-data", "no pod loses its data by moving", checked(local_data(roll, drained))),
        item("upgrade.budgets", "no budget forbids that its pods move", checked(budgets(roll, drained))),
    ]
}

type Reason = Option<(String, String)>;

fn refuse(reason: impl Into<String>, hint: impl Into<String>) -> Reason {
    Some((reason.into(), hint.into()))
}

/// Skew: no step back, one minor version at a time, from one version, kubelets never ahead.
fn way(roll: &Roll, versions: &Versions) -> Reason {
    let (from, newest, to) = (versions.from, versions.newest(), roll.target());
    if let Some((name, _)) = versions.servers.iter().find(|(_, version)| version.is_none()) {
        return refuse(
            format!("the version of {name}'s API server is not known: its static pod is not seen"),
            format!("look at {name}: kubectl -n kube-system get pod kube-apiserver-{name}"),
        );
    }
    if to < newest {
        return refuse(
            format!(
                "{to} is older than {newest}, which runs on {}: Kubernetes is never taken back",
                versions.who(newest)
            ),
            format!("go on with {newest} or a newer version; the way back is a backup of before"),
        );
    }
    let others = versions.servers.iter().find(|(_, version)| version.is_some_and(|v| v != from && v != to));
    if let Some((name, Some(version))) = others {
        return refuse(
            format!("API servers run in two versions, {from} on {} and {version} on {name}", versions.who(from)),
            format!("finish that roll first: kbootstrap upgrade --to {newest}"),
        );
    }
    if to.minor() > from.minor() + 1 {
        return refuse(
            format!("from {from} to {to} is more than one minor version: kubeadm and etcd know no such step"),
            format!("go one by one: kbootstrap upgrade --to the newest patch of 1.{} first", from.minor() + 1),
        );
    }
    for (name, node) in &roll.live.nodes {
        let Ok(kubelet) = node.kubelet.parse::<KubeVersion>() else { continue };
        if kubelet > newest {
            return refuse(
                format!("the kubelet of {name} ({kubelet}) is newer than every API server ({newest})"),
                format!("kubelets follow API servers: install kubelet {newest} on {name}, then run this again"),
            );
        }
        if kubelet.minor() + KUBELET_BEHIND < to.minor() {
            return refuse(
                format!("the kubelet of {name} ({kubelet}) would be too old for API servers of {to}"),
                format!("upgrade {name} first; {KUBELET_BEHIND} minor versions behind is the limit"),
            );
        }
    }
    None
}

/// kubeadm writes a controller manager that ends itself over two authorities in one file.
fn authorities(roll: &Roll) -> Reason {
    if roll.basis.ca_crt.as_deref().is_some_and(pki::is_bundle) {
        return refuse(
            "the cluster's authorities are being exchanged, and kubeadm writes a controller manager that takes no two",
            "finish that first: kbootstrap certs rotate-ca",
        );
    }
    None
}

/// A later patch of the old minor version may ship a CoreDNS that an early patch of the new one's kubeadm does not know,
/// and refuses to touch, half-way.
fn coredns(roll: &Roll) -> Reason {
    let version = |tag: &str| -> Option<(u32, u32, u32)> {
        let mut parts = tag.trim_start_matches('v').split('.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??, parts.next()??))
    };
    let release = &roll.spec.release;
    let known = version(release.coredns)?;
    let running = roll.live.coredns_pods.values().filter(|pod| !pod.going).map(|pod| pod.tag());
    let newest = running.filter_map(|tag| Some((version(tag)?, tag))).max()?;
    if newest.0 <= known {
        return None;
    }
    refuse(
        format!(
            "CoreDNS {} runs, and kubeadm {} knows only versions up to {}: it would stop half-way",
            newest.1, release.kubernetes, release.coredns
        ),
        format!("choose a later patch: kbootstrap upgrade --to {}", release.newest_patch()),
    )
}

fn etcd(roll: &Roll, drained: &BTreeSet<NodeName>) -> Reason {
    let look = "look at etcd on the control planes: kbootstrap status";
    let wanted = roll.spec.voters();
    for node in roll.spec.members() {
        let name = &node.name;
        let Some(known) = roll.nodes.get(name) else { continue };
        let Some(etcd) = &known.seen.facts.kubernetes.etcd else {
            return refuse(format!("etcd's member on {name} does not answer"), look);
        };
        if etcd.leader.is_none() || etcd.kubeadm_config != Some(true) {
            return refuse(format!("etcd's member on {name} has no quorum"), look);
        }
        if let Some(alarm) = etcd.alarms.first() {
            return refuse(format!("etcd raises the alarm {alarm}"), look);
        }
        if let Some(learner) = etcd.members.iter().find(|member| member.learner || member.name.is_empty()) {
            let who = if learner.name.is_empty() { &learner.id } else { &learner.name };
            return refuse(format!("etcd's member {who} has no vote"), "finish its join, or remove it: kbootstrap up");
        }
        if etcd.members.len() != wanted {
            return refuse(
                format!("etcd has {} members, not {wanted}", etcd.members.len()),
                "bring both together first: kbootstrap status",
            );
        }
        let readyz = known.seen.facts.kubernetes.readyz;
        if node.is_control_plane() && readyz != Some(200) && !has_begun(roll, name, known, drained) {
            return refuse(format!("the API server of {name} is not ready"), "kbootstrap status shows what is wrong");
        }
    }
    None
}

/// A control plane that nobody names would be left behind, and with it the whole cluster's version.
fn members(roll: &Roll) -> Reason {
    let foreign = roll.live.nodes.iter().find(|(name, node)| node.is_control_plane() && roll.spec.node(name).is_none());
    let (name, _) = foreign?;
    refuse(
        format!("the cluster has a control plane {name} that the inventory does not name"),
        format!("add {name} to the inventory, or remove it from the cluster"),
    )
}

/// Told before anything is changed, rather than by the first drain.
fn local_data(roll: &Roll, drained: &BTreeSet<NodeName>) -> Reason {
    if roll.input.terms.drain.delete_local_data {
        return None;
    }
    let losing: Vec<String> = (roll.input.rolling.losing.iter())
        .filter(|(node, _)| drained.contains(node))
        .map(|(node, pod)| format!("{pod} (on {node})"))
        .collect();
    let most = losing.len().min(8);
    let more = if losing.len() > most { format!(" and {} more", losing.len() - most) } else { String::new() };
    if losing.is_empty() {
        return None;
    }
    refuse(
        format!("pods would lose something if their nodes were drained: {}{more}", losing[..most].join("; ")),
        format!(
            "move them yourself, or where that may be lost: kbootstrap upgrade --to {} --delete-local-data",
            roll.target()
        ),
    )
}

/// A budget that asks for as many pods as there are lets none go, ever.
fn budgets(roll: &Roll, drained: &BTreeSet<NodeName>) -> Reason {
    let rolled = |node: &Option<String>| {
        let name = node.as_deref().and_then(|name| NodeName::new(name).ok());
        name.is_some_and(|name| drained.contains(&name))
    };
    let blocking = roll.input.rolling.budgets.iter().find_map(|budget| {
        let pods: Vec<String> = budget
            .pods
            .iter()
            .filter(|(_, node)| rolled(node))
            .map(|(pod, node)| format!("{}/{pod} on {}", budget.namespace, node.as_deref().unwrap_or("no node")))
            .collect();
        (budget.never && !pods.is_empty()).then_some((budget, pods))
    });
    let (budget, pods) = blocking?;
    refuse(
        format!(
            "budget {}/{} never lets any of its pods be evicted ({}), so their nodes cannot be drained",
            budget.namespace,
            budget.name,
            pods.join(", ")
        ),
        format!(
            "let it spare one while this runs: kubectl -n {} edit poddisruptionbudget {}, or give its pods one more replica",
            budget.namespace, budget.name
        ),
    )
}

/// Checks of one node.
pub fn node(roll: &Roll, name: &NodeName, known: &Known, drained: &BTreeSet<NodeName>) -> Vec<Item> {
    vec![
        item("upgrade.node", "this node can be taken", checked(fit(roll, name, known, drained))),
        item("upgrade.disk", "room for images, packages and a copy of etcd", checked(room(roll, name, known))),
    ]
}

/// Whether a node is under way already: it may then be what a run that died made of it. Where nothing of Kubernetes is left
/// to be done and yet it is to be drained, for another runtime, that such a run has closed it tells so.
fn has_begun(roll: &Roll, name: &NodeName, known: &Known, drained: &BTreeSet<NodeName>) -> bool {
    let cordoned = roll.live.nodes.get(name).is_some_and(|node| node.cordoned);
    known.stage.has_begun() && (!known.stage.is_done() || !drained.contains(name) || cordoned)
}

fn fit(roll: &Roll, name: &NodeName, known: &Known, drained: &BTreeSet<NodeName>) -> Reason {
    let Some(node) = roll.live.nodes.get(name) else {
        return refuse(
            format!("{name} is not in the cluster"),
            "an upgrade begins with every node of the inventory joined: kbootstrap up",
        );
    };
    if !node.ready && !has_begun(roll, name, known, drained) {
        let why = node.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        return refuse(
            format!("{name} is not Ready{why}"),
            "repair it first: an upgrade would only add to its troubles (kbootstrap status)",
        );
    }
    None
}

/// New images and packages, and on a control plane a snapshot and the copy that kubeadm makes of etcd's whole data.
fn room(roll: &Roll, name: &NodeName, known: &Known) -> Reason {
    if known.stage.is_done() {
        return None;
    }
    let etcd = known.seen.facts.kubernetes.etcd.as_ref().map_or(0, |etcd| etcd.db_bytes);
    let control_plane = roll.spec.node(name).is_some_and(|node| node.is_control_plane());
    let least = if control_plane { 2 * GIB + 3 * etcd } else { GIB };
    let disks = &known.seen.facts.disks;
    let short = disks.iter().find(|(_, disk)| disk.free_bytes < least)?;
    refuse(
        format!(
            "{} MiB are free for {} on {name}; the upgrade needs {} MiB",
            short.1.free_bytes / MIB,
            short.0,
            least / MIB
        ),
        "make room (crictl rmi --prune removes images that nothing uses), or give the machine a larger disk",
    )
}

/// What a person should know though nothing is done about it.
pub fn notices(roll: &Roll) -> Vec<Notice> {
    let mut notices = Vec::new();
    let minor = roll.target().minor();
    for api in roll.input.rolling.deprecated.iter().filter(|api| api.removed_in <= minor) {
        notices.push(Notice {
            node: None,
            text: format!("somebody asks for {}, which 1.{} no longer has", api.what, api.removed_in),
            hint: Some("its users must move to a newer version of that API, or they fail after the upgrade".into()),
        });
    }
    for budget in roll.input.rolling.budgets.iter().filter(|budget| budget.allowed < 1 && !budget.never) {
        notices.push(Notice {
            node: None,
            text: format!("budget {}/{} lets no pod go just now", budget.namespace, budget.name),
            hint: Some("a drain waits until it does".into()),
        });
    }
    notices
}
