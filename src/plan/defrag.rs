//! The plan that gives etcd's unused space back to the disks: one member at a time, the leader last. Pure.

use super::{away::settle, build::Input, item};
use crate::{
    kind::etcd,
    model::{
        cluster::ClusterSpec,
        facts::Etcd,
        live::Cluster,
        name::NodeName,
        observe::Observation,
        op::Op,
        plan::{Chain, Change, Gate, Item, Owner, Plan, Refusal, Verdict},
        rolling::Word,
    },
};

/// A file with less than this unused is left alone: it is not worth that its member is silent for a moment.
const LEAST_BYTES: u64 = 16 << 20;
/// Nor one of which less than this share is unused.
const LEAST_PERCENT: u64 = 10;

/// Makes the plan. A member with an alarm for space is compacted before, and the alarm ended after all.
pub fn build(input: &Input) -> Plan {
    let mut plan = Plan::default();
    let spec = input.spec;
    let seen = |name: &NodeName| match input.observations.get(name) {
        Some(Observation::Seen(seen)) => Ok(seen.facts.kubernetes.etcd.as_ref()),
        Some(Observation::Unknown { error, .. }) => Err(error.clone()),
        None => Err("it was not asked".to_owned()),
    };
    let all: Vec<(NodeName, Result<Option<&Etcd>, String>)> =
        spec.members().map(|node| (node.name.clone(), seen(&node.name))).collect();
    let alarm = all.iter().any(|(_, etcd)| matches!(etcd, Ok(Some(etcd)) if !etcd.alarms.is_empty()));
    let members = all.iter().filter_map(|(name, etcd)| Some((name, etcd.as_ref().ok().copied().flatten()?)));
    let mut turns: Vec<(&NodeName, &Etcd)> = members.filter(|(_, etcd)| alarm || is_wasteful(etcd)).collect();
    turns.sort_by_key(|(_, etcd)| etcd.leads());
    let order: Vec<&NodeName> = turns.into_iter().map(|(name, _)| name).collect();
    let names: Vec<NodeName> = all.iter().map(|(name, _)| name.clone()).collect();
    for (name, etcd) in &all {
        let items = match etcd {
            Err(error) => vec![item("etcd.member", "its member of etcd", Verdict::Unknown(error.clone()))],
            Ok(None) => vec![item("etcd.member", "its member of etcd", refused(name, "does not answer"))],
            Ok(Some(etcd)) if etcd.leader.is_none() => {
                vec![item("etcd.member", "its member of etcd", refused(name, "has no quorum"))]
            }
            Ok(Some(etcd)) => {
                let turn = order.iter().position(|other| *other == name);
                turn.map_or_else(
                    || vec![item("etcd.defragment", &words(etcd), Verdict::Satisfied)],
                    |turn| turn_items(spec, name, etcd, &Turn { turn, order: &order, names: &names, alarm }),
                )
            }
        };
        plan.chains.push(Chain { owner: Owner::Node(name.clone()), items });
    }
    if !matches!(input.cluster, Cluster::Live(_)) && plan.refusals().next().is_none() && !alarm {
        let refusal = Refusal {
            reason: "the cluster does not answer, so nobody could see its members well again".into(),
            hint: "kbootstrap status shows what is wrong".into(),
        };
        plan.chains.push(Chain {
            owner: Owner::Cluster,
            items: vec![item("etcd.cluster", "the cluster lives", Verdict::Refused(refusal))],
        });
    }
    plan
}

/// Where one member stands among those that have a turn.
struct Turn<'a> {
    turn: usize,
    order: &'a [&'a NodeName],
    names: &'a [NodeName],
    alarm: bool,
}

fn turn_items(spec: &ClusterSpec, name: &NodeName, etcd: &Etcd, turn: &Turn<'_>) -> Vec<Item> {
    let layout = spec.etcd;
    let settle = |node: &NodeName, looks: u32| settle(spec, node, None, None, looks, Word::Kubelet);
    let mut items = Vec::new();
    // Under an alarm nobody is well, and that is what this is for.
    let others: Vec<Op> = turn.names.iter().filter(|other| *other != name).map(|other| settle(other, 1)).collect();
    if !turn.alarm && !others.is_empty() {
        items.push(change("etcd.others", "every other member is well", others, None));
    }
    if turn.alarm && turn.turn == 0 {
        items.push(change("etcd.compact", "older revisions are dropped", vec![etcd::compact(layout)], None));
    }
    let disrupts = Some("the member answers nobody until it is done".to_owned());
    items.push(change("etcd.defragment", &words(etcd), vec![etcd::defragment(layout)], disrupts));
    let last = turn.turn + 1 == turn.order.len();
    if turn.alarm && last {
        items.push(change("etcd.disarm", "etcd takes writes again", vec![etcd::disarm(layout)], None));
    }
    if !turn.alarm {
        items.push(change("etcd.settled", "this member is well", vec![settle(name, 2)], None));
    }
    items[0].waits.push(match turn.turn.checked_sub(1) {
        None => Gate::AllPreflightPassed,
        Some(before) => Gate::Rolled(turn.order[before].clone()),
    });
    if let Some(end) = items.last_mut() {
        end.opens = Some(Gate::Rolled(name.clone()));
    }
    items
}

