//! The plan by which etcd becomes a service of its own while its cluster lives: member by member, each where it is, so that
//! its membership never changes. Pure.
//!
//! A control plane's stage is told by what lies on it, and the cluster's own word for its layout changes last: so a run that
//! died is gone on with by the same command, and everything else sees that a conversion is under way.
//!
//! ```text
//! every control plane   programs, user and certificate of the service
//! each, one after the other ── Turn(node) ──
//!     the others well; etcd's leadership away; proxies look elsewhere; the member taken over; conditions held; proxies back
//! the witness           joins, where the number of control planes is even
//! cluster               all are well; kubeadm's configuration says that etcd is external
//! ```

mod checks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::{
    after_preflight,
    away::{Away, LOOKS, settle},
    basis::Basis,
    build::Input,
    item, layout,
};
use crate::{
    kind::{self, Context, etcd_takeover, etcd_takeover::Stage},
    model::{
        cluster::ClusterSpec,
        etcd::EtcdLayout,
        facts::Facts,
        live::{Cluster, Live},
        name::NodeName,
        node::NodeSpec,
        observe::{Observation, Seen},
        op::Op,
        plan::{Chain, Change, Gate, Item, Notice, Owner, Plan, Refusal, Verdict},
        rolling::Word,
        step::{Action, Step, StepKind},
    },
};

const INSTALL: &str = "convert.install";
const TAKEOVER: (&str, &str) = ("convert.takeover", "its member of etcd is a service");

/// What all parts of the plan look at.
struct Conversion<'a> {
    input: &'a Input<'a>,
    live: &'a Live,
    /// The cluster as it is, with static pods.
    before: Basis<'a>,
    /// The cluster while members are taken over: of a witness to come nobody speaks yet.
    spec: &'a ClusterSpec,
    basis: Basis<'a>,
    /// The cluster as it shall be.
    end: &'a ClusterSpec,
    /// Of every control plane that was seen.
    stages: BTreeMap<NodeName, Stage>,
}

/// Makes the plan.
pub fn build(input: &Input) -> Plan {
    let Cluster::Live(live) = input.cluster else { return without_a_cluster(input.cluster) };
    let before = Basis::of(input);
    if input.spec.etcd == EtcdLayout::Service && !is_under_way(input.spec, input.observations) {
        let items = vec![item("convert.layout", "etcd is a service", Verdict::Satisfied)];
        return Plan { chains: vec![Chain { owner: Owner::Cluster, items }], ..Plan::default() };
    }
    let end = layout::of_layout(EtcdLayout::Service, input.spec, input.observations);
    let spec = without_newcomer(&end, &before.facts);
    let basis = Basis::of(&with(input, &spec));
    let stages = seen(input).map(|(node, seen)| (node.name.clone(), etcd_takeover::stage(&basis.context(node, seen))));
    let stages = stages.collect();
    Conversion { input, live, before, spec: &spec, basis, end: &end, stages }.plan()
}

/// Whether a conversion has begun and has not come to its end; `settled` is the cluster with the layout that it has.
pub fn is_under_way(settled: &ClusterSpec, observations: &BTreeMap<NodeName, Observation>) -> bool {
    etcd_takeover::is_under_way(settled, |name| match observations.get(name)? {
        Observation::Seen(seen) => Some(&seen.facts),
        Observation::Unknown { .. } => None,
    })
}

/// Whether the API is away because a takeover has not come to its end: on the only control plane, or on too many.
pub fn is_stranded(input: &Input) -> bool {
    !matches!(input.cluster, Cluster::Live(_)) && seen(input).any(|(_, seen)| seen.facts.kubernetes.etcd_taken)
}

/// The plan that brings those members up, by ssh alone, for the API to answer again.
pub fn rescue(input: &Input) -> Plan {
    let end = layout::of_layout(EtcdLayout::Service, input.spec, input.observations);
    let spec = without_newcomer(&end, &Basis::of(input).facts);
    let basis = Basis::of(&with(input, &spec));
    let mut plan = Plan::default();
    for (node, seen) in seen(input) {
        let verdict = match seen.facts.kubernetes.etcd_taken {
            true => change(vec![etcd_takeover::takeover(&basis.context(node, seen), false)], None),
            false => Verdict::Satisfied,
        };
        plan.chains
            .push(Chain { owner: Owner::Node(node.name.clone()), items: vec![item(TAKEOVER.0, TAKEOVER.1, verdict)] });
    }
    after_preflight(&mut plan);
    plan.notices.push(Notice {
        node: None,
        text: "a member of etcd was left between static pod and service; once it is up, the conversion goes on".into(),
        hint: None,
    });
    plan
}

