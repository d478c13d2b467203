//! Plans of a roll to another runtime, in the version of Kubernetes that is there.

use super::*;

#[test]
fn another_runtime_is_rolled_node_by_node() {
    let world = World::with_another_runtime();
    assert!(world.is_due());
    let plan = world.plan();
    assert_eq!(plan.refusals().count(), 0);
    let roll = |node: &str| -> Vec<String> {
        changes(&plan, node).into_iter().filter(|step| !BROUGHT.contains(&step.as_str())).collect()
    };
    assert_eq!(
        roll("cp1"),
        [
            "upgrade.fetch",
            "upgrade.others",
            "upgrade.leader",
            "upgrade.divert",
            "upgrade.drain",
            "packages.install",
            "upgrade.settled",
            "upgrade.return",
            "upgrade.uncordon"
        ]
    );
    let worker = ["upgrade.fetch", "upgrade.drain", "packages.install", "upgrade.settled", "upgrade.uncordon"];
    assert_eq!(roll("w1"), worker);
    let rolled = |node: &str| Gate::Rolled(name(node));
    assert_eq!(waits(&plan, "cp1"), []);
    assert_eq!(waits(&plan, "cp2"), [rolled("cp1")]);
    assert_eq!(waits(&plan, "w1"), [rolled("cp3")]);
    assert_eq!(waits(&plan, "w2"), [Gate::Batch(0)]);
    // All have it before the first is out of service.
    let prepared = plan.items().filter(|(_, item)| item.opens == Some(Gate::Prepared)).map(|(_, item)| &item.step);
    assert_eq!(prepared.map(|step| step.as_str()).collect::<Vec<_>>(), ["upgrade.fetch"; 6]);
    let ops = plan.items().flat_map(|(_, item)| item.verdict.ops()).map(|op| op.what.as_str()).collect::<Vec<_>>();
    let brings = |what: &str| ops.iter().filter(|op| **op == format!("{what} containerd={NEWER}")).count();
    assert_eq!((brings("fetch"), brings("install")), (6, 6));
}

#[test]
fn a_roll_of_the_runtime_is_gone_on_with() {
    let mut world = World::with_another_runtime();
    for node in ["cp1", "cp2", "cp3", "w1"] {
        world.runtime(node, NEWER);
    }
    // The program died when w1 had its packages; w2 was drained and had none yet.
    let w1 = world.live.nodes.get_mut(&name("w1")).unwrap();
    (w1.cordoned, w1.ready) = (true, false);
    let w2 = world.live.nodes.get_mut(&name("w2")).unwrap();
    (w2.cordoned, w2.ready) = (true, false);
    let plan = world.plan();
    assert_eq!(plan.refusals().count(), 0);
    let left = |node: &str| changes(&plan, node).into_iter().filter(|step| step.starts_with("upgrade.")).collect();
    let (cp1, w1, w2): (Vec<String>, Vec<String>, Vec<String>) = (left("cp1"), left("w1"), left("w2"));
    assert!(cp1.is_empty(), "{cp1:?}");
    assert_eq!(w1, ["upgrade.settled", "upgrade.uncordon"]);
    assert!(w2.contains(&"upgrade.drain".to_owned()), "{w2:?}");
    world.live.nodes.get_mut(&name("w1")).unwrap().cordoned = false;
    for node in ["w1", "w2", "w3"] {
        world.runtime(node, NEWER);
        world.live.nodes.get_mut(&name(node)).unwrap().cordoned = false;
    }
    assert!(!world.is_due());
}

#[test]
fn a_roll_of_the_runtime_has_the_same_conditions() {
    let mut world = World::with_another_runtime();
    world.live.nodes.get_mut(&name("w2")).unwrap().ready = false;
    assert_eq!(world.refused("upgrade.node"), "w2 is not Ready");
    let mut world = World::with_another_runtime();
    world.seen("cp2").facts.kubernetes.readyz = Some(500);
    assert_eq!(world.refused(checks::ETCD), "the API server of cp2 is not ready");
    let mut world = World::with_another_runtime();
    world.rolling.budgets.push(Budget {
        namespace: "shop".into(),
        name: "web".into(),
        never: true,
        pods: vec![("web-1".into(), Some("w1".into()))],
        allowed: 0,
    });
    assert!(world.refused("upgrade.budgets").contains("shop/web-1 on w1"));
    // Of a node that has it already nothing has to go.
    world.runtime("w1", NEWER);
    assert_eq!(world.plan().refusals().count(), 0);
}
