//! The steps of one node, and who waits for whom.

use std::collections::BTreeSet;

use super::{Roll, is_preparation, item};
use crate::{
    kind::{
        self, Context,
        upgrade::{self, Etcd, Stage, Verb},
    },
    model::{
        etcd::EtcdLayout,
        name::NodeName,
        node::NodeSpec,
        op::{ClusterOp, Op},
        plan::{Chain, Change, Gate, Item, Owner, Refusal, Verdict},
        rolling::Word,
        step::{Action, Package, Step, StepKind},
        version::KubeVersion,
    },
    plan::{
        away::{Away, LOOKS, op, settle},
        build,
    },
    render,
};

/// The last step of a node's roll, by which others wait for it.
const LAST: &str = "upgrade.uncordon";
/// The step that empties a node.
pub const DRAIN: &str = "upgrade.drain";
/// The last step of what is done to a control plane's servers, where its kubelet has a turn of its own.
const LAST_OF_SERVER: &str = "upgrade.server-return";
/// kubeadm in the new version disturbs nothing, so no node waits with it for its turn.
const TOOLS: &str = "upgrade.kubeadm-package";

/// The steps of a node after its checks: what is brought beforehand, then the roll itself.
pub fn items(roll: &Roll, steps: &[Step], context: &Context<'_>, stage: &Stage, from: KubeVersion) -> Vec<Item> {
    let judged = build::node_items(steps, context);
    let fitting: Vec<&Step> = steps.iter().filter(|step| step.only.fits(&context.seen.facts.os)).collect();
    let (mut before, mut inside) = (Vec::new(), Vec::new());
    let mut disturbs = false;
    for (step, mut item) in fitting.into_iter().zip(judged) {
        match &step.kind {
            StepKind::Packages(wishes) => item.verdict = upgrade::judge_upgrade(wishes, context),
            StepKind::Action(Action::Encryption) if item.verdict.is_change() => {
                item.verdict = Verdict::Refused(Refusal {
                    reason: "the keys of Secrets are to be changed, too, which is not done between two versions"
                        .to_owned(),
                    hint: "one after the other: kbootstrap up in the present version, then the new one".to_owned(),
                });
            }
            StepKind::Action(Action::KubeadmInit | Action::KubeadmJoin) if item.verdict.is_change() => {
                item.verdict = Verdict::Refused(Refusal {
                    reason: format!("{} is not wholly in the cluster", context.node.name),
                    hint: "finish that first: kbootstrap up".to_owned(),
                });
            }
            _ => {}
        }
        if let Verdict::Change(change) = &mut item.verdict {
            if !stage.is_done() && matches!(step.kind, StepKind::Action(Action::KubeletConfig)) {
                // Once is enough, in the new version.
                change.ops.retain(|op| op.kind != upgrade::RESTART);
            }
            // It happens while the node is drained; the drain is what disrupts.
            disturbs |= change.disrupts.take().is_some();
        }
        if is_preparation(step) { before.push(item) } else { inside.push(item) }
    }
    let cordoned = roll.live.nodes.get(&context.node.name).is_some_and(|node| node.cordoned);
    let packages = to_fetch(steps, context, stage);
    if !stage.is_done() || !packages.is_empty() {
        before.push(fetch(&packages));
    }
    if !stage.is_done() {
        before.insert(0, probe(context));
        if context.node.is_control_plane() {
            let outlive = Verdict::Probe(vec![upgrade::outlive()]);
            before.insert(1, item("upgrade.certificates", "certificates outlive it", outlive));
        }
        if context.node.is_control_plane() && !stage.kubeadm {
            let ops = vec![upgrade::try_flags(context)];
            let change = Verdict::Change(Change { diff: vec![], ops, disrupts: None });
            before.push(item("upgrade.flags", "the new programs take their flags", change));
        }
        // Once anything of the cluster is of the new version, a backup of before can't be had any more.
        if context.node.is_control_plane() && !any_begun(roll) {
            before.push(backup(context, from));
        }
    }
    let mut all = before;
    if stage.is_done() && !disturbs && !cordoned {
        all.extend(inside);
        return all;
    }
    all.extend(window(roll, context, stage, inside, disturbs));
    all
}

pub fn any_begun(roll: &Roll) -> bool {
    roll.spec.control_planes().any(|node| roll.stage(&node.name).is_some_and(Stage::has_begun))
}

