//! Another version of Kubernetes for a living cluster: which node is taken when, and what is done to it.
//!
//! The plan is made from what is seen, each time anew: a node's stage is told by its packages, its static pods and its
//! kubelet, so that a run that died is gone on with by the same command.
//!
//! ```text
//! every node   source of packages, packages fetched, images pulled; control planes: a backup of themselves
//! ── Prepared ──
//! every node   kubeadm's package
//! each control plane but the last, one after the other ── Served(node) ──
//!     the others well; etcd's leadership away; proxies look elsewhere; kubeadm upgrade; conditions held
//! each control plane, the last first, one after the other ── Rolled(node) ──
//!     the same care, and on the last kubeadm upgrade with it; drain; packages and what the playbook has otherwise for the
//!     new version; kubelet; conditions held; uncordon
//! workers, in batches ── Batch(n) ──
//!     kubeadm; drain; packages; kubelet; conditions held; uncordon
//! cluster      network, CoreDNS on two nodes, the proof
//! ```

mod checks;
mod roll;

use std::collections::BTreeMap;

use super::{
    basis::Basis,
    build::{self},
    item,
};
use crate::{
    kind::{self, upgrade::Stage},
    model::{
        cluster::ClusterSpec,
        live::{Cluster, Live},
        name::NodeName,
        node::NodeSpec,
        observe::{Observation, Seen},
        plan::{Chain, Gate, Item, Owner, Plan, Refusal, Verdict},
        rolling::{RollTerms, Rolling},
        step::{Action, Step, StepKind},
        version::KubeVersion,
    },
};

/// All that the plan is made from.
pub struct Input<'a> {
    /// What `up` is planned from, the wanted version in its spec.
    pub base: build::Input<'a>,
    pub rolling: &'a Rolling,
    pub terms: RollTerms,
}

/// What is known of each node of the cluster.
struct Known<'a> {
    seen: &'a Seen,
    stage: Stage,
}

/// What all parts of the plan look at.
struct Roll<'a> {
    input: &'a Input<'a>,
    spec: &'a ClusterSpec,
    live: &'a Live,
    nodes: BTreeMap<NodeName, Known<'a>>,
    basis: Basis<'a>,
}

/// Makes the plan of a roll to the spec's version; `None` where the cluster does not live. Pure.
pub fn build(input: &Input) -> Option<Plan> {
    let Cluster::Live(live) = input.base.cluster else { return None };
    let spec = input.base.spec;
    let nodes = input.base.observations.iter().filter_map(|(name, observation)| match observation {
        Observation::Seen(seen) => {
            let stage = kind::upgrade::stage(spec, spec.node(name)?, seen, live);
            Some((name.clone(), Known { seen, stage }))
        }
        Observation::Unknown { .. } => None,
    });
    let roll = Roll { input, spec, live, nodes: nodes.collect(), basis: Basis::of(&input.base) };
    Some(roll.plan())
}

/// Whether what is wanted can only be had node by node: a newer version of Kubernetes, of etcd or of the runtime, on a
/// cluster all of whose nodes are there and have joined. One that is half taken to a newer version than is wanted is not
/// gone on with so: that is to be said.
pub fn is_due(input: &build::Input) -> bool {
    let Cluster::Live(live) = input.cluster else { return false };
    let spec = input.spec;
    let joined = |node: &NodeSpec| match input.observations.get(&node.name) {
        Some(Observation::Seen(seen)) => live.nodes.contains_key(&node.name).then_some(seen),
        Some(Observation::Unknown { .. }) | None => None,
    };
    let Some(all) = spec.nodes.iter().map(|node| Some((node, joined(node)?))).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let newer = all.iter().any(|(_, seen)| kind::upgrade::is_beyond(seen, spec.kubernetes()));
    !newer
        && all.iter().any(|(node, seen)| {
            let runtime = input.steps[&node.name].iter().any(|step| match &step.kind {
                StepKind::Packages(wishes) => kind::upgrade::changed_installed(wishes, seen).next().is_some(),
                _ => false,
            });
            // A node that a run which died had closed is opened again in the same way.
            let closed = live.nodes.get(&node.name).is_some_and(|node| node.cordoned);
            runtime || closed || kind::upgrade::is_behind(spec, node, seen, live)
        })
}

