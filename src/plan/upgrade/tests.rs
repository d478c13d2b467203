//! Plans of a roll over clusters as they are seen before, in the midst of and after it.

use super::*;
use crate::{
    model::{
        cluster::NodeSpec,
        facts::{Disk, Etcd, EtcdMember},
        live::{LiveNode, PodSeen},
        name::ClusterName,
        node::Role,
        observe::{FileSeen, PackageSeen},
        op::{ClusterOp, Work},
        release::Release,
        rolling::{Budget, MaxUnavailable},
    },
    plan::expand,
    playbook,
};

mod runtime;

const OLDER: &str = "1.6.20~ds1-1+deb12u2";
const NEWER: &str = "1.6.20~ds1-1+deb12u3";

const STAMP: &str = "/var/lib/kbootstrap/stamps/kubeadm-upgrade";

/// Changes of every plan here, since the machines are bare.
const BROUGHT: [&str; 2] = ["packages.repository", "runtime.images"];

/// Three control planes and three workers, all at 1.30.14.
struct World {
    spec: ClusterSpec,
    observations: BTreeMap<NodeName, Observation>,
    live: Live,
    rolling: Rolling,
    max_unavailable: MaxUnavailable,
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

impl World {
    fn new(target: &str) -> Self {
        let node = |name: &str, ip: &str, role| NodeSpec::new(name.parse().unwrap(), ip.parse().unwrap(), role);
        let nodes = vec![
            node("cp1", "10.0.0.11", Role::ControlPlane),
            node("cp2", "10.0.0.12", Role::ControlPlane),
            node("cp3", "10.0.0.13", Role::ControlPlane),
            node("w1", "10.0.0.21", Role::Worker),
            node("w2", "10.0.0.22", Role::Worker),
            node("w3", "10.0.0.23", Role::Worker),
        ];
        let release = Release::of(target.parse().unwrap()).unwrap();
        let spec = ClusterSpec::new(ClusterName::new("lab").unwrap(), release, nodes);
        let mut world = Self {
            observations: BTreeMap::new(),
            live: Live::default(),
            rolling: Rolling::default(),
            max_unavailable: MaxUnavailable::Number(1),
            spec,
        };
        let members: Vec<EtcdMember> = world
            .spec
            .control_planes()
            .map(|node| EtcdMember { id: node.name.to_string(), name: node.name.to_string(), ..EtcdMember::default() })
            .collect();
        for node in world.spec.nodes.clone() {
            let mut seen = Seen::default();
            seen.facts.disks.insert("/".into(), Disk { size_bytes: 20 << 30, free_bytes: 10 << 30 });
            seen.facts.kubernetes.configs = vec!["kubelet.conf".into()];
            let mut object = LiveNode { ready: true, ..LiveNode::default() };
            if node.is_control_plane() {
                object.labels.insert("node-role.kubernetes.io/control-plane".into(), String::new());
                seen.facts.kubernetes.readyz = Some(200);
                seen.facts.kubernetes.etcd = Some(Etcd {
                    members: members.clone(),
                    leader: Some("cp1".into()),
                    member: node.name.to_string(),
                    kubeadm_config: Some(true),
                    ..Etcd::default()
                });
            }
            world.observations.insert(node.name.clone(), Observation::Seen(Box::new(seen)));
            world.live.nodes.insert(node.name.clone(), object);
            world.kubelet(node.name.as_str(), "1.30.14");
            world.pods(node.name.as_str(), "1.30.14");
        }
        world.live.coredns_pods.insert("a".into(), pod("registry.k8s.io/coredns/coredns:v1.11.3"));
        world
    }

    fn seen(&mut self, node: &str) -> &mut Seen {
        match self.observations.get_mut(&name(node)).unwrap() {
            Observation::Seen(seen) => seen,
            Observation::Unknown { .. } => panic!(),
        }
    }

    fn package(&mut self, node: &str, version: &str) {
        let seen = PackageSeen { version: Some(format!("{version}-1.1")), held: true, broken: None };
        for package in ["kubelet", "kubeadm", "kubectl"] {
            self.seen(node).packages.insert(package.into(), seen.clone());
        }
    }

