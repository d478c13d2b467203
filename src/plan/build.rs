//! Desired and observed in, a plan out.

use std::{borrow::Cow, collections::BTreeMap};

use super::{basis::Basis, encryption, layout};
use crate::{
    kind::{self, Context},
    model::{
        cluster::ClusterSpec,
        facts::{ClusterIdentity, Facts},
        live::Cluster,
        name::NodeName,
        node::NodeSpec,
        observe::Observation,
        op::{Keys, Late},
        plan::{Chain, Gate, Item, Notice, Owner, Plan, Verdict},
        step::{Action, Probe, Step, StepId, StepKind},
    },
    pki,
};

/// All that a plan is made from.
pub struct Input<'a> {
    pub spec: &'a ClusterSpec,
    /// Steps of every node of the inventory, in playbook order.
    pub steps: &'a BTreeMap<NodeName, Vec<Step>>,
    pub cluster_steps: &'a [Step],
    /// Of the nodes that are planned for: all, or some with all control planes among them.
    pub observations: &'a BTreeMap<NodeName, Observation>,
    pub cluster: &'a Cluster,
}

/// What follows for the whole cluster from what was seen.
pub struct Bearings {
    /// The control plane that is initialised, or that others are joined from.
    pub leader: NodeName,
    /// The cluster's identity; absent before it is made.
    pub identity: Option<ClusterIdentity>,
}

/// Tells leader and identity from an observation.
pub fn bearings(spec: &ClusterSpec, cluster: &Cluster, observations: &BTreeMap<NodeName, Observation>) -> Bearings {
    let facts = facts(observations);
    Bearings { leader: leader(spec, cluster, &facts), identity: known_identity(spec, cluster, &facts) }
}

pub(super) fn facts(observations: &BTreeMap<NodeName, Observation>) -> BTreeMap<NodeName, &Facts> {
    observations
        .iter()
        .filter_map(|(name, observation)| match observation {
            Observation::Seen(seen) => Some((name.clone(), &seen.facts)),
            Observation::Unknown { .. } => None,
        })
        .collect()
}

/// Makes the plan. Pure: the same input gives the same plan.
pub fn build(input: &Input) -> Plan {
    let basis = Basis::of(input);
    let mut chains: Vec<Chain> = input
        .spec
        .nodes
        .iter()
        .filter(|node| input.observations.contains_key(&node.name))
        .map(|node| {
            let steps = &input.steps[&node.name];
            let items = match &input.observations[&node.name] {
                Observation::Unknown { error, .. } => {
                    steps.iter().map(|step| item(step, Verdict::Unknown(error.clone()))).collect()
                }
                Observation::Seen(seen) => node_items(steps, &basis.context(node, seen)),
            };
            Chain { owner: Owner::Node(node.name.clone()), items }
        })
        .collect();
    let turning_on = encryption::turn_on(input, &basis, &mut chains);
    let mut items = cluster_items(input, &chains);
    turning_on.extend(input.cluster_steps, &mut items);
    chains.push(Chain { owner: Owner::Cluster, items });
    let mut plan = Plan { chains, notices: notices(input), ..Plan::default() };
    plan.notices.extend(encryption::notice(input, &basis.facts));
    gate(&mut plan, input, &basis.bearings.leader);
    plan
}

pub(super) fn item(step: &Step, verdict: Verdict) -> Item {
    Item { step: step.id.clone(), title: step.title.clone(), verdict, waits: Vec::new(), opens: None }
}

/// Judges a node's steps. A probe stays in the plan as one only where something later needs what it reaches for.
pub(super) fn node_items(steps: &[Step], context: &Context) -> Vec<Item> {
    let judged: Vec<&Step> = steps.iter().filter(|step| step.only.fits(&context.seen.facts.os)).collect();
    let mut items: Vec<Item> = judged.iter().map(|step| item(step, kind::judge(step, context))).collect();
    let changes = |wanted: fn(&StepKind) -> bool| {
        judged.iter().zip(&items).any(|(step, item)| wanted(&step.kind) && item.verdict.is_change())
    };
    let needs_packages = changes(|kind| matches!(kind, StepKind::Packages(_) | StepKind::Repository(_)));
    let needs_images = changes(|kind| matches!(kind, StepKind::Images(_)));
    let begins_member = items
        .iter()
        .any(|item| matches!(&item.verdict, Verdict::Change(change) if kind::begins_member(context, change)));
    for (step, item) in judged.iter().zip(&mut items) {
        let needed = match &step.kind {
            StepKind::Probe(Probe::Repository { .. }) => needs_packages,
            StepKind::Probe(Probe::Registry { .. }) => needs_images,
            StepKind::Probe(Probe::EtcdDisk) => begins_member,
            _ => continue,
        };
        if !needed && matches!(item.verdict, Verdict::Probe(_)) {
            item.verdict = Verdict::Satisfied;
        }
    }
    items
}

