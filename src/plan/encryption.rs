//! Who takes which step when the keys that Secrets are encrypted with change. Pure.
//!
//! A step is taken by all control planes before any takes the next one, and a new key writes nothing before each of them holds
//! a backup with it. What is left of a change that was interrupted follows from what their files say now.
//!
//! ```text
//! every control plane   the new key reads      ── Readable ──
//! every control plane   a backup with it       ── Kept ──
//! every control plane   the new key writes     ── Writing ──
//! cluster               every Secret anew      ── Rewritten ──
//! every control plane   the old key goes
//! ```

use std::collections::BTreeMap;

use super::{
    after_preflight,
    basis::Basis,
    build::{self, Input},
    item,
};
use crate::{
    kind::encryption::{self as keys, change},
    model::{
        encryption::{Phase, State, state},
        facts::Facts,
        live::{Cluster, Live},
        name::NodeName,
        op::{ClusterOp, Keys, Op, Work},
        plan::{Chain, Gate, Item, KeysGate, Notice, Owner, Plan, Refusal, Verdict},
        step::{Action, Step, StepKind},
    },
};

/// Some hundred Secrets are written in a second.
const REWRITE_S: u32 = 3600;

const KEPT: (&str, &str) = ("encryption.backup", "a backup that holds the key");
const DISRUPTS: &str = "every Secret is written anew, and whoever watches Secrets is told of each";

/// The cluster's part of turning encryption on.
#[derive(Clone, Default)]
pub struct Rest {
    rewrites: bool,
    /// What the rewriting waits for.
    waits: Option<Gate>,
    /// Whether the nodes' part waits for what kubeadm gives to control planes that join.
    configures: bool,
}

/// Adds to the control planes' chains what turning encryption on takes after their files and flags, or what is left of it.
pub fn turn_on(input: &Input, basis: &Basis<'_>, chains: &mut [Chain]) -> Rest {
    let facts = &basis.facts;
    let Cluster::Live(live) = input.cluster else { return from_plain(input, facts, chains) };
    let seen = keys::seen(live, facts);
    if input.spec.encryption.is_none() || keys::not_all(input.spec, live, &seen).is_some() {
        return Rest::default();
    }
    let all = match state(&seen) {
        State::Off | State::TurningOn => true,
        State::On { pending: true, .. } => false,
        _ => return Rest::default(),
    };
    let configures = input.cluster_steps.iter().any(is_config);
    for chain in chains.iter_mut() {
        let Owner::Node(name) = chain.owner.clone() else { continue };
        if !input.spec.node(&name).is_some_and(crate::model::node::NodeSpec::is_control_plane) {
            continue;
        }
        if all {
            let mut load = item(
                "encryption.loaded",
                "this API server has the key",
                change("~ waits until its API server has read the file", vec![keys::load(Keys::First)], None),
            );
            load.opens = Some(Gate::Keys(KeysGate::Readable));
            let mut first = first(vec![keys::mark(), keys::phase(Phase::First, Keys::First)]);
            if configures {
                first.waits.push(Gate::Keys(KeysGate::Configured));
            }
            chain.items.push(load);
            chain.items.extend(backup(basis, input, &name, 1));
            chain.items.push(first);
        }
        chain.items.push(done());
    }
    let waits = all.then_some(Gate::Keys(KeysGate::Writing));
    Rest { rewrites: true, waits, configures: all && configures }
}

/// A cluster that begins from a backup without keys has plain Secrets. Its first control plane writes them anew by its own API
/// server; the others join with the same key.
fn from_plain(input: &Input, facts: &BTreeMap<NodeName, Facts>, chains: &mut [Chain]) -> Rest {
    let leader = build::bearings(input.spec, input.cluster, input.observations).leader;
    let begins = !matches!(input.cluster, Cluster::Unknown { .. }) && input.spec.encryption.is_some();
    let Some(there) = facts.get(&leader).map(|facts| &facts.kubernetes).filter(|_| begins) else {
        return Rest::default();
    };
    let plain = match &there.encryption {
        Some(seen) if seen.file.is_some() => seen.pending,
        _ => there.restoring,
    };
    if !plain {
        return Rest::default();
    }
    chains
        .iter_mut()
        .filter(|chain| chain.owner == Owner::Node(leader.clone()))
        .for_each(|chain| chain.items.push(done()));
    Rest { rewrites: true, waits: Some(Gate::ApiAnswers), configures: false }
}