    /// Package and running kubelet.
    fn kubelet(&mut self, node: &str, version: &str) {
        self.package(node, version);
        self.live.nodes.get_mut(&name(node)).unwrap().kubelet = format!("v{version}");
    }

    fn pods(&mut self, node: &str, version: &str) {
        if self.spec.node(&name(node)).unwrap().is_control_plane() {
            for component in kind::upgrade::COMPONENTS {
                let image = format!("registry.k8s.io/{component}:v{version}");
                self.live.static_pods.insert((name(node), component.into()), pod(&image));
            }
        }
    }

    fn stamp(&mut self, node: &str, text: &str) {
        let file = FileSeen::File {
            mode: 0o644,
            owner: "root".into(),
            group: "root".into(),
            sha256: String::new(),
            content: Some(text.as_bytes().to_vec()),
        };
        self.seen(node).files.insert(STAMP.into(), file);
    }

    fn rolled(&mut self, node: &str) {
        self.kubelet(node, "1.31.13");
        self.pods(node, "1.31.13");
    }

    /// Another containerd is wanted than all nodes have.
    fn with_another_runtime() -> Self {
        let mut world = Self::new("1.30.14");
        world.spec.runtime.version = Some(NEWER.parse().unwrap());
        for node in world.spec.nodes.clone() {
            world.runtime(node.name.as_str(), OLDER);
        }
        world
    }

    fn runtime(&mut self, node: &str, version: &str) {
        let seen = PackageSeen { version: Some(version.into()), held: true, broken: None };
        self.seen(node).packages.insert("containerd".into(), seen);
    }

    /// Of the playbook only what has to do with versions: the machines of these tests are bare otherwise.
    fn steps(&self) -> BTreeMap<NodeName, Vec<Step>> {
        let playbook = playbook::builtin();
        let wanted = ["packages.repository", "packages.install", "runtime.images", "preflight.repository"];
        let steps = self.spec.nodes.iter().map(|node| {
            let mut steps = expand::node_steps(&playbook, &self.spec, node);
            steps.retain(|step| wanted.contains(&step.id.as_str()));
            for step in &mut steps {
                // Only Kubernetes' own packages are on these machines, and the runtime's where it matters.
                if let crate::model::step::StepKind::Packages(wishes) = &mut step.kind {
                    wishes.retain(|wish| {
                        let package = &wish.package;
                        let runtime = package.name == "containerd" && package.version.is_some();
                        runtime || ["kubelet", "kubeadm", "kubectl"].contains(&package.name.as_str())
                    });
                }
            }
            (node.name.clone(), steps)
        });
        steps.collect()
    }

    fn is_due(&self) -> bool {
        let cluster = Cluster::Live(Box::new(self.live.clone()));
        is_due(&self.base(&self.steps(), &cluster))
    }

    fn base<'a>(&'a self, steps: &'a BTreeMap<NodeName, Vec<Step>>, cluster: &'a Cluster) -> build::Input<'a> {
        build::Input { spec: &self.spec, steps, cluster_steps: &[], observations: &self.observations, cluster }
    }

    fn plan(&self) -> Plan {
        let (steps, cluster) = (self.steps(), Cluster::Live(Box::new(self.live.clone())));
        let input = Input {
            base: self.base(&steps, &cluster),
            rolling: &self.rolling,
            terms: RollTerms { max_unavailable: self.max_unavailable, ..RollTerms::default() },
        };
        build(&input).unwrap()
    }

    #[track_caller]
    fn refused(&self, step: &str) -> String {
        let plan = self.plan();
        let found: Vec<_> = plan.refusals().map(|(_, item, refusal)| (item.step.as_str(), refusal)).collect();
        assert_eq!(found.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [step]);
        assert!(!found[0].1.hint.is_empty());
        found[0].1.reason.clone()
    }
}

fn pod(image: &str) -> PodSeen {
    PodSeen { image: image.into(), ready: true, ..PodSeen::default() }
}

fn changes(plan: &Plan, node: &str) -> Vec<String> {
    let chain = plan.chains.iter().find(|chain| chain.owner == Owner::Node(name(node))).unwrap();
    chain.items.iter().filter(|item| item.verdict.is_change()).map(|item| item.step.to_string()).collect()
}