/// Judges the cluster's steps in order. A run that changes anything ends with the proof by more than looking, so the
/// last steps are told whether anything before them changes.
pub(super) fn cluster_items(input: &Input, chains: &[Chain]) -> Vec<Item> {
    let mut changes = chains.iter().flat_map(|chain| &chain.items).any(|item| item.verdict.is_change());
    let mut items = Vec::new();
    let spec = in_scope(input);
    for step in input.cluster_steps {
        let verdict = kind::judge_cluster(step, &spec, input.cluster, changes);
        changes |= verdict.is_change();
        items.push(item(step, verdict));
    }
    items
}

/// The wanted cluster less the nodes that are not planned for: how those are is not this plan's affair.
fn in_scope<'a>(input: &Input<'a>) -> Cow<'a, ClusterSpec> {
    let is = |node: &NodeSpec| input.observations.contains_key(&node.name);
    if input.spec.nodes.iter().all(is) {
        return Cow::Borrowed(input.spec);
    }
    let mut spec = input.spec.clone();
    spec.nodes.retain(is);
    Cow::Owned(spec)
}

/// The control plane that is initialised, or that others are joined from: of a living cluster the first whose API server
/// answers; else one that already has the shared authorities (a run ended there); else the first of the inventory.
fn leader(spec: &ClusterSpec, cluster: &Cluster, facts: &BTreeMap<NodeName, &Facts>) -> NodeName {
    let first = |wanted: &dyn Fn(&Facts) -> bool| {
        spec.control_planes()
            .find(|node| facts.get(&node.name).is_some_and(|facts| wanted(facts)))
            .map(|node| node.name.clone())
    };
    let chosen = match cluster {
        Cluster::HalfFormed { node, .. } => Some(node.clone()),
        Cluster::Live(_) => first(&|facts| facts.kubernetes.readyz == Some(200)),
        Cluster::Absent | Cluster::Unknown { .. } => first(&|facts| !facts.kubernetes.shared_pki.is_empty()),
    };
    chosen
        .or_else(|| first(&|_| true))
        .unwrap_or_else(|| spec.control_planes().next().expect("an inventory has a control plane").name.clone())
}

/// The cluster's authority, where any control plane has it; while it is exchanged for another, both.
pub(super) fn known_ca(spec: &ClusterSpec, facts: &BTreeMap<NodeName, &Facts>) -> Option<String> {
    pki::union(spec.control_planes().filter_map(|node| facts.get(&node.name)?.kubernetes.ca_crt.as_deref()))
}

/// The cluster's identity: the API's word before a control plane's. A prepared worker's is never taken for the cluster's.
fn known_identity(
    spec: &ClusterSpec,
    cluster: &Cluster,
    facts: &BTreeMap<NodeName, &Facts>,
) -> Option<ClusterIdentity> {
    if let Cluster::Live(live) = cluster
        && let Some(identity) = &live.identity
    {
        return Some(identity.clone());
    }
    spec.control_planes()
        .filter_map(|node| facts.get(&node.name))
        .filter(|facts| !facts.kubernetes.shared_pki.is_empty())
        .find_map(|facts| facts.kubernetes.identity.clone())
}