fn is_wasteful(etcd: &Etcd) -> bool {
    let unused = etcd.db_bytes.saturating_sub(etcd.db_in_use_bytes);
    unused >= LEAST_BYTES && unused * 100 >= etcd.db_bytes * LEAST_PERCENT
}

fn words(etcd: &Etcd) -> String {
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let unused = etcd.db_bytes.saturating_sub(etcd.db_in_use_bytes);
    let alarm = if etcd.alarms.is_empty() { String::new() } else { format!(", alarm {}", etcd.alarms.join(", ")) };
    format!("etcd's file: {} MiB, of them {} unused{alarm}", mebibytes(etcd.db_bytes), mebibytes(unused))
}

fn refused(name: &NodeName, what: &str) -> Verdict {
    Verdict::Refused(Refusal {
        reason: format!("the member of etcd on {name} {what}"),
        hint: "while one is away, no other may be silent: kbootstrap status".into(),
    })
}

fn change(step: &str, title: &str, ops: Vec<Op>, disrupts: Option<String>) -> Item {
    item(step, title, Verdict::Change(Change { diff: vec![], ops, disrupts }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{
        cluster::ClusterSpec,
        live::Live,
        name::ClusterName,
        node::{NodeSpec, Role},
        observe::Seen,
        release::Release,
    };

    fn plan(members: &[(&str, u64, u64)], alarm: bool) -> Plan {
        let node = |(name, ..): &(&str, u64, u64)| {
            NodeSpec::new(name.parse().unwrap(), "10.0.0.1".parse().unwrap(), Role::ControlPlane)
        };
        let release = Release::of("1.30.14".parse().unwrap()).unwrap();
        let spec = ClusterSpec::new(ClusterName::new("lab").unwrap(), release, members.iter().map(node).collect());
        let observations = members.iter().map(|(name, bytes, used)| {
            let mut seen = Seen::default();
            seen.facts.kubernetes.etcd = Some(Etcd {
                leader: Some("cp1".into()),
                member: (*name).to_owned(),
                db_bytes: *bytes,
                db_in_use_bytes: *used,
                alarms: if alarm { vec!["NOSPACE".into()] } else { vec![] },
                ..Etcd::default()
            });
            (name.parse().unwrap(), Observation::Seen(Box::new(seen)))
        });
        let observations: BTreeMap<NodeName, Observation> = observations.collect();
        build(&Input {
            spec: &spec,
            steps: &BTreeMap::new(),
            cluster_steps: &[],
            observations: &observations,
            cluster: &Cluster::Live(Box::<Live>::default()),
        })
    }

    fn steps(plan: &Plan, node: &str) -> Vec<String> {
        let chain = plan.chains.iter().find(|chain| chain.owner.to_string() == node).unwrap();
        chain.items.iter().filter(|item| item.verdict.is_change()).map(|item| item.step.to_string()).collect()
    }

    #[test]
    fn only_wasteful_files_and_the_leader_last() {
        let plan =
            plan(&[("cp1", 400 << 20, 100 << 20), ("cp2", 400 << 20, 390 << 20), ("cp3", 400 << 20, 100 << 20)], false);
        assert_eq!(steps(&plan, "cp1"), ["etcd.others", "etcd.defragment", "etcd.settled"]);
        assert!(steps(&plan, "cp2").is_empty());
        let waits = |node: &str| {
            plan.chains.iter().find(|chain| chain.owner.to_string() == node).unwrap().items[0].waits.clone()
        };
        assert_eq!(waits("cp3"), [Gate::AllPreflightPassed]);
        assert_eq!(waits("cp1"), [Gate::Rolled("cp3".parse().unwrap())]);
        assert!(!super::tests::plan(&[("cp1", 12 << 20, 1 << 20)], false).has_changes(), "too little to be worth it");
    }

    #[test]
    fn an_alarm_is_ended_after_all() {
        let plan = plan(&[("cp1", 100 << 20, 99 << 20), ("cp2", 100 << 20, 99 << 20)], true);
        assert_eq!(steps(&plan, "cp2"), ["etcd.compact", "etcd.defragment"]);
        assert_eq!(steps(&plan, "cp1"), ["etcd.defragment", "etcd.disarm"]);
    }
}