impl Roll<'_> {
    fn plan(&self) -> Plan {
        let versions = checks::Versions::of(self);
        let mut chains: Vec<Chain> = self
            .spec
            .nodes
            .iter()
            .map(|node| Chain { owner: Owner::Node(node.name.clone()), items: self.node_items(&node.name, &versions) })
            .collect();
        let drained = roll::drained(&chains);
        for (node, chain) in self.spec.nodes.iter().zip(&mut chains) {
            if let Some(known) = self.nodes.get(&node.name) {
                chain.items.splice(..0, checks::node(self, &node.name, known, &drained));
            }
        }
        let ends = roll::gate(self, &mut chains);
        let mut items = checks::cluster(self, &versions, &drained);
        let steps = build::cluster_items(&self.input.base, &chains);
        items.extend(self.input.base.cluster_steps.iter().zip(steps).map(|(step, mut item)| {
            // Wherever its replicas are now: the last drain may put both of them on one node.
            let spread = matches!(step.kind, StepKind::Action(Action::CorednsSpread)) && self.spec.nodes.len() > 1;
            if spread && !drained.is_empty() && !item.verdict.is_change() {
                item.verdict = kind::spread_coredns("drains move its replicas");
            }
            if item.verdict.is_change() {
                item.waits.clone_from(&ends);
            }
            item
        }));
        if let Some(first) = items.iter_mut().find(|item| item.verdict.is_change()) {
            first.waits.insert(0, Gate::AllPreflightPassed);
        }
        chains.push(Chain { owner: Owner::Cluster, items });
        let mut notices = build::notices(&self.input.base);
        notices.extend(checks::notices(self));
        let mut plan = Plan { chains, notices, max_failed: self.input.terms.max_failed, settling: false };
        // Of a roll under way a member of etcd may be silent because kubelet has just started it anew.
        let passes = plan.refusals().all(|(_, item, _)| item.step.as_str() == checks::ETCD);
        plan.settling = roll::any_begun(self) && plan.refusals().next().is_some() && passes;
        plan
    }

    fn node_items(&self, name: &NodeName, versions: &checks::Versions) -> Vec<Item> {
        let steps = &self.input.base.steps[name];
        let Some(known) = self.nodes.get(name) else {
            let error = match &self.input.base.observations[name] {
                Observation::Unknown { error, .. } => error.clone(),
                Observation::Seen(_) => "it was not judged".to_owned(),
            };
            let refusal = Refusal {
                reason: format!("nothing is known of {name}: {error}"),
                hint: "an upgrade begins with every node there: bring it back, or take it out of the inventory".into(),
            };
            return vec![item("upgrade.node", "this node can be taken", Verdict::Refused(refusal))];
        };
        let node = self.spec.node(name).expect("a chain's node is in the inventory");
        let context = self.basis.context(node, known.seen);
        roll::items(self, steps, &context, &known.stage, versions.from)
    }

    /// The stage of a node that was seen.
    fn stage(&self, name: &NodeName) -> Option<&Stage> {
        self.nodes.get(name).map(|known| &known.stage)
    }

    fn target(&self) -> KubeVersion {
        self.spec.kubernetes()
    }
}

/// Satisfied, or the first reason why not.
fn checked(refusal: Option<(String, String)>) -> Verdict {
    match refusal {
        None => Verdict::Satisfied,
        Some((reason, hint)) => Verdict::Refused(Refusal { reason, hint }),
    }
}

/// Whether a playbook's step is one that brings something beforehand, without disturbing what runs.
fn is_preparation(step: &Step) -> bool {
    matches!(step.kind, StepKind::Assert(_) | StepKind::Probe(_) | StepKind::Repository(_) | StepKind::Images(_))
}

#[cfg(test)]
mod tests;
