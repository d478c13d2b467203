//! The plan of a cluster's end: every machine of it made bare again, whatever state the cluster is in. Pure.

use std::collections::BTreeMap;

use super::{after_preflight, guard, item};
use crate::{
    kind::leave,
    model::{
        cluster::{ClusterSpec, NodeSpec},
        facts::ClusterIdentity,
        name::NodeName,
        observe::{Observation, Seen},
        plan::{Chain, Change, Item, Notice, Owner, Plan, Refusal, Verdict},
    },
};

/// Which cluster the machines say that they are of: the control planes before the workers. Never the inventory's word.
pub fn identity<'a>(
    spec: &ClusterSpec,
    observations: &'a BTreeMap<NodeName, Observation>,
) -> Option<&'a ClusterIdentity> {
    let of = |node: &NodeSpec| match observations.get(&node.name) {
        Some(Observation::Seen(seen)) => seen.facts.kubernetes.identity.as_ref(),
        _ => None,
    };
    let with_state = |node: &NodeSpec| match observations.get(&node.name) {
        Some(Observation::Seen(seen)) => seen.facts.kubernetes.has_anything(),
        _ => false,
    };
    let control_planes = || spec.control_planes();
    control_planes()
        .filter(|node| with_state(node))
        .find_map(of)
        .or_else(|| control_planes().chain(spec.workers()).find_map(of))
}

/// Makes the plan. `purge`: packages go, too.
pub fn reset(spec: &ClusterSpec, observations: &BTreeMap<NodeName, Observation>, purge: bool) -> Plan {
    let ours = identity(spec, observations);
    let mut plan = Plan::default();
    for node in &spec.nodes {
        let items = match observations.get(&node.name) {
            Some(Observation::Seen(seen)) => items(spec, seen, ours, purge),
            Some(Observation::Unknown { error, hint }) => {
                plan.notices.push(Notice { node: Some(node.name.clone()), text: error.clone(), hint: hint.clone() });
                vec![item("reset.guard", "is it of this cluster?", Verdict::Unknown(error.clone()))]
            }
            None => continue,
        };
        plan.chains.push(Chain { owner: Owner::Node(node.name.clone()), items });
    }
    after_preflight(&mut plan);
    plan
}

fn items(spec: &ClusterSpec, seen: &Seen, ours: Option<&ClusterIdentity>, purge: bool) -> Vec<Item> {
    let there = &seen.facts.kubernetes;
    let hint = "is the inventory's address of it right? take it out of the inventory to reset the others";
    let guard = guard(there, ours.map(|ours| (ours.name.as_str(), ours.id.as_str())), hint);
    let refused = matches!(guard, Verdict::Refused(_));
    let mut items = vec![item("reset.guard", "is it of this cluster?", guard)];
    if refused {
        return items;
    }
    let own = there.identity.as_ref().map(|identity| identity.id.as_str());
    let reset = match own {
        Some(id) if there.has_anything() => Verdict::Change(Change {
            diff: vec!["- kubelet, pods, certificates and data of the cluster, kept aside".to_owned()],
            ops: vec![leave::reset(id, spec.etcd, !purge)],
            disrupts: Some("all that runs on it ends".to_owned()),
        }),
        _ => Verdict::Satisfied,
    };
    items.push(item("reset.reset", "no pods, no state of the cluster", reset));
    let clean = match leave::found(seen) {
        Ok(found) if found.is_empty() => Verdict::Satisfied,
        Ok(found) => Verdict::Change(Change {
            diff: found.iter().map(|found| format!("- {found}")).collect(),
            ops: vec![leave::clean(spec, own, purge)],
            disrupts: None,
        }),
        Err(reason) => Verdict::Refused(Refusal { reason, hint: "run the command again".to_owned() }),
    };
    items.push(item("reset.clean", "nothing of the cluster is left", clean));
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{name::ClusterName, node::Role, observe::CommandSeen, release::Release};

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn spec() -> ClusterSpec {
        let node = |name: &str, ip: &str, role| NodeSpec::new(name.parse().unwrap(), ip.parse().unwrap(), role);
        let nodes = vec![node("cp1", "10.0.0.11", Role::ControlPlane), node("w1", "10.0.0.21", Role::Worker)];
        let release = Release::of("1.30.14".parse().unwrap()).unwrap();
        ClusterSpec::new(ClusterName::new("lab").unwrap(), release, nodes)
    }

    fn seen(identity: Option<&str>, state: bool, found: &str) -> Observation {
        let mut seen = Seen::default();
        let there = &mut seen.facts.kubernetes;
        there.identity =
            identity.map(|id| ClusterIdentity { id: id.into(), name: "lab".into(), ca_sha256: String::new() });
        if state {
            there.configs = vec!["kubelet.conf".into()];
        }
        seen.commands.insert(leave::FOUND.into(), CommandSeen { code: 0, stdout: found.into() });
        Observation::Seen(Box::new(seen))
    }

    fn verdicts(cp1: Observation, w1: Observation) -> Vec<String> {
        let observations = BTreeMap::from([(name("cp1"), cp1), (name("w1"), w1)]);
        let plan = reset(&spec(), &observations, false);
        plan.items()
            .filter_map(|(owner, item)| match &item.verdict {
                Verdict::Change(_) => Some(format!("{owner} {}", item.step)),
                Verdict::Refused(refusal) => Some(format!("{owner} !{}", refusal.reason)),
                Verdict::Unknown(why) => Some(format!("{owner} ?{why}")),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn all_of_a_cluster_goes_and_a_second_time_nothing() {
        let both = ["reset.reset", "reset.clean"];
        let wanted: Vec<String> = ["cp1", "w1"].iter().flat_map(|n| both.map(|step| format!("{n} {step}"))).collect();
        assert_eq!(verdicts(seen(Some("1"), true, "link cni0\n"), seen(Some("1"), true, "link cni0\n")), wanted);
        assert!(verdicts(seen(None, false, ""), seen(None, false, "")).is_empty());
    }

    #[test]
    fn a_half_built_cluster_goes_too() {
        let prepared = || seen(None, false, "/etc/kbootstrap\n");
        assert_eq!(verdicts(prepared(), prepared()), ["cp1 reset.clean", "w1 reset.clean"]);
        assert_eq!(
            verdicts(seen(Some("1"), true, "x\n"), seen(Some("1"), false, "x\n")),
            ["cp1 reset.reset", "cp1 reset.clean", "w1 reset.clean"]
        );
    }

    #[test]
    fn foreign_machines_are_refused_and_silent_ones_are_unknown() {
        assert!(
            verdicts(seen(Some("1"), true, ""), seen(Some("2"), true, ""))[1].starts_with("w1 !the machine belongs")
        );
        assert!(verdicts(seen(Some("1"), true, ""), seen(None, true, ""))[1].starts_with("w1 !Kubernetes is on"));
        let silent = Observation::Unknown { error: "timed out".into(), hint: None };
        assert_eq!(verdicts(silent, seen(Some("1"), true, "")), ["cp1 ?timed out", "w1 reset.reset"]);
    }

    /// A worker of another cluster never gives a bare control plane its name.
    #[test]
    fn control_planes_say_which_cluster_it_is() {
        let observations =
            BTreeMap::from([(name("cp1"), seen(Some("1"), true, "")), (name("w1"), seen(Some("2"), true, ""))]);
        assert_eq!(identity(&spec(), &observations).unwrap().id, "1");
    }
}