/// What is done to a node while the roll is at it: on a control plane first its servers, and, once those of all are
/// of the new version, its kubelet. A kubelet must never be newer than an API server that it asks: that of 1.31 asks for
/// services by a field that API servers of 1.30 do not know, and starts no container until it has them. The last control
/// plane whose servers are taken is the first whose kubelet may follow, and does at once: its pods start anew once more
/// in any case.
fn window(roll: &Roll, context: &Context<'_>, stage: &Stage, inside: Vec<Item>, disturbs: bool) -> Vec<Item> {
    let node = Rolled { roll, node: context.node };
    let mut items = Vec::new();
    let control_plane = context.node.is_control_plane();
    let last_served = serving(roll).last() == Some(&context.node.name);
    if !stage.kubeadm && !stage.tools {
        node.add(&mut items, TOOLS, "kubeadm's package", vec![upgrade::kubeadm_package(context)]);
    }
    if control_plane && !stage.kubeadm {
        let verb = verb(roll, &context.node.name);
        if let (Verb::Apply, Some(op)) = (verb, kind::wanted_etcd_image(roll.spec, roll.live)) {
            node.add(&mut items, "upgrade.etcd-image", "the image of etcd in kubeadm's configuration", vec![op]);
        }
        items.extend(node.around(if last_served { "upgrade." } else { "upgrade.server-" }).away());
        node.add(
            &mut items,
            "upgrade.kubeadm",
            "kubeadm upgrade",
            vec![upgrade::upgrade(verb, etcd(roll, context.node), context)],
        );
        if !last_served {
            node.add(
                &mut items,
                "upgrade.server-settled",
                "its servers are well",
                vec![settle(roll.spec, &context.node.name, Some(roll.target()), None, LOOKS, Word::Either)],
            );
            items.push(node.around("upgrade.server-").back());
        }
    }
    let drains = !stage.is_done() || disturbs;
    if !control_plane && !stage.kubeadm {
        node.add(
            &mut items,
            "upgrade.kubeadm",
            "kubeadm upgrade",
            vec![upgrade::upgrade(Verb::Node, Etcd::Elsewhere, context)],
        );
    }
    if drains {
        if control_plane && !last_served {
            // Its static pods start anew with the new kubelet.
            items.extend(node.around("upgrade.").away());
        }
        node.drain(&mut items);
    }
    items.extend(inside);
    if !stage.is_done() {
        node.add(&mut items, "upgrade.kubelet", "kubelet runs in its new version", vec![restart(roll, context.node)]);
    }
    let servers = control_plane.then_some(roll.target());
    let settle = settle(roll.spec, &context.node.name, servers, Some(roll.target()), LOOKS, Word::Either);
    node.add(&mut items, "upgrade.settled", "this node is well", vec![settle]);
    if control_plane {
        // Where all else is done, a run that died may have left it out.
        items.push(node.around("upgrade.").back());
    }
    let uncordon = ClusterOp::Uncordon { node: context.node.name.clone() };
    let what = format!("uncordon {}", context.node.name);
    node.add(&mut items, LAST, "pods may come back", vec![op("node.uncordon", &what, uncordon, 60)]);
    items
}

/// One node's steps, as they are put together.
struct Rolled<'a> {
    roll: &'a Roll<'a>,
    node: &'a NodeSpec,
}

impl Rolled<'_> {
    fn add(&self, items: &mut Vec<Item>, step: &str, title: &str, ops: Vec<Op>) {
        items.push(item(step, title, Verdict::Change(Change { diff: vec![], ops, disrupts: None })));
    }

    fn around(&self, prefix: &'static str) -> Away<'_> {
        Away { spec: self.roll.spec, node: self.node, prefix }
    }

    fn drain(&self, items: &mut Vec<Item>) {
        let (node, policy) = (self.node.name.clone(), &self.roll.input.terms.drain);
        let cordon = ClusterOp::Cordon { node: node.clone() };
        let drain = ClusterOp::Drain {
            node: node.clone(),
            on_blocked: policy.on_blocked,
            delete_local_data: policy.delete_local_data,
        };
        let ops = vec![
            op("node.cordon", &format!("cordon {node}"), cordon, 60),
            op("node.drain", &format!("drain {node}"), drain, policy.timeout_s),
        ];
        let disrupts = Some("its pods are evicted, and it is out of service for a minute or two".to_owned());
        let change = Change { diff: vec![], ops, disrupts };
        items.push(item(DRAIN, "its pods run elsewhere", Verdict::Change(change)));
    }
}

