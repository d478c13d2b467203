use super::*;
use crate::{
    model::{etcd::EtcdLayout, facts::Facts, observe::Seen},
    plan::expand,
    playbook,
};

fn plan_of(cluster: Cluster, leader_has: impl Fn(&mut Facts)) -> Plan {
    plan_for(&kind::testing::spec(), cluster, leader_has)
}

fn plan_for(spec: &ClusterSpec, cluster: Cluster, leader_has: impl Fn(&mut Facts)) -> Plan {
    let playbook = playbook::builtin();
    let steps = spec.nodes.iter().map(|node| (node.name.clone(), expand::node_steps(&playbook, spec, node))).collect();
    let observations = spec.nodes.iter().map(|node| {
        let mut seen = Seen::default();
        if node.name.as_str() == "cp1" {
            leader_has(&mut seen.facts);
        }
        (node.name.clone(), Observation::Seen(Box::new(seen)))
    });
    build(&Input {
        spec,
        steps: &steps,
        cluster_steps: &expand::cluster_steps(&playbook, spec),
        observations: &observations.collect(),
        cluster: &cluster,
    })
}

/// Two control planes and a witness.
fn with_witness() -> ClusterSpec {
    let mut spec = kind::testing::spec();
    spec.nodes.retain(|node| node.name.as_str() != "cp3");
    spec.witness = Some("w1".parse().unwrap());
    spec.etcd = EtcdLayout::Service;
    spec
}

/// What an init that died leaves: authorities and identity are on the leader's disk, so nobody puts them there.
fn founded(facts: &mut Facts) {
    let identity = ClusterIdentity { id: "01".into(), name: "lab".into(), ca_sha256: "ab".into() };
    let there = &mut facts.kubernetes;
    there.identity = Some(identity);
    there.shared_pki = crate::pki::SharedPath::ALL.iter().map(ToString::to_string).collect();
    there.ca_crt = Some("CA\n".into());
}

#[test]
fn another_network_is_pulled_by_all_before_it_runs_anywhere() {
    let spec = kind::testing::spec();
    let playbook = playbook::builtin();
    let waits = |wanted: &[&str], cluster: Cluster| {
        let only = |mut steps: Vec<Step>| {
            steps.retain(|step| wanted.contains(&step.id.as_str()));
            steps
        };
        let steps = spec.nodes.iter().map(|node| (node.name.clone(), only(expand::node_steps(&playbook, &spec, node))));
        let seen = |name: &NodeName| (name.clone(), Observation::Seen(Box::default()));
        let plan = build(&Input {
            spec: &spec,
            steps: &steps.collect(),
            cluster_steps: &only(expand::cluster_steps(&playbook, &spec)),
            observations: &spec.nodes.iter().map(|node| seen(&node.name)).collect(),
            cluster: &cluster,
        });
        let opened = plan.items().filter(|(_, item)| item.opens == Some(Gate::Prepared)).count();
        let waits = plan.items().any(|(_, item)| item.waits.contains(&Gate::Prepared));
        assert_eq!(opened > 0, waits);
        opened
    };
    let live = || Cluster::Live(Box::default());
    assert_eq!(waits(&["runtime.images", "cluster.network"], live()), spec.nodes.len());
    assert_eq!(waits(&["runtime.images", "kubernetes.join", "cluster.network"], live()), 0, "joins need the network");
    assert_eq!(waits(&["runtime.images"], live()), 0);
    assert_eq!(waits(&["runtime.images", "cluster.network"], Cluster::Absent), 0);
}

/// A gate that nobody opens is waited for until the end of days.
#[test]
fn whoever_waits_waits_for_somebody() {
    let half = |facts: &mut Facts| {
        founded(facts);
        facts.kubernetes.configs = vec!["admin.conf".into()];
    };
    let half_formed = || Cluster::HalfFormed { node: "cp1".parse().unwrap(), reason: "init died".into() };
    for (case, plan) in [
        ("bare", plan_of(Cluster::Absent, |_| {})),
        ("founded", plan_of(Cluster::Absent, founded)),
        ("half formed", plan_of(half_formed(), half)),
        ("with a witness", plan_for(&with_witness(), Cluster::Absent, founded)),
        ("half formed, authorities lost", plan_of(half_formed(), |_| {})),
    ] {
        assert!(plan.has_changes(), "{case}");
        assert_eq!(plan.founds(), ["bare", "half formed, authorities lost"].contains(&case), "{case}");
        let opened: Vec<&Gate> = plan.items().filter_map(|(_, item)| item.opens.as_ref()).collect();
        for (owner, item) in plan.items() {
            for gate in &item.waits {
                let by_itself = matches!(gate, Gate::AllPreflightPassed | Gate::NodesSettled);
                assert!(by_itself || opened.contains(&gate), "{case}: {owner} {} waits for {gate}", item.step);
            }
        }
    }
}

/// An init that begins before etcd has a quorum waits for it on its node, though the run that would start the others may be dead.
#[test]
fn init_begins_once_all_members_of_etcd_are_started() {
    let who = |plan: &Plan, has: fn(&Item) -> bool| -> Vec<String> {
        plan.items().filter(|(_, item)| has(item)).map(|(owner, item)| format!("{owner} {}", item.step)).collect()
    };
    let opens = |item: &Item| item.opens == Some(Gate::MembersStarted);
    let waits = |item: &Item| item.waits.contains(&Gate::MembersStarted);
    let plan = plan_for(&with_witness(), Cluster::Absent, |_| {});
    assert_eq!(who(&plan, opens), ["cp1 kubernetes.etcd", "cp2 kubernetes.etcd", "w1 kubernetes.etcd"]);
    assert_eq!(who(&plan, waits), ["cp1 kubernetes.init"]);
    let restoring = |facts: &mut Facts| {
        founded(facts);
        facts.kubernetes.restoring = true;
    };
    let plan = plan_for(&with_witness(), Cluster::Absent, restoring);
    assert!(who(&plan, waits).is_empty(), "what a restore begins with is one member");
}

/// Where a member of etcd begins, the witness's among them, and nowhere else.
#[test]
fn the_disk_of_a_member_is_tried_before_it_begins() {
    let probed = |layout: EtcdLayout, there: fn(&str) -> bool| -> Vec<String> {
        let spec = match layout {
            EtcdLayout::Stacked => kind::testing::spec(),
            EtcdLayout::Service => with_witness(),
        };
        let playbook = playbook::builtin();
        let probed = |node: &&NodeSpec| {
            let mut world = kind::testing::World::bare();
            world.spec = spec.clone();
            if there(node.name.as_str()) {
                let live = kind::testing::World::live(node.name.as_str());
                (world.seen, world.cluster, world.facts) = (live.seen, live.cluster, live.facts);
            }
            let steps = expand::node_steps(&playbook, &spec, node);
            let items = world.judge(node.name.as_str(), |context| node_items(&steps, context));
            let item = items.into_iter().find(|item| item.step.as_str() == "preflight.etcd-disk").unwrap();
            matches!(item.verdict, Verdict::Probe(_))
        };
        spec.nodes.iter().filter(probed).map(|node| node.name.to_string()).collect()
    };
    assert_eq!(probed(EtcdLayout::Stacked, |_| false), ["cp1", "cp2", "cp3"]);
    assert_eq!(probed(EtcdLayout::Service, |_| false), ["cp1", "cp2", "w1"]);
    assert_eq!(probed(EtcdLayout::Stacked, |_| true), [] as [&str; 0]);
}