/// What a node waits for in its roll, in order.
fn waits(plan: &Plan, node: &str) -> Vec<Gate> {
    let chain = plan.chains.iter().find(|chain| chain.owner == Owner::Node(name(node))).unwrap();
    let all = chain.items.iter().flat_map(|item| item.waits.clone());
    all.filter(|gate| !matches!(gate, Gate::AllPreflightPassed | Gate::Prepared)).collect()
}

#[test]
fn a_whole_roll_has_its_order() {
    let mut world = World::new("1.31.13");
    world.max_unavailable = MaxUnavailable::Number(2);
    let plan = world.plan();
    assert_eq!(plan.refusals().count(), 0);
    assert_eq!(
        changes(&plan, "cp1"),
        [
            "packages.repository",
            "runtime.images",
            "upgrade.fetch",
            "upgrade.flags",
            "upgrade.backup",
            "upgrade.kubeadm-package",
            "upgrade.server-others",
            "upgrade.server-leader",
            "upgrade.server-divert",
            "upgrade.kubeadm",
            "upgrade.server-settled",
            "upgrade.server-return",
            "upgrade.others",
            "upgrade.leader",
            "upgrade.divert",
            "upgrade.drain",
            "packages.install",
            "upgrade.kubelet",
            "upgrade.settled",
            "upgrade.return",
            "upgrade.uncordon"
        ]
    );
    let (served, rolled) = (|node: &str| Gate::Served(name(node)), |node: &str| Gate::Rolled(name(node)));
    assert_eq!(waits(&plan, "cp1"), [rolled("cp3")]);
    assert_eq!(waits(&plan, "cp2"), [served("cp1"), rolled("cp1")]);
    assert_eq!(waits(&plan, "cp3"), [served("cp2")]);
    assert_eq!(waits(&plan, "w1"), [rolled("cp2")]);
    assert_eq!(waits(&plan, "w2"), [rolled("cp2")]);
    // The last whose servers are taken is out of the way once, for both.
    assert_eq!(
        changes(&plan, "cp3")[5..],
        [
            "upgrade.kubeadm-package",
            "upgrade.others",
            "upgrade.leader",
            "upgrade.divert",
            "upgrade.kubeadm",
            "upgrade.drain",
            "packages.install",
            "upgrade.kubelet",
            "upgrade.settled",
            "upgrade.return",
            "upgrade.uncordon"
        ]
    );
    assert_eq!(waits(&plan, "w3"), [Gate::Batch(0)]);
    assert!(plan.items().filter(|(_, item)| item.waits.contains(&Gate::Prepared)).count() == 6);
    let applies = |node: &str| {
        let chain = plan.chains.iter().find(|chain| chain.owner == Owner::Node(name(node))).unwrap();
        chain.items.iter().flat_map(|item| item.verdict.ops()).any(|op| op.what.starts_with("kubeadm upgrade apply"))
    };
    assert_eq!(["cp1", "cp2", "w1"].map(applies), [true, false, false]);
    // Every gate that is waited for is opened by somebody.
    let opened: Vec<&Gate> = plan.items().filter_map(|(_, item)| item.opens.as_ref()).collect();
    for gate in plan.items().flat_map(|(_, item)| &item.waits).filter(|gate| **gate != Gate::AllPreflightPassed) {
        assert!(opened.contains(&gate), "{gate:?}");
    }
}