fn done() -> Item {
    let gone = change("- the mark that Secrets of before are plain", vec![keys::unmark()], None);
    let mut gone = item("encryption.done", "no Secret of before is plain", gone);
    gone.waits.push(Gate::Keys(KeysGate::Rewritten));
    gone
}

fn is_config(step: &Step) -> bool {
    matches!(step.kind, StepKind::Action(Action::ClusterConfig))
}

impl Rest {
    /// Adds the cluster's part to its judged steps.
    pub fn extend(self, steps: &[Step], items: &mut Vec<Item>) {
        if self.configures
            && let Some(at) = steps.iter().position(is_config)
        {
            items[at].opens = Some(Gate::Keys(KeysGate::Configured));
        }
        if self.rewrites {
            // The last steps wait for every node, and nodes wait for this.
            let last = |step: &Step| {
                matches!(step.kind, StepKind::Action(Action::CorednsSpread | Action::Tokens | Action::Proof))
            };
            let at = steps.iter().position(last).unwrap_or(items.len());
            let mut rewrite = rewrite();
            rewrite.waits = self.waits.into_iter().collect();
            items.insert(at, rewrite);
        }
    }
}

/// What `up` leaves to another command.
pub fn notice(input: &Input, facts: &BTreeMap<NodeName, Facts>) -> Option<Notice> {
    let Cluster::Live(live) = input.cluster else { return None };
    let State::Rotating { old, new, .. } = state(&keys::seen(live, facts)) else { return None };
    Some(Notice {
        node: None,
        text: format!("the key of Secrets is being rotated from {old} to {new}, and that has not come to its end"),
        hint: Some("kbootstrap secrets rotate-key goes on with it".to_owned()),
    })
}

/// The plan of a rotation, or of what is left of one. `begun`: this command has been at it, so that one key alone is what it
/// came for.
pub fn rotate(input: &Input, begun: bool) -> Plan {
    let mut plan = Plan::default();
    let refused = |reason: String, hint: &str| {
        let verdict = Verdict::Refused(Refusal { reason, hint: hint.to_owned() });
        let items = vec![item("encryption.state", "the key can be rotated", verdict)];
        Plan { chains: vec![Chain { owner: Owner::Cluster, items }], ..Plan::default() }
    };
    let live = match input.cluster {
        Cluster::Live(live) => live,
        Cluster::Unknown { reason } => return refused(reason.clone(), "kbootstrap status shows what is wrong"),
        Cluster::Absent | Cluster::HalfFormed { .. } => {
            return refused("there is no whole cluster yet".to_owned(), "kbootstrap up forms it");
        }
    };
    let basis = Basis::of(input);
    let (from, generation) = match unfit(input, live, &basis.facts) {
        Err((reason, hint)) => return refused(reason, hint),
        Ok(State::On { key, .. }) if begun => {
            let done = item("encryption.only", &format!("Secrets are encrypted with {key}"), Verdict::Satisfied);
            plan.chains.push(Chain { owner: Owner::Cluster, items: vec![done] });
            return plan;
        }
        Ok(State::On { key, .. }) => (Phase::Second, key.generation + 1),
        Ok(State::Rotating { from, new, .. }) => (from, new.generation),
        Ok(other) => unreachable!("{other:?} is not fit"),
    };
    for node in input.spec.control_planes() {
        let mut items = Vec::new();
        if from == Phase::Second {
            let second = change("+ the new key, second: it reads", vec![keys::phase(Phase::Second, Keys::Next)], None);
            let mut second = item("encryption.second", "the new key reads", second);
            second.opens = Some(Gate::Keys(KeysGate::Readable));
            items.push(second);
            items.extend(backup(&basis, input, &node.name, generation));
        }
        if from <= Phase::First {
            let mut first = first(vec![keys::phase(Phase::First, Keys::Next)]);
            if from == Phase::First {
                first.waits.clear();
            }
            items.push(first);
        }
        let only = change("- the old key", vec![keys::phase(Phase::Only, Keys::Next)], None);
        let mut only = item("encryption.only", "the old key is gone", only);
        if from <= Phase::First {
            only.waits.push(Gate::Keys(KeysGate::Rewritten));
        }
        items.push(only);
        plan.chains.push(Chain { owner: Owner::Node(node.name.clone()), items });
    }
    if from <= Phase::First {
        plan.chains.push(Chain { owner: Owner::Cluster, items: vec![rewrite()] });
    }
    after_preflight(&mut plan);
    plan
}

