//! Plans of a conversion over clusters as they are seen before, in the midst of and after it.

use serde_json::json;

use super::*;
use crate::{
    kind::testing::{self, text_file},
    model::{
        facts::{Disk, Etcd, EtcdMember},
        live::{LiveNode, PodSeen},
        observe::UnitSeen,
        op::{ClusterOp, Work},
    },
    plan::expand,
    playbook,
    render::{etcd, kubeadm},
};

/// Three control planes and a worker; etcd is static pods.
struct World {
    spec: ClusterSpec,
    observations: BTreeMap<NodeName, Observation>,
    cluster: Cluster,
}

const CONTROL_PLANES: [&str; 3] = ["cp1", "cp2", "cp3"];

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

impl World {
    fn new() -> Self {
        let spec = testing::spec();
        let members: Vec<EtcdMember> = spec
            .control_planes()
            .map(|node| EtcdMember {
                id: node.name.to_string(),
                name: node.name.to_string(),
                peer_urls: vec![etcd::peer_url(node)],
                learner: false,
            })
            .collect();
        let mut live = Live { kubeadm_config: Some(kubeadm::cluster(&spec)), ..Live::default() };
        let mut observations = BTreeMap::new();
        for node in &spec.nodes {
            let mut seen = Seen::default();
            let there = &mut seen.facts.kubernetes;
            there.configs = vec!["kubelet.conf".into()];
            let mut object = LiveNode { ready: true, ..LiveNode::default() };
            if node.is_control_plane() {
                object.labels.insert("node-role.kubernetes.io/control-plane".into(), String::new());
                let pods = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
                there.manifests = pods.map(|pod| format!("{pod}.yaml")).into();
                there.etcd_data = true;
                there.readyz = Some(200);
                there.etcd = Some(Etcd {
                    members: members.clone(),
                    leader: Some("cp1".into()),
                    member: node.name.to_string(),
                    kubeadm_config: Some(true),
                    ..Etcd::default()
                });
                let image = format!("registry.k8s.io/etcd:{}", crate::render::images::etcd_tag(&spec));
                let pod = PodSeen { image, ready: true, ..PodSeen::default() };
                live.static_pods.insert((node.name.clone(), "etcd".into()), pod);
            }
            live.nodes.insert(node.name.clone(), object);
            observations.insert(node.name.clone(), Observation::Seen(Box::new(seen)));
        }
        Self { spec, observations, cluster: Cluster::Live(Box::new(live)) }
    }

    fn seen(&mut self, node: &str) -> &mut Seen {
        match self.observations.get_mut(&name(node)).unwrap() {
            Observation::Seen(seen) => seen,
            Observation::Unknown { .. } => panic!(),
        }
    }

    fn live(&mut self) -> &mut Live {
        match &mut self.cluster {
            Cluster::Live(live) => live,
            _ => panic!(),
        }
    }

    /// A takeover that died: the static pod is away, the data are where they were.
    fn between(&mut self, node: &str) {
        let there = &mut self.seen(node).facts.kubernetes;
        there.manifests.retain(|name| name != "etcd.yaml");
        (there.etcd_taken, there.etcd, there.readyz) = (true, None, Some(500));
        self.live().static_pods.remove(&(name(node), "etcd".into()));
    }

    fn taken_over(&mut self, node: &str) {
        let mut spec = self.spec.clone();
        spec.etcd = EtcdLayout::Service;
        let unit = etcd::unit(&spec, spec.node(&name(node)).unwrap());
        let seen = self.seen(node);
        seen.files.insert(etcd::UNIT_PATH.into(), text_file(&unit));
        let unit = UnitSeen { active: "active".into(), enabled: "enabled".into(), ..UnitSeen::default() };
        seen.units.insert(EtcdLayout::UNIT.into(), unit);
        let there = &mut seen.facts.kubernetes;
        there.manifests.retain(|name| name != "etcd.yaml");
        (there.etcd_data, there.etcd_service) = (false, true);
        if let Cluster::Live(live) = &mut self.cluster {
            live.static_pods.remove(&(name(node), "etcd".into()));
        }
    }

