//! The plan of a node that leaves: its own chain in the order that etcd and the API need, the proxies of those that stay,
//! and the proof that the rest works. Pure.

mod guard;

use std::collections::BTreeMap;

use super::{
    build::{Input, build, cluster_items},
    item,
};
use crate::{
    kind::{self, leave},
    model::{
        cluster::{ClusterSpec, NodeSpec},
        drain::{DrainPolicy, Fate, NodePod},
        etcd::EtcdLayout,
        facts::EtcdMember,
        live::{Cluster, Live, LiveNode},
        name::NodeName,
        observe::{Observation, Seen},
        op::{ClusterOp, Op, Work},
        plan::{Chain, Change, Gate, Item, Notice, Owner, Plan, Refusal, Verdict},
        step::{Action, Only, Script, Step, StepId, StepKind},
        timeout::Timeout,
    },
    render::endpoint,
};

/// The step of `up` by which members of etcd as a service come and go.
const MEMBER_STEP: &str = "kubernetes.etcd";

/// What the operator says of the removal.
#[derive(Clone, Debug)]
pub struct Terms {
    /// For evictions, seconds.
    pub drain: DrainPolicy,
    /// Packages go, too.
    pub purge: bool,
    /// The machine is powered off for good: the operator's word.
    pub dead: bool,
    /// Another machine takes its place, and may be there already.
    pub replaced: bool,
}

/// Who leaves, and all that the plan is made from.
pub struct Leaving<'a> {
    /// Of the cluster without the node; the node's observation is among the others.
    pub input: &'a Input<'a>,
    pub node: &'a NodeSpec,
    /// The pods on it; absent where the API has no such node.
    pub pods: Option<&'a [NodePod]>,
    pub terms: &'a Terms,
}

/// What of a staying node's steps another one's leaving can change: the local proxy, taints (with the last worker gone
/// control planes take its pods), the witness of etcd, and who is named in backups.
pub fn staying_steps(mut steps: Vec<Step>) -> Vec<Step> {
    steps.retain(|step| match &step.kind {
        StepKind::File(file) => file.path == endpoint::CONFIG_PATH,
        StepKind::Service(service) => service.unit == endpoint::UNIT,
        StepKind::Action(action) => {
            matches!(action, Action::NodeLabels | Action::EtcdMember | Action::BackupSchedule)
        }
        _ => false,
    });
    steps
}

/// Whether a step of the cluster's own looks at what another node's leaving can harm.
pub fn is_proof(step: &Step) -> bool {
    matches!(step.kind, StepKind::Action(Action::CorednsSpread | Action::Proof))
}

/// What is looked at on the node that leaves.
pub fn leaving_steps(spec: &ClusterSpec, purge: bool) -> Vec<Step> {
    let script = Script { check: leave::finding(spec, purge), run: String::new(), timeout: Timeout::secs(60) };
    let (id, title) = (StepId::new(leave::FOUND), "what of the cluster is on it".to_owned());
    vec![Step { id, title, only: Only::default(), kind: StepKind::Script(script) }]
}

/// Makes the plan.
pub fn remove(leaving: &Leaving<'_>) -> Plan {
    let mut plan = build(leaving.input);
    let view = View::of(leaving);
    let mut chain = Chain { owner: Owner::Node(leaving.node.name.clone()), items: view.items() };
    // Nobody is to be led to an API server that is about to go; and a member of etcd that comes in its place comes first,
    // but where the leaving one is gone already: then etcd takes nobody before it is out.
    let later = members_after(&mut plan, &view);
    if view.holds_member() {
        let mut proxies = Vec::new();
        for other in &mut plan.chains {
            let Owner::Node(name) = &other.owner else { continue };
            if later.contains(name) {
                continue;
            }
            if let Some(last) = other.items.iter_mut().rfind(|item| item.verdict.is_change()) {
                let gate = Gate::Proxy(name.clone());
                last.opens = Some(gate.clone());
                proxies.push(gate);
            }
        }
        if let Some(item) = chain.items.iter_mut().find(|item| item.verdict.is_change() && goes(item)) {
            item.waits.extend(proxies);
        }
        if let Some(item) = chain.items.iter_mut().rfind(|item| item.step.as_str() == "remove.member") {
            item.opens = Some(Gate::Turn(leaving.node.name.clone()));
        }
    }
    if let Some(item) = chain.items.iter_mut().find(|item| item.verdict.is_change()) {
        item.waits.push(Gate::AllPreflightPassed);
    }
    plan.chains.insert(0, chain);
    prove(&mut plan, leaving.input);
    // What is said of a cluster that has an even number of control planes is said below, with what it had before.
    plan.notices.retain(|notice| notice.node.is_some() && notice.node.as_ref() != Some(&leaving.node.name));
    plan.notices.extend(view.notices());
    plan
}