#[test]
fn a_roll_that_died_is_gone_on_with() {
    let mut world = World::new("1.31.13");
    world.rolled("cp1");
    // kubeadm ended on cp2, its kubelet did not come.
    world.pods("cp2", "1.31.13");
    world.stamp("cp2", "v1.31.13 node\n");
    world.live.nodes.get_mut(&name("cp2")).unwrap().cordoned = true;
    // The first worker is done but for opening it again.
    world.rolled("w3");
    world.live.nodes.get_mut(&name("w3")).unwrap().cordoned = true;
    let plan = world.plan();
    let none: [&str; 0] = [];
    let steps = changes(&plan, "cp1");
    assert!(!steps.iter().any(|step| step == "upgrade.kubeadm"), "{steps:?}");
    let of_roll = |node: &str| -> Vec<String> {
        changes(&plan, node)
            .into_iter()
            .filter(|step| step.starts_with("upgrade.") && !["upgrade.fetch", "upgrade.flags"].contains(&step.as_str()))
            .collect()
    };
    assert_eq!(of_roll("cp1"), none);
    assert_eq!(
        of_roll("cp2"),
        [
            "upgrade.others",
            "upgrade.leader",
            "upgrade.divert",
            "upgrade.drain",
            "upgrade.kubelet",
            "upgrade.settled",
            "upgrade.return",
            "upgrade.uncordon"
        ]
    );
    assert!(of_roll("cp3").contains(&"upgrade.kubeadm".to_owned()));
    assert!(!of_roll("cp3").contains(&"upgrade.backup".to_owned()), "a backup of before can't be had any more");
    assert_eq!(of_roll("w3"), ["upgrade.settled", "upgrade.uncordon"]);
    // No kubelet before the last API server.
    assert_eq!(waits(&plan, "cp2"), [Gate::Rolled(name("cp3"))]);
    assert_eq!(waits(&plan, "cp3"), []);
    // Nor is a control plane left out by the proxies that is done but for that.
    let mut late = World::new("1.31.13");
    late.rolled("cp1");
    late.live.nodes.get_mut(&name("cp1")).unwrap().cordoned = true;
    let left = changes(&late.plan(), "cp1");
    assert_eq!(left[left.len() - 3..], ["upgrade.settled", "upgrade.return", "upgrade.uncordon"]);
    // Who was left in between goes before the others.
    assert_eq!(waits(&plan, "w3"), [Gate::Rolled(name("cp2"))]);
    assert_eq!(waits(&plan, "w1"), [Gate::Batch(0)]);
}

#[test]
fn a_silent_member_of_etcd_may_come_up_where_a_roll_is_under_way() {
    let mut world = World::new("1.31.13");
    world.seen("cp1").facts.kubernetes.etcd = None;
    let plan = world.plan();
    assert!(!plan.settling && plan.refusals().next().is_some(), "nothing of ours has restarted it");
    world.rolled("cp1");
    assert!(world.plan().settling);
    world.seen("w1").facts.disks.clear();
    world.seen("w1").facts.disks.insert("/".into(), Disk { size_bytes: 20 << 30, free_bytes: 1 });
    assert!(!world.plan().settling, "no room comes by waiting");
}

#[test]
fn a_witness_has_a_member_of_etcd_and_no_api_server() {
    let mut world = World::new("1.31.13");
    world.spec.etcd = crate::model::etcd::EtcdLayout::Service;
    world.spec.witness = Some(name("w1"));
    let mut etcd = world.seen("cp2").facts.kubernetes.etcd.clone().unwrap();
    etcd.members.push(EtcdMember { id: "w1".into(), name: "w1".into(), ..EtcdMember::default() });
    for node in ["cp1", "cp2", "cp3", "w1"] {
        world.seen(node).facts.kubernetes.etcd = Some(etcd.clone());
    }
    assert_eq!(world.plan().refusals().count(), 0);
    world.seen("w1").facts.kubernetes.etcd = None;
    assert_eq!(world.refused("upgrade.etcd"), "etcd's member on w1 does not answer");
}

#[test]
fn a_batch_leaves_every_zone_a_worker() {
    let mut world = World::new("1.31.13");
    let zone = |world: &mut World, node: &str, zone: &str| {
        let node = world.spec.nodes.iter_mut().find(|other| other.name.as_str() == node).unwrap();
        node.zone = Some(zone.parse().unwrap());
    };
    world.max_unavailable = MaxUnavailable::Percent(100);
    for (node, its) in [("w1", "a"), ("w2", "a"), ("w3", "b")] {
        zone(&mut world, node, its);
    }
    let plan = world.plan();
    assert_eq!(waits(&plan, "w1"), [Gate::Rolled(name("cp2"))]);
    assert_eq!(waits(&plan, "w3"), [Gate::Rolled(name("cp2"))]);
    assert_eq!(waits(&plan, "w2"), [Gate::Batch(0)]);
    // A zone each: two of three go, as everything at once would be an outage.
    zone(&mut world, "w2", "c");
    let plan = world.plan();
    assert_eq!(waits(&plan, "w2"), [Gate::Rolled(name("cp2"))]);
    assert_eq!(waits(&plan, "w3"), [Gate::Batch(0)]);
}

