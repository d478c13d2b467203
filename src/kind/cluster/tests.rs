//! The cluster's own steps over clusters that are absent, new, in order and drifted.

use super::*;
use crate::{
    kind::testing::{World, change},
    model::{
        live::{PodSeen, Rollout},
        op::NodeTaint,
        step::{Only, StepId},
    },
};

fn verdict(world: &World, action: Action, changes: bool) -> Verdict {
    let step = Step {
        id: StepId::new("cluster.x"),
        title: String::new(),
        only: Only::default(),
        kind: StepKind::Action(action),
    };
    judge_cluster(&step, &world.spec, &world.cluster, changes)
}

const ALL: [Action; 5] =
    [Action::Network, Action::ClusterIdentity, Action::CorednsSpread, Action::Tokens, Action::Proof];

/// A cluster of which everything holds.
fn healthy() -> World {
    let mut world = World::live("cp1");
    let objects: Vec<_> = network::objects(&world.spec);
    let identity = world.identity.clone();
    let spec = world.spec.clone();
    let live = world.live_mut();
    live.identity = identity;
    live.objects = objects.into_iter().map(|object| (ObjectRef::of(&object).unwrap(), Some(object))).collect();
    let done = Rollout { observed: true, desired: 2, updated: 2, available: 2 };
    live.coredns = Some(done.clone());
    live.daemon_sets.insert("kube-system/kube-proxy".into(), done);
    for (pod, node) in [("coredns-1", "cp1"), ("coredns-2", "w1")] {
        live.coredns_pods.insert(pod.into(), PodSeen { node: Some(node.into()), ready: true, ..PodSeen::default() });
    }
    for node in spec.control_planes() {
        for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"] {
            let pod = PodSeen { ready: true, ..PodSeen::default() };
            live.static_pods.insert((node.name.clone(), component.into()), pod);
        }
    }
    world
}

#[test]
fn a_healthy_cluster_is_left_alone() {
    for action in ALL {
        let verdict = verdict(&healthy(), action, false);
        assert!(matches!(verdict, Verdict::Satisfied), "{action:?}: {verdict:?}");
    }
}

#[test]
fn a_cluster_that_is_not_there_yet_gets_everything() {
    for action in ALL {
        assert!(!change(verdict(&World::bare(), action, true)).ops.is_empty(), "{action:?}");
    }
}

#[test]
fn of_an_unknown_cluster_nothing_is_said() {
    let mut world = World::bare();
    world.cluster = Cluster::Unknown { reason: "time-out".into() };
    for action in ALL {
        assert!(matches!(verdict(&world, action, true), Verdict::Unknown(reason) if reason == "time-out"));
    }
}

#[test]
fn drift_is_named_and_only_its_set_is_applied() {
    let mut world = healthy();
    let router = world
        .live_mut()
        .objects
        .iter_mut()
        .find(|(name, _)| name.kind == "DaemonSet" && name.to_string().contains("kube-router"));
    let (name, object) = router.expect("the firewall");
    let name = name.to_string();
    object.as_mut().unwrap()["spec"]["template"]["spec"]["hostNetwork"] = false.into();
    let drift = change(verdict(&world, Action::Network, false));
    assert_eq!(drift.diff, [format!("~ {name} spec.template.spec.hostNetwork: found false, wanted true")]);
    assert_eq!(drift.ops.len(), 1);
    let first = world.live_mut().objects.keys().next().unwrap().clone();
    world.live_mut().objects.insert(first.clone(), None);
    assert!(change(verdict(&world, Action::Network, false)).diff.contains(&format!("+ {first}")));
}

#[test]
fn another_version_of_the_firewall_rolls_it_and_leaves_the_pods_network() {
    let mut world = healthy();
    world.spec.network.kube_router = Some("v2.2.1".parse().unwrap());
    let all = change(verdict(&world, Action::Network, false));
    assert_eq!(all.ops.iter().map(|op| op.what.as_str()).collect::<Vec<_>>(), ["apply kube-router"]);
    assert!(all.diff.len() == 1 && all.diff[0].contains("kube-router:v2.2.1"), "{:?}", all.diff);
    assert_eq!(all.disrupts, None, "no pod of anybody's is evicted for it");
}

#[test]
fn coredns_is_spread_where_two_nodes_can_take_it() {
    let mut world = healthy();
    world.live_mut().coredns_pods.values_mut().for_each(|pod| pod.node = Some("cp1".into()));
    assert_eq!(change(verdict(&world, Action::CorednsSpread, false)).ops[0].kind, "cluster.coredns");
    let taint = NodeTaint { key: "x".into(), value: None, effect: "NoSchedule".into() };
    for node in world.live_mut().nodes.values_mut().skip(1) {
        node.taints.push(taint.clone());
    }
    assert!(matches!(verdict(&world, Action::CorednsSpread, false), Verdict::Satisfied));
}

#[test]
fn tokens_go_when_nobody_joins_any_more_and_when_somebody_does() {
    let mut world = healthy();
    world.live_mut().tokens = vec!["abcdef".into()];
    assert!(change(verdict(&world, Action::Tokens, false)).diff[0].contains("1 bootstrap tokens"));
    let mut joins = healthy();
    joins.live_mut().nodes.remove(&"w1".parse().unwrap());
    assert!(change(verdict(&joins, Action::Tokens, true)).diff[0].contains("this run's"));
}

#[test]
fn the_proof_names_what_does_not_hold_and_asks_pods_only_after_changes() {
    let mut world = healthy();
    let changed = change(verdict(&world, Action::Proof, true));
    assert!(
        matches!(&changed.ops[0].work, Work::Cluster(ClusterOp::Prove { probe: Some(_), nodes, .. }) if nodes.len() == 4)
    );
    let live = world.live_mut();
    live.nodes.values_mut().next_back().unwrap().ready = false;
    live.static_pods.remove(&("cp2".parse().unwrap(), "etcd".into()));
    live.daemon_sets.values_mut().for_each(|rollout| rollout.available = 1);
    let broken = change(verdict(&world, Action::Proof, false));
    assert_eq!(
        broken.diff,
        [
            "~ node w1 is not Ready",
            "~ etcd does not run on cp2",
            "~ DaemonSet kube-system/kube-proxy is available on 1 of 2 nodes"
        ]
    );
    assert!(matches!(&broken.ops[0].work, Work::Cluster(ClusterOp::Prove { probe: None, .. })));
}