/// The nodes whose member of etcd comes or goes only once the leaving one's is out: they wait for it.
fn members_after(plan: &mut Plan, view: &View<'_>) -> Vec<NodeName> {
    let mut later = Vec::new();
    if view.member.is_none() {
        return later;
    }
    for chain in &mut plan.chains {
        let Owner::Node(name) = &chain.owner else { continue };
        let Some(item) = chain.items.iter_mut().find(|item| item.step.as_str() == MEMBER_STEP) else { continue };
        let Verdict::Change(change) = &item.verdict else { continue };
        let goes = change.ops.iter().any(|op| op.kind == kind::ETCD_LEAVE);
        if goes || view.seen.is_none() {
            item.waits.push(Gate::Turn(view.leaving.node.name.clone()));
            later.push(name.clone());
        }
    }
    later
}

/// Whether an item begins to end the control plane.
fn goes(item: &Item) -> bool {
    matches!(item.step.as_str(), "remove.api-server" | "remove.member" | "remove.reset")
}

/// The cluster's own items again, now that it is known whether anything changes.
fn prove(plan: &mut Plan, input: &Input<'_>) {
    let Some(at) = plan.chains.iter().position(|chain| chain.owner == Owner::Cluster) else { return };
    let nodes: Vec<Chain> = plan.chains.iter().filter(|chain| chain.owner != Owner::Cluster).cloned().collect();
    let changes = nodes.iter().flat_map(|chain| &chain.items).any(|item| item.verdict.is_change());
    let mut items = if changes { cluster_items(input, &nodes) } else { Vec::new() };
    for item in items.iter_mut().filter(|item| item.verdict.is_change()) {
        item.waits.push(Gate::NodesSettled);
    }
    plan.chains[at].items = items;
}

/// The leaving node as it was seen.
struct View<'a> {
    leaving: &'a Leaving<'a>,
    live: Option<&'a Live>,
    node: Option<&'a LiveNode>,
    seen: Option<&'a Seen>,
    /// Its member of etcd, by any other member's word.
    member: Option<&'a EtcdMember>,
    peer: String,
}

impl<'a> View<'a> {
    fn of(leaving: &'a Leaving<'a>) -> Self {
        let live = match leaving.input.cluster {
            Cluster::Live(live) => Some(&**live),
            _ => None,
        };
        let name = &leaving.node.name;
        let node = live.and_then(|live| live.nodes.get(name));
        // Of another machine at its address nothing is taken off.
        let seen = match leaving.input.observations.get(name) {
            Some(Observation::Seen(seen))
                if node.is_none_or(|node| node.machine_id == seen.facts.identity.machine_id) =>
            {
                Some(&**seen)
            }
            _ => None,
        };
        let peer = format!("https://{}", std::net::SocketAddr::new(leaving.node.node_ip(), EtcdLayout::PEER_PORT));
        let own = |member: &&EtcdMember| member.peer_urls.contains(&peer) || member.name == name.as_str();
        let member = guard::etcds(leaving.input, Some(name)).find_map(|etcd| etcd.members.iter().find(own));
        Self { leaving, live, node, seen, member, peer }
    }

    fn items(&self) -> Vec<Item> {
        let mut items = vec![item("remove.guard", "may it leave?", self.guard())];
        if !matches!(items[0].verdict, Verdict::Satisfied) {
            return items;
        }
        items.push(item("remove.cordon", "no new pods", self.cordon()));
        items.push(item("remove.drain", "its pods go elsewhere", self.drain()));
        if self.holds_member() {
            items.push(item("remove.leadership", "etcd is led by another", self.leadership()));
            if self.leaving.node.is_control_plane() {
                items.push(item("remove.api-server", "its API server ends", self.api_server()));
            }
            items.push(item("remove.member", "etcd without its member", self.etcd_member()));
        }
        items.push(item("remove.reset", "no pods, no state of the cluster", self.reset()));
        items.push(item("remove.object", "the cluster does not know it", self.object()));
        items.push(item("remove.clean", "nothing of the cluster is left", self.clean()));
        items
    }