    fn ask<T>(&self, ask: impl FnOnce(&Input<'_>) -> T) -> T {
        let playbook = playbook::builtin();
        let steps = self.spec.nodes.iter().map(|node| {
            let mut steps = expand::node_steps(&playbook, &self.spec, node);
            let wanted = [Action::EtcdMember, Action::StaticPods, Action::BackupSchedule];
            steps.retain(|step| matches!(&step.kind, StepKind::Action(action) if wanted.contains(action)));
            (node.name.clone(), steps)
        });
        let spec = layout::settled(&self.spec, &self.cluster, &self.observations);
        ask(&Input {
            spec: &spec,
            steps: &steps.collect(),
            cluster_steps: &[],
            observations: &self.observations,
            cluster: &self.cluster,
        })
    }

    fn plan(&self) -> Plan {
        let plan = self.ask(build);
        for item in plan.items().map(|(_, item)| &item.verdict) {
            testing::change_parses(item);
        }
        // Every gate that is waited for is opened by somebody.
        let opened: Vec<&Gate> = plan.items().filter_map(|(_, item)| item.opens.as_ref()).collect();
        for gate in plan.items().flat_map(|(_, item)| &item.waits).filter(|gate| **gate != Gate::AllPreflightPassed) {
            assert!(opened.contains(&gate), "{gate:?}");
        }
        plan
    }

    #[track_caller]
    fn refused(&self) -> String {
        let plan = self.plan();
        let found: Vec<_> = plan.refusals().collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(!found[0].2.hint.is_empty());
        found[0].2.reason.clone()
    }

    fn under_way(&self) -> bool {
        is_under_way(&layout::settled(&self.spec, &self.cluster, &self.observations), &self.observations)
    }
}

fn chain<'a>(plan: &'a Plan, owner: &str) -> &'a Chain {
    plan.chains.iter().find(|chain| chain.owner.to_string() == owner).unwrap()
}

fn changes(plan: &Plan, owner: &str) -> Vec<String> {
    let items = chain(plan, owner).items.iter();
    items.filter(|item| item.verdict.is_change()).map(|item| item.step.to_string()).collect()
}

/// Whose turn must be over before the first thing that is done to it in its own.
fn after<'a>(plan: &'a Plan, owner: &str) -> Vec<&'a Gate> {
    let items = chain(plan, owner).items.iter();
    items.flat_map(|item| &item.waits).filter(|gate| **gate != Gate::AllPreflightPassed).collect()
}

const WHOLE: [&str; 7] = [
    "convert.install",
    "convert.others",
    "convert.leader",
    "convert.divert",
    "convert.takeover",
    "convert.settled",
    "convert.return",
];

#[test]
fn member_by_member_and_who_leads_comes_last() {
    let world = World::new();
    assert!(!world.under_way());
    let plan = world.plan();
    for node in CONTROL_PLANES {
        assert_eq!(changes(&plan, node), WHOLE, "{node}");
    }
    assert!(after(&plan, "cp2").is_empty());
    assert_eq!(after(&plan, "cp3"), [&Gate::Turn(name("cp2"))]);
    assert_eq!(after(&plan, "cp1"), [&Gate::Turn(name("cp3"))]);
    assert_eq!(changes(&plan, "cluster"), ["convert.well", "convert.config"]);
    assert_eq!(after(&plan, "cluster"), [&Gate::Turn(name("cp1"))]);
    let disrupts =
        plan.items().filter(|(_, item)| matches!(&item.verdict, Verdict::Change(change) if change.disrupts.is_some()));
    assert_eq!(disrupts.count(), 3, "each is asked for");
    assert!(!plan.settling && plan.refusals().next().is_none());
    assert!(plan.notices[0].text.contains("no way back"));
}

#[test]
fn what_died_in_between_is_gone_on_with_first() {
    let mut world = World::new();
    world.taken_over("cp2");
    world.between("cp3");
    assert!(world.under_way());
    let plan = world.plan();
    assert_eq!(plan.refusals().count(), 0);
    assert!(changes(&plan, "cp2").is_empty());
    assert_eq!(changes(&plan, "cp3"), WHOLE.into_iter().filter(|step| *step != "convert.leader").collect::<Vec<_>>());
    assert!(after(&plan, "cp3").is_empty());
    assert_eq!(after(&plan, "cp1"), [&Gate::Turn(name("cp3"))]);
    // While it is silent no other may be.
    world.seen("cp1").facts.kubernetes.etcd = None;
    assert_eq!(world.refused(), "etcd's member on cp1 does not answer");
    assert!(world.plan().settling, "it may come up");
}