fn with<'a>(input: &Input<'a>, spec: &'a ClusterSpec) -> Input<'a> {
    Input { spec, ..*input }
}

/// Less the witness that has no vote yet.
fn without_newcomer(end: &ClusterSpec, facts: &BTreeMap<NodeName, Facts>) -> ClusterSpec {
    let votes = |name: &NodeName| {
        let members = facts.values().filter_map(|facts| facts.kubernetes.etcd.as_ref()).flat_map(|etcd| &etcd.members);
        members.into_iter().any(|member| member.name == name.as_str() && !member.learner)
    };
    let mut spec = end.clone();
    spec.witness = spec.witness.filter(votes);
    spec
}

/// The control planes that were seen, in the inventory's order.
fn seen<'a>(input: &Input<'a>) -> impl Iterator<Item = (&'a NodeSpec, &'a Seen)> {
    let observations = input.observations;
    input.spec.control_planes().filter_map(move |node| match observations.get(&node.name)? {
        Observation::Seen(seen) => Some((node, &**seen)),
        Observation::Unknown { .. } => None,
    })
}

fn without_a_cluster(cluster: &Cluster) -> Plan {
    let (reason, hint) = match cluster {
        Cluster::HalfFormed { node, reason } => {
            (format!("the cluster is not wholly formed: {node}: {reason}"), "finish that first: kbootstrap up")
        }
        Cluster::Unknown { reason } => (
            format!("the cluster's state is unknown: {reason}"),
            "bring the control planes back first; kbootstrap status shows them",
        ),
        Cluster::Absent | Cluster::Live(_) => (
            "no control plane of the inventory carries a cluster".to_owned(),
            "`layout = \"service\"` in [etcd] and kbootstrap up form one with it",
        ),
    };
    let refusal = Refusal { reason, hint: hint.to_owned() };
    let items = vec![item("convert.cluster", "the cluster lives", Verdict::Refused(refusal))];
    Plan {
        chains: vec![Chain { owner: Owner::Cluster, items }],
        // An API server that has just been started, most likely.
        settling: matches!(cluster, Cluster::Unknown { .. }),
        ..Plan::default()
    }
}