    fn guard(&self) -> Verdict {
        guard::judge(self).map_or(Verdict::Satisfied, Verdict::Refused)
    }

    fn name(&self) -> &NodeName {
        &self.leaving.node.name
    }

    /// A control plane, or the worker with etcd's witness.
    fn holds_member(&self) -> bool {
        self.leaving.node.is_control_plane() || self.member.is_some()
    }

    fn cordon(&self) -> Verdict {
        let terms = self.leaving.terms;
        if terms.dead || self.node.is_none_or(|node| node.unschedulable) {
            return Verdict::Satisfied;
        }
        let node = self.name().clone();
        let what = format!("cordon node {node}");
        change(["~ takes no new pods"], [cluster("node.cordon", what, ClusterOp::Cordon { node }, 60)], None)
    }

    fn drain(&self) -> Verdict {
        let terms = self.leaving.terms;
        let pods = self.leaving.pods.unwrap_or_default();
        if terms.dead || self.node.is_none() {
            return Verdict::Satisfied;
        }
        let (mut diff, mut losing) = (Vec::new(), Vec::new());
        for pod in pods {
            match pod.fate() {
                Fate::Stays => {}
                Fate::Leaves => diff.push(format!("- pod {pod}{}", held(pod))),
                Fate::Loses(what) => {
                    diff.push(format!("- pod {pod}: {what}{}", held(pod)));
                    losing.push(format!("{pod} ({what})"));
                }
            }
        }
        if !losing.is_empty() && !terms.drain.delete_local_data {
            return Verdict::Refused(Refusal {
                reason: format!("pods would lose something: {}", losing.join(", ")),
                hint: "say --delete-local-data where that may be".to_owned(),
            });
        }
        if diff.is_empty() {
            return Verdict::Satisfied;
        }
        let disrupts = format!("{} pods are evicted", diff.len());
        let node = self.name().clone();
        let what = format!("drain node {node}");
        let call = ClusterOp::Drain {
            node,
            on_blocked: terms.drain.on_blocked,
            delete_local_data: terms.drain.delete_local_data,
        };
        change(diff, [cluster("node.drain", what, call, terms.drain.timeout_s)], Some(disrupts))
    }

    fn leadership(&self) -> Verdict {
        let leads = guard::etcds(self.leaving.input, None)
            .any(|etcd| self.member.is_some_and(|member| etcd.leader.as_ref() == Some(&member.id)));
        if !leads || self.seen.is_none() {
            return Verdict::Satisfied;
        }
        let from = self.name().clone();
        let what = format!("move etcd's leadership away from {from}");
        change(
            ["~ another member leads"],
            [cluster("etcd.move-leader", what, ClusterOp::MoveEtcdLeader { from }, 60)],
            None,
        )
    }

    fn api_server(&self) -> Verdict {
        match (self.seen, self.identity()) {
            (Some(seen), Some(identity))
                if seen.facts.kubernetes.manifests.iter().any(|name| name == "kube-apiserver.yaml") =>
            {
                change(["- API server, when its calls have ended"], [leave::stop_api_server(identity)], None)
            }
            _ => Verdict::Satisfied,
        }
    }

    fn etcd_member(&self) -> Verdict {
        let Some(member) = self.member else { return Verdict::Satisfied };
        let node = self.name().clone();
        let what = format!("take the member of {node} out of etcd");
        let call = ClusterOp::RemoveEtcdMember { node, peer: self.peer.clone() };
        let disrupts = match self.leaving.terms.dead {
            true => format!(
                "{} counts as powered off for good: if it comes back, volumes get two writers, its kubelet's certificate and \
                 the authorities' keys on it are still good",
                self.name()
            ),
            false if !self.leaving.node.is_control_plane() => format!("{} is etcd's witness no more", self.name()),
            false => format!("{} is a control plane no more", self.name()),
        };
        change(
            [format!("- member {} of etcd", member.id)],
            [cluster("etcd.remove-member", what, call, 60)],
            Some(disrupts),
        )
    }

