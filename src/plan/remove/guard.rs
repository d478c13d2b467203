//! Whether a node may leave: it is who it is taken for, the rest keeps its quorum, and what is only unreachable is not gone.

use super::View;
use crate::{
    model::{
        etcd::Voters,
        facts::{Etcd, EtcdMember},
        name::NodeName,
        observe::Observation,
        plan::Refusal,
    },
    plan::{Input, bearings},
};

/// What members of etcd say, those first that know a leader; of all nodes but this one.
pub(super) fn etcds<'a>(input: &Input<'a>, but: Option<&NodeName>) -> impl Iterator<Item = &'a Etcd> {
    let mut all: Vec<&'a Etcd> = Vec::new();
    for (name, observation) in input.observations {
        if let Observation::Seen(seen) = observation
            && but != Some(name)
            && let Some(etcd) = &seen.facts.kubernetes.etcd
        {
            all.push(etcd);
        }
    }
    all.sort_by_key(|etcd| etcd.leader.is_none());
    all.into_iter()
}

pub(super) fn judge(view: &View<'_>) -> Option<Refusal> {
    let refusal = |reason: String, hint: &str| Some(Refusal { reason, hint: hint.to_owned() });
    let (name, input) = (&view.leaving.node.name, view.leaving.input);
    if view.live.is_none() {
        return refusal(
            "the cluster's API does not answer, and nobody leaves what is not known".to_owned(),
            "bring the control planes back first; `kbootstrap status` shows them",
        );
    }
    who_answers(view).or_else(|| {
        if view.leaving.node.is_control_plane() && input.spec.control_planes().next().is_none() {
            return refusal(
                format!("{name} is the last control plane: without it there is no cluster"),
                "`kbootstrap reset` takes the whole cluster down; `node replace` puts another machine in its place",
            );
        }
        quorum(view).and_then(|why| refusal(why, "bring the other control planes back first, or add one"))
    })
}

/// The machine that answers there, or that none does.
fn who_answers(view: &View<'_>) -> Option<Refusal> {
    let refusal = |reason: String, hint: String| Some(Refusal { reason, hint });
    let (name, terms) = (&view.leaving.node.name, view.leaving.terms);
    match (view.leaving.input.observations.get(name), terms.dead) {
        (Some(Observation::Seen(seen)), dead) => {
            let facts = &seen.facts;
            let other = view.node.is_some_and(|node| node.machine_id != facts.identity.machine_id);
            if dead && !other {
                return refusal(format!("{name} answers: it is not dead"), "leave --dead out".to_owned());
            }
            if other && terms.replaced && facts.kubernetes.has_state() {
                return refusal(
                    "the machine that is to take its place carries state of a cluster".to_owned(),
                    "reset that machine first".to_owned(),
                );
            }
            if other && terms.replaced && dead {
                return lives(view);
            }
            if other {
                let its = view.node.map_or("", |node| node.machine_id.as_str());
                return refusal(
                    format!("what answers at {} is another machine than node {name} (machine-id {its})", view.leaving.node.address),
                    "if the old machine is gone for good, take the new one off the network, or use `kbootstrap node replace`".to_owned(),
                );
            }
            if !facts.kubernetes.has_anything() {
                return None;
            }
            let ours =
                bearings(view.leaving.input.spec, view.leaving.input.cluster, view.leaving.input.observations).identity;
            match (&facts.kubernetes.identity, ours) {
                (Some(its), Some(ours)) if its.id == ours.id => None,
                (Some(its), _) => refusal(
                    format!("the machine belongs to cluster {:?} ({}), not to this one", its.name, its.id),
                    "is the inventory's address of it right?".to_owned(),
                ),
                (None, _) => refusal(
                    "the machine carries state of a cluster, and does not say of which".to_owned(),
                    "it was not this program that joined it: take it off by the means that put it there".to_owned(),
                ),
            }
        }
        // The cluster has nothing of it: only the machine itself might.
        (Some(Observation::Unknown { .. }), false) if view.node.is_none() && view.member.is_none() => None,
        (Some(Observation::Unknown { error, .. }), false) => refusal(
            format!("{name} does not answer: {error}"),
            "bring it back; if it is powered off and never comes back, say --dead".to_owned(),
        ),
        (_, true) => lives(view),
        (None, false) => refusal(format!("{name} was not looked at"), "run the command again".to_owned()),
    }
}

/// Whether the cluster still hears of a node that is said to be dead.
fn lives(view: &View<'_>) -> Option<Refusal> {
    let name = &view.leaving.node.name;
    view.node.filter(|node| node.ready).map(|_| Refusal {
        reason: format!("{name} does not answer here, yet the cluster says that it is Ready: it lives"),
        hint: "find out why it cannot be reached; a machine that lives is never taken for dead".to_owned(),
    })
}

/// Why the rest would have no quorum.
fn quorum(view: &View<'_>) -> Option<String> {
    let member = view.member?;
    let input = view.leaving.input;
    let Some(etcd) = etcds(input, Some(&view.leaving.node.name)).find(|etcd| etcd.leader.is_some()) else {
        return Some("no other member of etcd answers and knows a leader".to_owned());
    };
    let voters: Vec<&EtcdMember> = etcd.members.iter().filter(|member| !member.learner).collect();
    if !voters.iter().any(|voter| voter.id == member.id) {
        return None;
    }
    // A member is well that answers on its own machine and knows who leads.
    let well = |id: &str| etcds(input, None).any(|etcd| etcd.member == id && etcd.leader.is_some());
    let healthy = voters.iter().filter(|voter| well(&voter.id)).count();
    Voters { total: voters.len(), healthy }.without(&view.leaving.node.name, well(&member.id)).err()
}