/// The state, where a key can be rotated in it.
fn unfit(input: &Input, live: &Live, facts: &BTreeMap<NodeName, Facts>) -> Result<State, (String, &'static str)> {
    let up = "let kbootstrap up come to its end first";
    if input.spec.encryption.is_none() {
        let hint = "write [encryption] provider = \"secretbox\" into it; kbootstrap up turns it on";
        return Err(("the inventory has no [encryption]".to_owned(), hint));
    }
    let seen = keys::seen(live, facts);
    if let Some(why) = keys::not_all(input.spec, live, &seen) {
        return Err((why, "a key is rotated with every control plane there: kbootstrap status shows them"));
    }
    let unready = input.spec.control_planes().find(|node| facts[&node.name].kubernetes.readyz != Some(200));
    if let Some(node) = unready {
        return Err((format!("the API server of {} is not ready", node.name), "kbootstrap status shows what is wrong"));
    }
    let bare = seen.iter().find(|(_, seen)| seen.is_none_or(|seen| !seen.flag));
    match state(&seen) {
        State::Off => Err(("Secrets are not encrypted yet".to_owned(), "kbootstrap up turns it on")),
        State::TurningOn | State::On { pending: true, .. } => {
            Err(("encryption is being turned on, and that has not come to its end".to_owned(), up))
        }
        State::Drift { wrong, .. } => {
            let wrong: Vec<&str> = wrong.iter().map(NodeName::as_str).collect();
            Err((format!("{} has other keys than the others, or none", wrong.join(", ")), "kbootstrap up mends that"))
        }
        State::Unclear(why) => Err((
            format!("the control planes have different keys, and it is not certain which are right: {why}"),
            "kbootstrap plan tells more",
        )),
        _ if bare.is_some() || !keys::is_configured(live) => {
            let whose = bare
                .map_or_else(|| "kubeadm's configuration".to_owned(), |(name, _)| format!("the API server of {name}"));
            Err((format!("{whose} lacks the flags of encryption"), "kbootstrap up mends that"))
        }
        state => Ok(state),
    }
}

fn backup(basis: &Basis<'_>, input: &Input, name: &NodeName, generation: u32) -> Vec<Item> {
    let node = input.spec.node(name).expect("a node of the inventory");
    basis.items(input, node, KEPT, |context| {
        let diff = "+ a snapshot of etcd with the new key, kept on this control plane";
        let kept = change(diff, vec![keys::backup(generation, context)], None);
        let mut kept = item(KEPT.0, KEPT.1, kept);
        kept.waits.push(Gate::Keys(KeysGate::Readable));
        kept.opens = Some(Gate::Keys(KeysGate::Kept));
        vec![kept]
    })
}

fn first(ops: Vec<Op>) -> Item {
    let mut first =
        item("encryption.first", "the new key writes", change("~ the new key, first: it writes", ops, None));
    first.waits.push(Gate::Keys(KeysGate::Kept));
    first.opens = Some(Gate::Keys(KeysGate::Writing));
    first
}

fn rewrite() -> Item {
    let what = "write every Secret anew, and see in etcd that it is encrypted".to_owned();
    let op = Op { kind: "secrets.rewrite", what, work: Work::Cluster(ClusterOp::RewriteSecrets), timeout_s: REWRITE_S };
    let all = change("~ every Secret of every namespace, written anew as it is", vec![op], Some(DISRUPTS));
    let mut all = item("encryption.rewrite", "every Secret is encrypted with the new key", all);
    all.waits.push(Gate::Keys(KeysGate::Writing));
    all.opens = Some(Gate::Keys(KeysGate::Rewritten));
    all
}

#[cfg(test)]
mod tests;