/// `apply` where no control plane has come through it, `node` on all others.
fn verb(roll: &Roll, node: &NodeName) -> Verb {
    let control_plane = roll.spec.node(node).is_some_and(NodeSpec::is_control_plane);
    let applied = roll.nodes.values().any(|known| known.stage.applied);
    let first = order(roll).into_iter().find(|name| roll.spec.node(name).is_some_and(NodeSpec::is_control_plane));
    if control_plane && !applied && first.as_ref() == Some(node) { Verb::Apply } else { Verb::Node }
}

/// The nodes in the order in which they are taken: control planes before workers, among each those that a run which died
/// left in between first, else the inventory's order.
pub fn order(roll: &Roll) -> Vec<NodeName> {
    let mut nodes: Vec<&NodeSpec> = roll.spec.nodes.iter().collect();
    let in_between = |node: &NodeSpec| {
        let begun = roll.stage(&node.name).is_some_and(|stage| stage.has_begun() && !stage.is_done());
        begun || roll.live.nodes.get(&node.name).is_some_and(|node| node.cordoned)
    };
    nodes.sort_by_key(|node| (!node.is_control_plane(), !in_between(node)));
    nodes.into_iter().map(|node| node.name.clone()).collect()
}

/// What `kubeadm upgrade` has to do with a control plane's etcd.
fn etcd(roll: &Roll, node: &NodeSpec) -> Etcd {
    match roll.spec.etcd {
        EtcdLayout::Service => Etcd::Elsewhere,
        EtcdLayout::Stacked if upgrade::etcd_is_behind(roll.spec, &node.name, roll.live) => Etcd::Changes,
        EtcdLayout::Stacked => Etcd::Stays,
    }
}

/// kubelet in its new version; with another minor version a control plane's static pods come anew.
fn restart(roll: &Roll, node: &NodeSpec) -> Op {
    let found = roll.live.nodes.get(&node.name).and_then(|node| node.kubelet.parse::<KubeVersion>().ok());
    match found.is_some_and(|found| found.minor() != roll.target().minor()) && node.is_control_plane() {
        true => upgrade::restart_with_static_pods(),
        false => upgrade::restart(),
    }
}

/// The control planes whose servers are still to be taken, in their order.
fn serving(roll: &Roll) -> Vec<NodeName> {
    let is_old = |name: &NodeName| roll.stage(name).is_some_and(|stage| !stage.kubeadm);
    let is_server = |name: &NodeName| roll.spec.node(name).is_some_and(NodeSpec::is_control_plane);
    order(roll).into_iter().filter(|name| is_server(name) && is_old(name)).collect()
}

fn probe(context: &Context<'_>) -> Item {
    item("upgrade.packages", "the repository has the version", Verdict::Probe(vec![upgrade::offered(context)]))
}

fn backup(context: &Context<'_>, from: KubeVersion) -> Item {
    let ops = vec![upgrade::backup(from, context.spec.kubernetes(), context)];
    item(
        "upgrade.backup",
        "a backup of this control plane",
        Verdict::Change(Change { diff: vec![], ops, disrupts: None }),
    )
}

/// Packages of another version than is there: those of Kubernetes, and what else the node's pods hang on.
fn to_fetch(steps: &[Step], context: &Context<'_>, stage: &Stage) -> Vec<Package> {
    let mut packages = if stage.package { Vec::new() } else { render::packages::kubernetes(context.spec) };
    for step in steps {
        let StepKind::Packages(wishes) = &step.kind else { continue };
        for package in upgrade::changed_installed(wishes, context.seen) {
            if packages.iter().all(|other| other.name != package.name) {
                packages.push(package.clone());
            }
        }
    }
    packages
}

/// Packages are on the machine before anything is taken out of service for them.
fn fetch(packages: &[Package]) -> Item {
    let verdict = if packages.is_empty() {
        Verdict::Satisfied
    } else {
        Verdict::Change(Change { diff: vec![], ops: vec![upgrade::fetch(packages)], disrupts: None })
    };
    item("upgrade.fetch", "packages fetched", verdict)
}

/// The nodes whose pods have to go.
pub fn drained(chains: &[Chain]) -> BTreeSet<NodeName> {
    let drains = |chain: &&Chain| chain.items.iter().any(|item| item.step.as_str() == DRAIN);
    let names = chains.iter().filter(drains).filter_map(|chain| match &chain.owner {
        Owner::Node(name) => Some(name.clone()),
        Owner::Cluster => None,
    });
    names.collect()
}