impl Conversion<'_> {
    fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        for node in self.spec.control_planes() {
            plan.chains.push(Chain { owner: Owner::Node(node.name.clone()), items: self.node_items(node) });
        }
        if let Some(witness) = self.end.witness.as_ref().and_then(|name| self.end.node(name)) {
            plan.chains.push(Chain { owner: Owner::Node(witness.name.clone()), items: self.witness_items(witness) });
        }
        let mut items = checks::cluster(self);
        let all: Vec<Op> =
            self.end.control_planes().map(|node| settle(self.end, &node.name, None, None, 1, Word::Kubelet)).collect();
        items.push(item("convert.well", "every member is a service, and well", change(all, None)));
        let config = match kind::external_etcd(self.end, self.live) {
            Some(op) => Verdict::Change(Change {
                diff: vec!["~ ConfigMap/kube-system/kubeadm-config etcd: local -> external".to_owned()],
                ops: vec![op],
                disrupts: None,
            }),
            None => Verdict::Satisfied,
        };
        items.push(item("convert.config", "kubeadm's configuration knows that etcd is a service", config));
        plan.chains.push(Chain { owner: Owner::Cluster, items });
        after_preflight(&mut plan);
        self.gate(&mut plan);
        plan.notices = checks::notices(self);
        // What a run that died has restarted last may be silent for a moment.
        let passes = plan.refusals().all(|(_, item, _)| item.step.as_str() == checks::ETCD);
        let begun = self.stages.values().any(|stage| *stage != Stage::Pod);
        plan.settling = begun && passes && plan.refusals().next().is_some();
        plan
    }

    fn node_items(&self, node: &NodeSpec) -> Vec<Item> {
        let Some((context, stage)) = self.known(node) else {
            let error = match self.input.observations.get(&node.name) {
                Some(Observation::Unknown { error, .. }) => error.as_str(),
                _ => "it was not looked at",
            };
            let reason = format!("nothing is known of {}: {error}", node.name);
            let hint = "every control plane must be there: bring it back, or remove it".to_owned();
            return vec![item(TAKEOVER.0, TAKEOVER.1, Verdict::Refused(Refusal { reason, hint }))];
        };
        let fit = checks::node(self, &context, stage);
        let mut items = vec![item("convert.node", "its member can be taken over", checks::verdict(fit))];
        if stage == Stage::Service {
            items.push(item(TAKEOVER.0, TAKEOVER.1, Verdict::Satisfied));
            items.extend(self.schedule(&context));
            return items;
        }
        let install = change(etcd_takeover::install(&context), None);
        items.push(item(INSTALL, "what the service needs", install));
        let around = Away { spec: self.spec, node, prefix: "convert." };
        // A member that does not answer leads nobody, and can't be asked to.
        let silent = context.seen.facts.kubernetes.etcd.is_none();
        items.extend(around.away().into_iter().filter(|item| !silent || item.step.as_str() != "convert.leader"));
        let disrupts = match self.spec.control_planes().count() {
            1 => "the API does not answer until etcd has started as a service",
            _ => "etcd's member on this control plane ends, and starts as a service",
        };
        let takeover = change(vec![etcd_takeover::takeover(&context, true)], Some(disrupts));
        items.push(item(TAKEOVER.0, TAKEOVER.1, takeover));
        items.extend(self.schedule(&context));
        let well = settle(self.spec, &node.name, None, None, LOOKS, Word::Kubelet);
        items.push(item("convert.settled", "this control plane is well", change(vec![well], None)));
        items.push(around.back());
        items
    }

    /// Backups that the machine takes by itself ask etcd in another way from then on.
    fn schedule(&self, context: &Context<'_>) -> Option<Item> {
        let step = self.step(context.node, Action::BackupSchedule)?;
        Some(super::build::item(step, kind::judge(step, context)))
    }

    fn witness_items(&self, node: &NodeSpec) -> Vec<Item> {
        let Some(step) = self.step(node, Action::EtcdMember) else { return Vec::new() };
        let verdict = match self.input.observations.get(&node.name) {
            Some(Observation::Seen(seen)) => {
                let input = with(self.input, self.end);
                kind::judge(step, &Basis::of(&input).context(node, seen))
            }
            Some(Observation::Unknown { error, .. }) => Verdict::Refused(Refusal {
                reason: format!("nothing is known of {}, which is to be etcd's witness: {error}", node.name),
                hint: "bring it back, or mark another worker with `etcd-witness = true`".to_owned(),
            }),
            None => return Vec::new(),
        };
        vec![super::build::item(step, verdict)]
    }

    fn step(&self, node: &NodeSpec, action: Action) -> Option<&Step> {
        let steps = self.input.steps.get(&node.name)?;
        steps.iter().find(|step| matches!(&step.kind, StepKind::Action(its) if *its == action))
    }

    /// What a control plane is judged by as one whose etcd is a service, and its stage; absent where it was not seen.
    fn known<'c>(&'c self, node: &'c NodeSpec) -> Option<(Context<'c>, Stage)> {
        match self.input.observations.get(&node.name)? {
            Observation::Seen(seen) => Some((self.basis.context(node, seen), *self.stages.get(&node.name)?)),
            Observation::Unknown { .. } => None,
        }
    }

    /// The control planes in the order in which they are taken: one that was left between before all others, who leads etcd
    /// last; then the witness.
    fn order(&self) -> Vec<NodeName> {
        let leads = |seen: &Seen| seen.facts.kubernetes.etcd.as_ref().is_some_and(|etcd| etcd.leads());
        let mut all: Vec<_> =
            seen(self.input).map(|(node, seen)| (self.stages[&node.name], leads(seen), node)).collect();
        all.sort_by_key(|(stage, leads, _)| (*stage, *leads));
        all.into_iter().map(|(.., node)| node.name.clone()).chain(self.end.witness.clone()).collect()
    }

    fn gate(&self, plan: &mut Plan) {
        let mut previous: Option<NodeName> = None;
        for name in self.order() {
            let owner = Owner::Node(name.clone());
            let Some(chain) = plan.chains.iter_mut().find(|chain| chain.owner == owner) else { continue };
            let in_turn = |item: &Item| item.verdict.is_change() && item.step.as_str() != INSTALL;
            let (Some(first), Some(last)) =
                (chain.items.iter().position(in_turn), chain.items.iter().rposition(in_turn))
            else {
                continue;
            };
            chain.items[first].waits.extend(previous.map(Gate::Turn));
            chain.items[last].opens = Some(Gate::Turn(name.clone()));
            previous = Some(name);
        }
        let cluster = plan.chains.iter_mut().filter(|chain| chain.owner == Owner::Cluster);
        if let Some(first) = cluster.flat_map(|chain| &mut chain.items).find(|item| item.verdict.is_change()) {
            first.waits.extend(previous.map(Gate::Turn));
        }
    }
}

fn change(ops: Vec<Op>, disrupts: Option<&str>) -> Verdict {
    Verdict::Change(Change { diff: vec![], ops, disrupts: disrupts.map(str::to_owned) })
}