/// What a person should know though nothing is done about it.
pub(super) fn notices(input: &Input) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (name, observation) in input.observations {
        if let Observation::Unknown { error, hint } = observation {
            let text = error.clone();
            notices.push(Notice { node: Some(name.clone()), text, hint: hint.clone() });
        }
    }
    let spec = input.spec;
    let settles = matches!(input.cluster, Cluster::Absent | Cluster::HalfFormed { .. });
    if let Some(text) = layout::reason(spec).filter(|_| settles) {
        let hint = Some("`etcd-witness = true` of a worker puts it there".to_owned());
        notices.push(Notice { node: None, text, hint });
    }
    if let Some((text, hint)) = layout::zone_of_too_many(spec) {
        notices.push(Notice { node: None, text, hint: Some(hint) });
    }
    match input.cluster {
        Cluster::Live(live) => {
            let count = spec.control_planes().count();
            if spec.voters().is_multiple_of(2) {
                notices.push(Notice {
                    node: None,
                    text: format!(
                        "{count} control planes survive the loss of {}, as {} do: etcd counts majorities",
                        (count - 1) / 2,
                        count - 1
                    ),
                    hint: Some("`kbootstrap node add --role control-plane` makes their number odd".into()),
                });
            }
            for name in live.nodes.keys().filter(|name| input.spec.node(name).is_none()) {
                notices.push(Notice {
                    node: Some(name.clone()),
                    text: "present in the cluster, not in the inventory; it is left alone".into(),
                    hint: Some(format!(
                        "`kbootstrap node remove` takes a node out, `kubectl get node {name}` shows it"
                    )),
                });
            }
        }
        Cluster::HalfFormed { node, reason } => {
            notices.push(Notice { node: Some(node.clone()), text: reason.clone(), hint: None });
        }
        Cluster::Unknown { reason } => {
            let hint = Some("nothing is initialised, reset or removed on what is merely unknown".into());
            notices.push(Notice { node: None, text: format!("the cluster's state is unknown: {reason}"), hint });
        }
        Cluster::Absent => {}
    }
    notices
}

/// Declares who waits for what.
fn gate(plan: &mut Plan, input: &Input, leader: &NodeName) {
    let forming = !matches!(input.cluster, Cluster::Live(_));
    let kinds = kinds(input);
    let is = |item: &Item, actions: &[Action]| matches!(kinds.get(&item.step), Some(StepKind::Action(action)) if actions.contains(action));
    let restoring = facts(input.observations).values().any(|facts| facts.kubernetes.restoring);
    // Another image of the network is on every node before it runs on any. Who joins, though, waits for the network itself.
    let pulls = |item: &Item| item.verdict.is_change() && matches!(kinds.get(&item.step), Some(StepKind::Images(_)));
    let joins = |item: &Item| item.verdict.is_change() && is(item, &[Action::KubeadmInit, Action::KubeadmJoin]);
    let any = |wanted: &dyn Fn(&Item) -> bool| plan.items().any(|(_, item)| wanted(item));
    let network = |item: &Item| item.verdict.is_change() && is(item, &[Action::Network]);
    let pulled_first = !forming && !any(&joins) && any(&pulls) && any(&network);
    let any_node_changes = plan.items().any(|(owner, item)| *owner != Owner::Cluster && item.verdict.is_change());
    // What an earlier run laid on the leader's disk is there for everybody: nobody opens a gate for it any more.
    let founding = forming
        && plan.chains.iter().any(|chain| chain.owner == Owner::Node(leader.clone()) && chain.items.iter().any(founds));
    // What a restore begins with is one member.
    let member_starts =
        |item: &Item| forming && !restoring && item.verdict.is_change() && is(item, &[Action::EtcdMember]);
    let members_start = any(&member_starts);
    let mut previous_turn: Option<NodeName> = None;
    for chain in &mut plan.chains {
        let owner = chain.owner.clone();
        let leads = owner == Owner::Node(leader.clone());
        // Before the first change of anything, everybody's preflight.
        if let Some(item) = chain.items.iter_mut().find(|item| item.verdict.is_change()) {
            item.waits.push(Gate::AllPreflightPassed);
        }
        if forming && leads {
            // Nobody gets what the leader does not hold on disk: a run that dies has given nothing away that the next one
            // would not find again.
            if let Some(item) = chain.items.iter_mut().rfind(|item| founds(item)) {
                item.opens = Some(Gate::Founded);
            }
            if let Some(item) = chain.items.iter_mut().find(|item| is(item, &[Action::KubeadmInit])) {
                item.opens = Some(Gate::ApiAnswers);
                // On the node it would wait for them as well, and a run that comes after one that died, for that.
                item.waits.extend(members_start.then_some(Gate::MembersStarted));
            }
        } else if founding && let Some(item) = chain.items.iter_mut().find(|item| needs_founding(item)) {
            item.waits.push(Gate::Founded);
        }
        for item in chain.items.iter_mut().filter(|item| item.verdict.is_change()) {
            if member_starts(item) {
                item.opens = Some(Gate::MembersStarted);
            }
            // A restore begins with one member of etcd, and the others join what it has become.
            let joins_later = restoring && !leads && is(item, &[Action::EtcdMember]);
            if forming && (joins_later || is(item, &[Action::KubeadmJoin, Action::ClusterIdentity, Action::Network])) {
                item.waits.push(Gate::ApiAnswers);
            }
            if pulled_first && pulls(item) {
                item.opens = Some(Gate::Prepared);
            }
            if pulled_first && network(item) {
                item.waits.push(Gate::Prepared);
            }
            if any_node_changes && is(item, &[Action::CorednsSpread, Action::Tokens, Action::Proof]) {
                item.waits.push(Gate::NodesSettled);
            }
        }
        let Owner::Node(name) = &owner else { continue };
        // Where there is no cluster yet nobody is disturbed, and who joins waits for init by another gate.
        if forming && leads {
            continue;
        }
        if input.spec.node(name).is_some_and(NodeSpec::is_control_plane) {
            // Members of etcd that join one that lives do so one at a time; those that form one, all at once.
            let joins: &[Action] = match forming && !restoring {
                true => &[Action::KubeadmJoin],
                false => &[Action::KubeadmJoin, Action::EtcdMember],
            };
            take_turn(chain, name, |item| is(item, joins), &mut previous_turn);
        }
    }
    if forming && !restoring {
        return;
    }
    // A witness comes and goes when no control plane is at it.
    for chain in &mut plan.chains {
        let Owner::Node(name) = chain.owner.clone() else { continue };
        if !input.spec.node(&name).is_some_and(NodeSpec::is_control_plane) {
            let member = |item: &Item| is(item, &[Action::EtcdMember]);
            take_turn_of(chain, &name, |item| item.verdict.is_change() && member(item), &mut previous_turn);
        }
    }
}