/// Declares who waits for what; gives what the cluster's own steps wait for.
pub fn gate(roll: &Roll, chains: &mut [Chain]) -> Vec<Gate> {
    let is_server = |name: &NodeName| roll.spec.node(name).is_some_and(NodeSpec::is_control_plane);
    let rolls = |name: &NodeName| {
        let chain = chains.iter().find(|chain| chain.owner == Owner::Node(name.clone()));
        chain.is_some_and(|chain| chain.items.iter().any(|item| item.step.as_str() == LAST))
    };
    let serving = serving(roll);
    let all = order(roll).into_iter().filter(rolls);
    let (mut rolled, workers): (Vec<NodeName>, Vec<NodeName>) = all.partition(is_server);
    // With it all API servers are of the new version: before, no kubelet may be.
    rolled.sort_by_key(|name| serving.last() != Some(name));
    let batches = batches(roll, &workers);
    let batch_of = |name: &NodeName| batches.iter().position(|batch| batch.contains(name));
    let before = |list: &[NodeName], name: &NodeName| -> Option<NodeName> {
        let index = list.iter().position(|other| other == name)?;
        list.get(index.checked_sub(1)?).cloned()
    };
    let all_rolled = rolled.last().cloned().map(Gate::Rolled);
    let mut prepared = false;
    for chain in chains.iter_mut() {
        let Owner::Node(name) = chain.owner.clone() else { continue };
        if let Some(first) = chain.items.iter_mut().find(|item| item.verdict.is_change()) {
            first.waits.push(Gate::AllPreflightPassed);
        }
        let end = chain.items.iter().position(in_window).unwrap_or(chain.items.len());
        if let Some(last) = chain.items[..end].iter_mut().rfind(|item| item.verdict.is_change()) {
            last.opens = Some(Gate::Prepared);
            prepared = true;
        }
        let batch = batch_of(&name);
        for item in &mut chain.items {
            match item.step.as_str() {
                LAST_OF_SERVER => item.opens = Some(Gate::Served(name.clone())),
                LAST => item.opens = Some(batch.map_or(Gate::Rolled(name.clone()), Gate::Batch)),
                _ => {}
            }
        }
    }
    for chain in chains.iter_mut() {
        let Owner::Node(name) = chain.owner.clone() else { continue };
        let Some(first) = chain.items.iter().position(in_window) else { continue };
        chain.items[first].waits.extend(prepared.then_some(Gate::Prepared));
        let turn = |item: &Item| in_window(item) && item.step.as_str() != TOOLS;
        let first = chain.items.iter().position(turn).expect("kubeadm's package is never all");
        // A control plane's servers have a turn of their own, before anybody's kubelet.
        chain.items[first].waits.extend(before(&serving, &name).map(Gate::Served));
        let end = chain.items.iter().position(|item| item.step.as_str() == LAST_OF_SERVER);
        let kubelet = end.map_or(first, |end| end + 1);
        let turn = match batch_of(&name) {
            Some(0) => all_rolled.clone(),
            Some(batch) => Some(Gate::Batch(batch - 1)),
            None => before(&rolled, &name).map(Gate::Rolled),
        };
        chain.items[kubelet].waits.extend(turn);
    }
    let mut ends: Vec<Gate> = all_rolled.into_iter().collect();
    ends.extend((0..batches.len()).map(Gate::Batch));
    if ends.is_empty() && prepared {
        ends.push(Gate::Prepared);
    }
    ends
}

/// Workers that are out of service at the same time, in their order: at most as many as is allowed, and, where there are
/// others, never all of a zone (those without one are a zone, too) nor all of the cluster.
fn batches(roll: &Roll, workers: &[NodeName]) -> Vec<Vec<NodeName>> {
    let zone = |name: &NodeName| roll.spec.node(name).and_then(|node| node.zone.as_ref());
    let all = roll.spec.workers().count();
    let at_once = roll.input.terms.max_unavailable.of(all).min(all.saturating_sub(1).max(1));
    let mut left = workers.to_vec();
    let mut batches = Vec::new();
    while !left.is_empty() {
        let mut batch: Vec<NodeName> = Vec::new();
        left.retain(|worker| {
            let size = roll.spec.workers().filter(|node| node.zone.as_ref() == zone(worker)).count();
            let taken = batch.iter().filter(|other| zone(other) == zone(worker)).count();
            let fits = batch.len() < at_once && (size == 1 || taken + 1 < size);
            if fits {
                batch.push(worker.clone());
            }
            !fits
        });
        batches.push(batch);
    }
    batches
}

/// Whether an item is one of a node's roll, and not of what comes before.
fn in_window(item: &Item) -> bool {
    let before = ["upgrade.fetch", "upgrade.flags", "upgrade.backup"];
    item.verdict.is_change() && item.step.as_str().starts_with("upgrade.") && !before.contains(&item.step.as_str())
}