#[test]
fn everything_else_sees_that_it_is_under_way() {
    let mut world = World::new();
    world.taken_over("cp2");
    let usual = world.ask(crate::plan::build);
    let reasons: Vec<&str> = usual.refusals().map(|(_, _, refusal)| refusal.reason.as_str()).collect();
    assert_eq!(reasons, [etcd_takeover::UNDER_WAY.0; 3], "and nothing is said of a manifest that is missing");
    for node in CONTROL_PLANES {
        world.taken_over(node);
    }
    assert!(world.under_way(), "the cluster does not know it yet");
    let plan = world.plan();
    assert!(CONTROL_PLANES.iter().all(|node| changes(&plan, node).is_empty()));
    assert_eq!(changes(&plan, "cluster"), ["convert.well", "convert.config"]);
    let mut service = world.spec.clone();
    service.etcd = EtcdLayout::Service;
    let config = kubeadm::cluster(&service);
    world.live().kubeadm_config = Some(config);
    assert!(!world.under_way() && !world.plan().has_changes());
    assert_eq!(world.ask(crate::plan::build).refusals().count(), 0);
}

#[test]
fn of_a_cluster_that_does_not_answer_what_is_between_is_brought_up_first() {
    let mut world = World::new();
    world.spec.nodes.retain(|node| !["cp2", "cp3"].contains(&node.name.as_str()));
    world.observations.retain(|name, _| !["cp2", "cp3"].contains(&name.as_str()));
    world.between("cp1");
    world.cluster = Cluster::Unknown { reason: "refused".into() };
    assert!(world.ask(is_stranded));
    let plan = world.ask(rescue);
    assert_eq!(changes(&plan, "cp1"), ["convert.takeover"]);
    world.taken_over("cp1");
    world.seen("cp1").facts.kubernetes.etcd_taken = false;
    assert!(!world.ask(is_stranded) && !world.ask(rescue).has_changes());
    assert_eq!(world.refused(), "the cluster's state is unknown: refused");
    assert!(world.plan().settling);
    world.cluster = Cluster::Absent;
    assert!(world.refused().contains("carries a cluster"));
}

#[test]
fn one_control_plane_has_nobody_to_go_to() {
    let mut world = World::new();
    world.spec.nodes.retain(|node| !["cp2", "cp3"].contains(&node.name.as_str()));
    world.observations.retain(|name, _| !["cp2", "cp3"].contains(&name.as_str()));
    for gone in ["cp2", "cp3"] {
        world.live().nodes.remove(&name(gone));
    }
    world.seen("cp1").facts.kubernetes.etcd.as_mut().unwrap().members.truncate(1);
    let plan = world.plan();
    let steps = ["convert.install", "convert.takeover", "convert.settled", "convert.return"];
    assert_eq!(changes(&plan, "cp1"), steps);
}

#[test]
fn two_get_a_witness_at_the_end() {
    let mut world = World::new();
    world.spec.nodes.retain(|node| node.name.as_str() != "cp3");
    world.observations.remove(&name("cp3"));
    world.live().nodes.remove(&name("cp3"));
    for node in ["cp1", "cp2"] {
        world.seen(node).facts.kubernetes.etcd.as_mut().unwrap().members.truncate(2);
    }
    let plan = world.plan();
    assert_eq!(plan.refusals().count(), 0);
    assert_eq!(changes(&plan, "w1"), ["kubernetes.etcd"]);
    assert_eq!(after(&plan, "w1"), [&Gate::Turn(name("cp1"))]);
    assert_eq!(after(&plan, "cluster"), [&Gate::Turn(name("w1"))]);
    let members = |owner: &str| -> Vec<Option<usize>> {
        let ops = chain(&plan, owner).items.iter().flat_map(|item| item.verdict.ops());
        let settles = ops.filter_map(|op| match &op.work {
            Work::Cluster(ClusterOp::Settle(settle)) => Some(settle.members),
            _ => None,
        });
        settles.collect()
    };
    assert_eq!((members("cp1"), members("cluster")), (vec![Some(2); 2], vec![Some(3); 2]));
    // It joined, and died before the cluster knew: with a vote it counts.
    let mut list = world.seen("cp1").facts.kubernetes.etcd.as_ref().unwrap().members.clone();
    let peer = etcd::peer_url(world.spec.node(&name("w1")).unwrap());
    list.push(EtcdMember { id: "w1".into(), name: "w1".into(), peer_urls: vec![peer], learner: true });
    for node in ["cp1", "cp2"] {
        world.taken_over(node);
        world.seen(node).facts.kubernetes.etcd.as_mut().unwrap().members = list.clone();
    }
    assert_eq!(world.plan().refusals().count(), 0, "the witness's own join sees to a learner of its own");
}

