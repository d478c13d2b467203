//! What is judged of a node in more than one phase.

use std::collections::BTreeMap;

use super::{
    away::{Away, LOOKS, settle},
    build, change, item, member,
    world::{Node, Pair, World},
};
use crate::{
    kind::{
        rotate::{AUTHORITIES, FOLDER, KUBELET, SERVERS, signer},
        upgrade,
    },
    model::{
        cluster::{API_SERVER_PORT, EndpointKind},
        etcd::EtcdLayout,
        op::Op,
        plan::{Item, Verdict},
    },
    pki::{Authority, SharedPath, Trusted},
};

const SERVERS_STEP: &str = "rotate.servers";

/// The ports of a node on which something else is shown than what is in the file for it, with that file.
pub fn unshown(node: &Node<'_>) -> Vec<(u16, &'static str)> {
    let mut all = Vec::new();
    if node.spec.is_control_plane() {
        all.push((API_SERVER_PORT, "/etc/kubernetes/pki/apiserver.crt"));
        if node.etcd == EtcdLayout::Stacked {
            all.push((EtcdLayout::CLIENT_PORT, "/etc/kubernetes/pki/etcd/server.crt"));
        }
    }
    if node.has_service {
        all.push((EtcdLayout::CLIENT_PORT, member::LEAF));
    }
    all.retain(|(port, path)| !node.shows(*port, path));
    all
}

/// Whether a certificate is not among these.
pub fn lacks(there: &[Trusted], one: &Trusted) -> bool {
    there.iter().all(|other| other.sha256 != one.sha256)
}

/// Certificates of a control plane that are not signed by the new authority.
pub fn missing_leaves(node: &Node<'_>, pairs: &BTreeMap<Authority, Pair>) -> Vec<String> {
    let authority = |path: &str| AUTHORITIES.iter().any(|authority| node.at(authority.files().0) == path);
    let leaf = |path: &str| path.starts_with("/etc/kubernetes/") && !path.starts_with(FOLDER) && !authority(path);
    let files = node.sight.files.iter().filter(|(path, _)| leaf(path));
    // One in `kubelet.conf` was for its first start.
    let files = files.filter(|(path, _)| !path.ends_with("/kubelet.conf"));
    let other =
        files.filter(|(path, file)| !file.certificates.first().is_some_and(|own| pairs[&signer(path)].new.signed(own)));
    other.map(|(path, _)| path.clone()).collect()
}

/// Programs of a control plane's static pods that run since before what they read was last written.
pub fn servers_run_before(node: &Node<'_>) -> bool {
    runs_before(node).iter().any(|name| *name != "kubelet" && !(node.has_service && *name == member::PROGRAM))
}

/// Programs of a node that run since before what they read was last written.
pub fn runs_before(node: &Node<'_>) -> Vec<&'static str> {
    let mut all = Vec::new();
    let stale = |name: &str, written: i64| node.sight.since.get(name).is_none_or(|since| *since < written);
    if node.spec.is_control_plane() {
        let written = written_for_servers(node);
        let of_kubelet = SERVERS.into_iter().filter(|name| !node.has_service || *name != member::PROGRAM);
        all.extend(of_kubelet.filter(|name| stale(name, written)));
    }
    if member::runs_before(node) {
        all.push(member::PROGRAM);
    }
    if stale("kubelet", written_for_kubelet(node)) {
        all.push("kubelet");
    }
    all
}

fn written_for_servers(node: &Node<'_>) -> i64 {
    let reads = |path: &str| path.starts_with(SharedPath::FOLDER) && !path.starts_with(FOLDER);
    let files = node.sight.files.iter().filter(|(path, _)| reads(path)).map(|(_, file)| file.written);
    let configs = ["controller-manager.conf", "scheduler.conf"].map(|name| format!("/etc/kubernetes/{name}"));
    let configs = configs.iter().filter_map(|path| node.sight.trust.get(path)).map(|file| file.written);
    files.chain(configs).max().unwrap_or(0)
}

fn written_for_kubelet(node: &Node<'_>) -> i64 {
    let own = node.sight.files.get(&node.at(SharedPath::CaCrt)).map(|file| file.written);
    let config = node.sight.trust.get("/etc/kubernetes/kubelet.conf").map(|file| file.written);
    own.into_iter().chain(config).max().unwrap_or(0)
}

/// Whether the kubelet of a node has a certificate of this authority.
pub fn kubelet_is_of(node: &Node<'_>, authority: &Trusted) -> bool {
    node.sight.certificates(KUBELET).first().is_some_and(|own| authority.signed(own))
}

impl World<'_> {
    /// Whether nodes reach API servers through proxies that check them.
    pub fn has_proxies(&self) -> bool {
        self.spec.endpoint.kind == EndpointKind::LocalProxy
    }
}

/// The kubelet is restarted, because what it read has changed.
pub fn restarted_kubelet() -> Item {
    let verdict = change(
        vec!["~ kubelet restarts, because whom it trusts has changed".to_owned()],
        vec![upgrade::restart()],
        Some("kubelet restarts on a node that has joined"),
    );
    item("rotate.kubelet", "its kubelet has read it", verdict)
}

/// What is done to a node, and what surrounds it: while servers of a control plane restart nothing asks them, and at the end
/// the node is well, several times in a row. Nothing is added where nothing changes.
pub fn surrounded(world: &World<'_>, node: &Node<'_>, mut items: Vec<Item>) -> Vec<Item> {
    if !items.iter().any(|item| item.verdict.is_change()) {
        return items;
    }
    let around = Away { spec: world.spec, node: node.spec, prefix: "rotate." };
    // Its API server asks the member of etcd beside it, whichever way that runs.
    let restarts = |item: &Item| [member::STEP, SERVERS_STEP].contains(&item.step.as_str()) && item.verdict.is_change();
    let servers = items.iter().position(restarts).filter(|_| node.spec.is_control_plane());
    if let Some(at) = servers {
        drop(items.splice(at..at, around.away()));
    }
    let well = settle(world.spec, &node.spec.name, None, None, LOOKS);
    items.push(item("rotate.settled", "this node is well", change(vec![], vec![well], None)));
    if servers.is_some() {
        items.push(around.back());
    }
    items
}

/// The programs of a control plane are restarted, or had no reason to be.
pub fn servers(etcd: EtcdLayout, ops: Option<Vec<Op>>) -> Item {
    let (diff, disrupts) = match etcd {
        EtcdLayout::Stacked => ("~ etcd, API server, ", "etcd and the API server of this control plane restart"),
        EtcdLayout::Service => ("~ API server, ", "the API server of this control plane restarts"),
    };
    let verdict = match ops {
        None => Verdict::Satisfied,
        Some(ops) => change(vec![format!("{diff}controllers, scheduler: restarted")], ops, Some(disrupts)),
    };
    item(SERVERS_STEP, "its servers have read it", verdict)
}

/// The node's steps of the playbook that concern whom it trusts, of these two sorts: its static pods, or the others.
pub fn steps(world: &World<'_>, context: &crate::kind::Context<'_>, static_pods: bool) -> Vec<Item> {
    use crate::model::step::{Action, StepKind};
    let steps = &world.input.base.steps[&context.node.name];
    let chosen = steps.iter().filter(|step| match &step.kind {
        StepKind::Action(Action::StaticPods) => static_pods,
        StepKind::File(_) | StepKind::Service(_) => !static_pods,
        _ => false,
    });
    chosen.map(|step| build::item(step, crate::kind::judge(step, context))).collect()
}
