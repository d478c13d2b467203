//! Labels and taints of a node, those of the inventory and no others.

use super::{super::op, Context};
use crate::{
    model::{
        op::{ClusterOp, NodeTaint, Op, Work},
        plan::Verdict,
    },
    render::taints,
};

const REOPENED: &str = "~ takes pods again: a run of this program that did not end had cordoned it";
const ZONE: &str = "topology.kubernetes.io/zone";

pub fn judge(context: &Context<'_>) -> Verdict {
    let labels = wanted_labels(context);
    let taints = taints::of(context.spec, context.node);
    // kubeadm registers a node with its taints; those of the inventory are ours to keep, the one of control planes its.
    let own_taints: Vec<String> =
        context.node.taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect();
    let short = |taint: &NodeTaint| format!("{}:{}", taint.key, taint.effect);
    let mut diff = Vec::new();
    let mut gone = Vec::new();
    match context.live_node() {
        Some(live) => {
            for (key, value) in &labels {
                if live.labels.get(key) != Some(value) {
                    let was = live.labels.get(key).map_or("absent", String::as_str);
                    diff.push(super::super::diff::value(key, was, value));
                } else if !live.owned_labels.contains(key) {
                    diff.push(format!("~ {key}={value}: kept from now on"));
                }
            }
            for key in live.owned_labels.iter().filter(|key| !labels.iter().any(|(wanted, _)| wanted == *key)) {
                diff.push(format!("- {key}"));
                gone.push(key.clone());
            }
            diff.extend(
                taints.iter().filter(|taint| !live.taints.contains(taint)).map(|taint| format!("+ {}", show(taint))),
            );
            diff.extend(
                live.owned_taints
                    .iter()
                    .filter(|owned| !taints.iter().any(|taint| short(taint) == **owned))
                    .map(|owned| format!("- {owned}")),
            );
            diff.extend(
                own_taints
                    .iter()
                    .filter(|taint| !live.owned_taints.contains(taint))
                    .map(|taint| format!("~ {taint}: kept from now on")),
            );
        }
        None => {
            diff.extend(labels.iter().map(|(key, value)| format!("+ {key}={value}")));
            diff.extend(own_taints.iter().map(|taint| format!("+ {taint}")));
        }
    }
    // A drain whose run died.
    let opened = context.live_node().is_some_and(|live| live.cordoned).then(|| {
        let node = context.node.name.clone();
        let what = format!("uncordon node {node}");
        Op { kind: "node.uncordon", what, work: Work::Cluster(ClusterOp::Uncordon { node }), timeout_s: 60 }
    });
    if diff.is_empty() {
        return match opened {
            Some(opened) => op::change(vec![REOPENED.to_owned()], vec![opened]),
            None => Verdict::Satisfied,
        };
    }
    diff.extend(opened.iter().map(|_| REOPENED.to_owned()));
    let labels = labels
        .into_iter()
        .map(|(key, value)| (key, Some(value)))
        .chain(gone.into_iter().map(|key| (key, None)))
        .collect();
    let node = context.node.name.clone();
    let what = format!("label and taint node {node}");
    let work = Work::Cluster(ClusterOp::PatchNode { node, labels, taints: Some(taints) });
    let patch = Op { kind: "node.patch", what, work, timeout_s: 60 };
    op::change(diff, [patch].into_iter().chain(opened).collect())
}

fn wanted_labels(context: &Context<'_>) -> Vec<(String, String)> {
    let labels = context.node.labels.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    let zone = context.node.zone.iter().map(|zone| (ZONE.to_owned(), zone.to_string()));
    labels.chain(zone).collect()
}

fn show(taint: &NodeTaint) -> String {
    let value = taint.value.as_deref().map(|value| format!("={value}")).unwrap_or_default();
    format!("{}{value}:{}", taint.key, taint.effect)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::{World, change};

    fn world() -> World {
        let mut world = World::live("w1");
        let node = world.spec.nodes.last_mut().unwrap();
        node.labels.insert("tier".parse().unwrap(), "gold".parse().unwrap());
        node.taints.push("gpu=a:NoSchedule".parse().unwrap());
        world
    }

    #[test]
    fn what_the_inventory_says_is_set_and_remembered() {
        let mut world = world();
        let set = change(world.judge("w1", judge));
        assert_eq!(set.diff, ["~ tier: absent -> gold", "+ gpu=a:NoSchedule", "~ gpu:NoSchedule: kept from now on"]);
        let taint = NodeTaint { key: "gpu".into(), value: Some("a".into()), effect: "NoSchedule".into() };
        let live = world.live_mut().nodes.get_mut(&"w1".parse().unwrap()).unwrap();
        live.labels.insert("tier".into(), "gold".into());
        live.taints.push(taint);
        live.owned_labels = vec!["tier".into()];
        live.owned_taints = vec!["gpu:NoSchedule".into()];
        assert!(matches!(world.judge("w1", judge), Verdict::Satisfied));
    }

    #[test]
    fn what_the_inventory_no_longer_says_goes_and_what_others_set_stays() {
        let mut world = World::live("w1");
        let live = world.live_mut().nodes.get_mut(&"w1".parse().unwrap()).unwrap();
        live.labels.extend([("tier".into(), "gold".into()), ("theirs".into(), "x".into())]);
        live.owned_labels = vec!["tier".into()];
        let gone = change(world.judge("w1", judge));
        assert_eq!(gone.diff, ["- tier"]);
        let Work::Cluster(ClusterOp::PatchNode { labels, .. }) = &gone.ops[0].work else { panic!() };
        assert_eq!(labels, &[("tier".to_owned(), None)]);
    }

    /// kubeadm registers a control plane with its taint, and who applied it is remembered or not.
    #[test]
    fn the_taint_of_control_planes_is_kubeadms() {
        let mut world = World::live("cp2");
        assert_eq!(change(world.judge("cp2", judge)).diff, ["+ node-role.kubernetes.io/control-plane:NoSchedule"]);
        let taint = NodeTaint { key: taints::CONTROL_PLANE.into(), value: None, effect: "NoSchedule".into() };
        let live = world.live_mut().nodes.get_mut(&"cp2".parse().unwrap()).unwrap();
        live.taints.push(taint);
        assert!(matches!(world.judge("cp2", judge), Verdict::Satisfied));
        let live = world.live_mut().nodes.get_mut(&"cp2".parse().unwrap()).unwrap();
        live.owned_taints = vec![format!("{}:NoSchedule", taints::CONTROL_PLANE)];
        assert!(matches!(world.judge("cp2", judge), Verdict::Satisfied));
    }

    #[test]
    fn what_this_program_cordoned_is_opened_and_what_others_did_is_not() {
        let mut world = World::live("w1");
        let live = world.live_mut().nodes.get_mut(&"w1".parse().unwrap()).unwrap();
        live.unschedulable = true;
        assert!(matches!(world.judge("w1", judge), Verdict::Satisfied));
        world.live_mut().nodes.get_mut(&"w1".parse().unwrap()).unwrap().cordoned = true;
        let opened = change(world.judge("w1", judge));
        assert_eq!(opened.ops[0].work, Work::Cluster(ClusterOp::Uncordon { node: "w1".parse().unwrap() }));
    }

    #[test]
    fn a_node_that_is_yet_to_join_gets_them_after() {
        let mut world = world();
        world.live_mut().nodes.remove(&"w1".parse().unwrap());
        assert_eq!(change(world.judge("w1", judge)).diff, ["+ tier=gold", "+ gpu:NoSchedule"]);
        assert!(matches!(World::bare().judge("w1", judge), Verdict::Satisfied));
    }
}