    fn reset(&self) -> Verdict {
        match (self.seen, self.identity()) {
            (Some(seen), Some(identity)) if seen.facts.kubernetes.has_anything() => {
                let op = leave::reset(identity, self.leaving.input.spec.etcd, false);
                let disrupts = format!("{} leaves the cluster", self.name());
                change(["- kubelet, pods, certificates and data of the cluster"], [op], Some(disrupts))
            }
            _ => Verdict::Satisfied,
        }
    }

    fn object(&self) -> Verdict {
        let Some(found) = self.node else { return Verdict::Satisfied };
        let node = self.name().clone();
        let what = format!("delete node {node}");
        let machine_id = (!found.machine_id.is_empty()).then(|| found.machine_id.clone());
        let disrupts = self.leaving.terms.dead.then(|| {
            format!("{node} counts as powered off for good: its pods run elsewhere, and must run nowhere else")
        });
        let diff = [format!("- Node/{node}")];
        change(diff, [cluster("node.delete", what, ClusterOp::DeleteNode { node, machine_id }, 60)], disrupts)
    }

    fn clean(&self) -> Verdict {
        let Some(seen) = self.seen else { return Verdict::Satisfied };
        // Network, rules and pods' logs of a node that works are on it as long as it does: told once they are what is left.
        match leave::found(seen) {
            Ok(found) if found.is_empty() => Verdict::Satisfied,
            Ok(found) => {
                let diff: Vec<String> = found.iter().map(|found| format!("- {found}")).collect();
                let spec = self.leaving.input.spec;
                change(diff, [leave::clean(spec, self.identity(), self.leaving.terms.purge)], None)
            }
            Err(reason) => Verdict::Refused(Refusal { reason, hint: "run the command again".to_owned() }),
        }
    }

    /// The identity that the machine carries; the guard has seen to it that it is this cluster's.
    fn identity(&self) -> Option<&'a str> {
        Some(self.seen?.facts.kubernetes.identity.as_ref()?.id.as_str())
    }

    fn notices(&self) -> Vec<Notice> {
        let spec = self.leaving.input.spec;
        let notice = |text: String, hint: &str| Notice { node: None, text, hint: Some(hint.to_owned()) };
        let mut notices = Vec::new();
        if let Some(Observation::Unknown { error, .. }) = self.leaving.input.observations.get(self.name())
            && !self.leaving.terms.dead
            && self.node.is_none()
            && self.member.is_none()
        {
            let text = format!("{} does not answer ({error}): the machine itself is left as it is", self.name());
            notices.push(notice(text, "the cluster knows nothing of it any more"));
        }
        let control_planes: Vec<&NodeSpec> = spec.control_planes().collect();
        if self.leaving.node.is_control_plane() && self.member.is_some() {
            let count = control_planes.len();
            if spec.voters().is_multiple_of(2) {
                notices.push(notice(
                    format!(
                        "of {count} control planes {} may fail, of {} it was {}",
                        (count - 1) / 2,
                        count + 1,
                        count / 2
                    ),
                    "`kbootstrap node add --role control-plane` makes their number odd again",
                ));
            }
            let zones: BTreeMap<String, usize> = control_planes.iter().fold(BTreeMap::new(), |mut zones, node| {
                *zones.entry(node.zone.as_ref().map_or_else(String::new, ToString::to_string)).or_default() += 1;
                zones
            });
            if count > 1
                && self.leaving.node.zone.is_some()
                && let Some((zone, there)) = zones.iter().max_by_key(|(_, there)| **there)
                && there * 2 > count
                && zones.len() < count
            {
                notices.push(notice(
                    format!(
                        "{there} of the {count} control planes left are in zone {zone:?}: the loss of it stops the API"
                    ),
                    "add one in another zone",
                ));
            }
        }
        notices
    }
}

/// What stands in the way of a pod's eviction now.
fn held(pod: &NodePod) -> String {
    match pod.held_by.as_slice() {
        [] => String::new(),
        budgets => format!(" (budget {} lets none go now)", budgets.join(", ")),
    }
}

fn cluster(kind: &'static str, what: String, call: ClusterOp, timeout_s: u32) -> Op {
    Op { kind, what, work: Work::Cluster(call), timeout_s }
}

fn change<const N: usize>(
    diff: impl IntoIterator<Item = impl Into<String>>,
    ops: [Op; N],
    disrupts: Option<String>,
) -> Verdict {
    Verdict::Change(Change { diff: diff.into_iter().map(Into::into).collect(), ops: ops.into(), disrupts })
}

#[cfg(test)]
mod tests;