/// The kind of every step; a step of one id is of one kind everywhere.
fn kinds<'a>(input: &'a Input) -> BTreeMap<StepId, &'a StepKind> {
    let all = input.steps.values().flatten().chain(input.cluster_steps);
    all.map(|step| (step.id.clone(), &step.kind)).collect()
}

/// Whether an item puts the authorities or the identity on the leader's disk.
fn founds(item: &Item) -> bool {
    uses(item, &[Late::SharedPki, Late::Identity, Late::Encryption(Keys::Present)])
}

/// Whether an item needs what the leader must hold first.
fn needs_founding(item: &Item) -> bool {
    uses(item, &[Late::SharedPki, Late::Identity, Late::ClusterCa, Late::EtcdMember, Late::Encryption(Keys::Present)])
}

fn uses(item: &Item, lates: &[Late]) -> bool {
    matches!(&item.verdict, Verdict::Change(change) if change.late().iter().any(|late| lates.contains(late)))
}

/// One control plane at a time joins, or is disturbed: from its first such item to its last it has the turn.
fn take_turn(chain: &mut Chain, name: &NodeName, joins: impl Fn(&Item) -> bool, previous: &mut Option<NodeName>) {
    let needs_turn = |item: &Item| match &item.verdict {
        Verdict::Change(change) => change.disrupts.is_some() || joins(item),
        _ => false,
    };
    take_turn_of(chain, name, needs_turn, previous);
}

fn take_turn_of(
    chain: &mut Chain,
    name: &NodeName,
    needs_turn: impl Fn(&Item) -> bool,
    previous: &mut Option<NodeName>,
) {
    let Some(first) = chain.items.iter().position(&needs_turn) else { return };
    let last = chain.items.iter().rposition(&needs_turn).expect("there is a first");
    if let Some(previous) = previous {
        chain.items[first].waits.push(Gate::Turn(previous.clone()));
    }
    // An item opens one gate; what opens another is init's, and init takes no turn.
    chain.items[last].opens.get_or_insert(Gate::Turn(name.clone()));
    *previous = Some(name.clone());
}

#[cfg(test)]
mod tests;