#[test]
fn an_apply_that_died_is_made_again() {
    let mut world = World::new("1.31.13");
    // Static pods are new, and what comes after them is not known.
    world.pods("cp2", "1.31.13");
    let plan = world.plan();
    let ops = plan.items().flat_map(|(owner, item)| item.verdict.ops().iter().map(move |op| (owner, op)));
    let applied: Vec<&Owner> =
        ops.filter(|(_, op)| op.what.starts_with("kubeadm upgrade apply")).map(|(owner, _)| owner).collect();
    assert_eq!(applied.len(), 1);
}

#[test]
fn a_roll_is_due_where_something_is_older_and_never_for_what_is_not_seen() {
    let due = |world: &World| {
        let steps = world.spec.nodes.iter().map(|node| (node.name.clone(), Vec::new())).collect();
        is_due(&build::Input {
            spec: &world.spec,
            steps: &steps,
            cluster_steps: &[],
            observations: &world.observations,
            cluster: &Cluster::Live(Box::new(world.live.clone())),
        })
    };
    assert!(due(&World::new("1.31.13")));
    let mut world = World::new("1.30.14");
    assert!(!due(&world));
    world.live.static_pods.remove(&(name("cp1"), "kube-scheduler".to_owned()));
    assert!(!due(&world), "somebody took its manifest away: that is no older version");
    world.spec.overrides.cluster = serde_json::from_str(r#"{"etcd":{"local":{"imageTag":"3.5.21-0"}}}"#).unwrap();
    world.live.static_pods.insert((name("cp2"), "etcd".to_owned()), pod("registry.k8s.io/etcd:3.5.15-0"));
    assert!(due(&world));
    let mut world = World::new("1.30.14");
    world.live.nodes.get_mut(&name("w1")).unwrap().cordoned = true;
    assert!(due(&world), "a roll ended before it opened a node again");
    let mut world = World::new("1.31.13");
    world.live.nodes.remove(&name("w3"));
    assert!(!due(&world), "a node is to be joined first");
    let mut world = World::new("1.30.14");
    world.rolled("cp1");
    assert!(!due(&world), "it was begun by somebody who wants a newer version");
}

#[test]
fn what_is_done_needs_nothing() {
    let mut world = World::new("1.31.13");
    for node in ["cp1", "cp2", "cp3", "w1", "w2", "w3"] {
        world.rolled(node);
    }
    for step in world.plan().items().filter(|(_, item)| item.verdict.is_change()).map(|(_, item)| item.step.as_str()) {
        assert!(BROUGHT.contains(&step), "{step}");
    }
}

#[test]
fn there_is_no_way_back_and_no_leap() {
    let mut newer = World::new("1.30.14");
    newer.rolled("cp2");
    assert!(newer.refused("upgrade.version").contains("1.30.14 is older than 1.31.13, which runs on cp2"));
    let mut mixed = World::new("1.31.13");
    mixed.pods("cp2", "1.30.10");
    assert!(mixed.refused("upgrade.version").contains("two versions, 1.30.10 on cp2 and 1.30.14 on cp1"));
    let mut old = World::new("1.31.13");
    for node in ["cp1", "cp2", "cp3"] {
        old.pods(node, "1.29.9");
        old.kubelet(node, "1.29.9");
    }
    for node in ["w1", "w2", "w3"] {
        old.kubelet(node, "1.29.9");
    }
    assert!(old.refused("upgrade.version").contains("more than one minor version"));
    let mut ahead = World::new("1.31.13");
    ahead.kubelet("w2", "1.31.13");
    assert!(ahead.refused("upgrade.version").contains("kubelet of w2 (1.31.13) is newer than every API server"));
    let mut unseen = World::new("1.31.13");
    unseen.live.static_pods.remove(&(name("cp3"), "kube-apiserver".into()));
    assert!(unseen.refused("upgrade.version").contains("cp3's API server is not known"));
}

#[test]
fn an_early_patch_does_not_know_the_coredns_that_runs() {
    let reason = World::new("1.31.0").refused("upgrade.coredns");
    assert!(reason.contains("CoreDNS v1.11.3 runs, and kubeadm 1.31.0 knows only versions up to v1.11.1"), "{reason}");
}

#[test]
fn the_cluster_must_be_fit() {
    let mut world = World::new("1.31.13");
    let sick = world.live.nodes.get_mut(&name("w1")).unwrap();
    (sick.ready, sick.why) = (false, Some("no CNI".into()));
    assert_eq!(world.refused("upgrade.node"), "w1 is not Ready: no CNI");
    // kubeadm's package alone makes no node sick; kubeadm may.
    world.package("w1", "1.30.14");
    world.stamp("w1", "v1.31.13 begun\n");
    assert_eq!(world.plan().refusals().count(), 0);

    let mut world = World::new("1.31.13");
    world.seen("cp3").facts.kubernetes.etcd.as_mut().unwrap().leader = None;
    assert!(world.refused("upgrade.etcd").contains("cp3 has no quorum"));
    world.seen("cp3").facts.kubernetes.etcd = None;
    assert!(world.refused("upgrade.etcd").contains("cp3 does not answer"));

    let mut world = World::new("1.31.13");
    world.seen("cp2").facts.disks.get_mut("/").unwrap().free_bytes = 1 << 30;
    assert_eq!(world.refused("upgrade.disk"), "1024 MiB are free for / on cp2; the upgrade needs 2048 MiB");

    let mut world = World::new("1.31.13");
    world.observations.insert(name("w2"), Observation::Unknown { error: "timed out".into(), hint: None });
    assert_eq!(world.refused("upgrade.node"), "nothing is known of w2: timed out");

    let mut world = World::new("1.31.13");
    let foreign =
        LiveNode { ready: true, labels: world.live.nodes[&name("cp1")].labels.clone(), ..LiveNode::default() };
    world.live.nodes.insert(name("cp4"), foreign);
    assert!(world.refused("upgrade.members").contains("cp4"));
}

#[test]
fn a_budget_that_never_yields_is_named_with_its_pods() {
    let mut world = World::new("1.31.13");
    let budget = |never| Budget {
        namespace: "shop".into(),
        name: "web".into(),
        allowed: 0,
        never,
        pods: vec![("web-1".into(), Some("w1".into())), ("web-2".into(), Some("w2".into()))],
    };
    world.rolling.budgets = vec![budget(true)];
    let reason = world.refused("upgrade.budgets");
    assert!(reason.contains("budget shop/web") && reason.contains("shop/web-1 on w1, shop/web-2 on w2"), "{reason}");
    // One that merely allows none just now is waited for.
    world.rolling.budgets = vec![budget(false)];
    let plan = world.plan();
    assert_eq!(plan.refusals().count(), 0);
    assert!(plan.notices.iter().any(|notice| notice.text.contains("shop/web")));
    // Its pods are where nothing is drained any more.
    world.rolling.budgets = vec![budget(true)];
    world.rolled("w1");
    world.rolled("w2");
    for node in ["cp1", "cp2", "cp3"] {
        world.rolled(node);
    }
    assert_eq!(world.plan().refusals().count(), 0);
}

#[test]
fn what_would_be_lost_is_told_beforehand() {
    let mut world = World::new("1.31.13");
    world.rolling.losing = vec![(name("w1"), "default/cache: emptyDir tmp".into())];
    assert!(world.refused("upgrade.local-data").contains("default/cache: emptyDir tmp (on w1)"));
    world.rolled("w1");
    for node in ["cp1", "cp2", "cp3"] {
        world.rolled(node);
    }
    assert_eq!(world.plan().refusals().count(), 0);
}

#[test]
fn one_control_plane_is_never_taken_out_of_its_own_proxies() {
    let mut world = World::new("1.31.13");
    for gone in ["cp2", "cp3"] {
        world.spec.nodes.retain(|node| node.name != name(gone));
        world.observations.remove(&name(gone));
        world.live.nodes.remove(&name(gone));
    }
    world.seen("cp1").facts.kubernetes.etcd.as_mut().unwrap().members.truncate(1);
    let plan = world.plan();
    assert_eq!(plan.refusals().count(), 0);
    let diverts = |op: &crate::model::op::Op| {
        matches!(&op.work, Work::Cluster(ClusterOp::Divert { .. } | ClusterOp::MoveEtcdLeader { .. }))
    };
    assert!(!plan.items().flat_map(|(_, item)| item.verdict.ops()).any(diverts));
}