#[test]
fn what_is_not_fit_is_refused() {
    let refused = |change: fn(&mut World)| {
        let mut world = World::new();
        change(&mut world);
        world.refused()
    };
    let etcd =
        |world: &mut World, change: fn(&mut Etcd)| change(world.seen("cp2").facts.kubernetes.etcd.as_mut().unwrap());
    let with = |change: fn(&mut Etcd)| {
        let mut world = World::new();
        etcd(&mut world, change);
        world.refused()
    };
    assert_eq!(with(|etcd| etcd.leader = None), "etcd's member on cp2 has no quorum");
    assert_eq!(with(|etcd| etcd.alarms.push("NOSPACE".into())), "etcd raises the alarm NOSPACE");
    assert_eq!(with(|etcd| etcd.members[0].learner = true), "etcd's member cp1 has no vote");
    assert_eq!(with(|etcd| drop(etcd.members.remove(0))), "cp1 has no member of etcd");
    assert_eq!(
        with(|etcd| etcd.members.push(EtcdMember { name: "cp9".into(), ..EtcdMember::default() })),
        "etcd has a member cp9 that the inventory does not name"
    );
    assert_eq!(refused(|world| world.seen("cp3").facts.kubernetes.etcd = None), "etcd's member on cp3 does not answer");
    assert_eq!(refused(|world| drop(world.live().nodes.remove(&name("cp2")))), "cp2 is not in the cluster");
    assert!(
        refused(|world| {
            let node = world.live().nodes[&name("cp1")].clone();
            world.live().nodes.insert(name("cp4"), node);
        })
        .contains("a control plane cp4 that the inventory does not name")
    );
    assert_eq!(
        refused(|world| {
            let unknown = Observation::Unknown { error: "timed out".into(), hint: None };
            world.observations.insert(name("cp2"), unknown);
        }),
        "nothing is known of cp2: timed out"
    );
    assert_eq!(
        refused(|world| {
            world.seen("cp1").facts.kubernetes.ca_crt = Some("-----BEGIN CERTIFICATE-----\n".repeat(2));
        }),
        "the cluster's authorities are being exchanged"
    );
    assert_eq!(
        refused(|world| {
            let pod = world.live().static_pods.get_mut(&(name("cp1"), "etcd".into())).unwrap();
            pod.image = "registry.k8s.io/etcd:3.5.99-0".into();
        }),
        "etcd on cp1 is 3.5.99-0, and the service would be 3.5.15-0"
    );
    assert_eq!(refused(|world| world.live().nodes.get_mut(&name("cp3")).unwrap().ready = false), "cp3 is not Ready");
}

#[test]
fn what_somebody_gave_the_static_pod_by_hand_is_not_lost_unsaid() {
    let mut world = World::new();
    let manifest = json!({"spec": {"containers": [{"command": ["etcd", "--quota-backend-bytes=8589934592"]}]}});
    let path = EtcdLayout::Stacked.manifest().unwrap();
    world.seen("cp1").files.insert(path.into(), text_file(&manifest.to_string()));
    assert!(world.refused().starts_with("etcd on cp1 does not run as the inventory wants it: "));
}

#[test]
fn a_disk_of_etcds_own_is_told_of() {
    let mut world = World::new();
    let disk = |size: u64| Disk { size_bytes: size << 30, free_bytes: 1 << 30 };
    world.seen("cp2").facts.disks = [("/var/lib".into(), disk(20)), ("/var/lib/etcd".into(), disk(10))].into();
    world.seen("cp1").facts.disks = [("/var/lib".into(), disk(20)), ("/var/lib/etcd".into(), disk(20))].into();
    let plan = world.plan();
    let told: Vec<_> = plan.notices.iter().filter_map(|notice| notice.node.as_ref()).collect();
    assert_eq!(told, [&name("cp2")]);
}
