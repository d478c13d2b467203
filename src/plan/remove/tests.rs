use std::collections::BTreeMap;

use super::*;
use crate::{
    model::{
        drain::OnBlocked,
        facts::{ClusterIdentity, Etcd},
        node::Role,
        observe::CommandSeen,
    },
    plan::expand,
    playbook,
};

/// Three control planes and two workers that live; one of them leaves.
struct World {
    spec: ClusterSpec,
    observations: BTreeMap<NodeName, Observation>,
    live: Live,
    pods: Vec<NodePod>,
    terms: Terms,
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

impl World {
    fn new() -> Self {
        let mut spec = crate::kind::testing::spec();
        spec.nodes.push(NodeSpec::new(name("w2"), "10.0.0.22".parse().unwrap(), Role::Worker));
        let identity = ClusterIdentity { id: "0123".into(), name: "lab".into(), ca_sha256: "ab".into() };
        let mut live = Live { identity: Some(identity.clone()), ..Live::default() };
        let members: Vec<EtcdMember> = spec
            .control_planes()
            .map(|node| EtcdMember {
                id: node.name.to_string(),
                name: node.name.to_string(),
                peer_urls: vec![format!("https://{}:2380", node.node_ip())],
                learner: false,
            })
            .collect();
        let mut observations = BTreeMap::new();
        for node in &spec.nodes {
            let machine_id = node.name.to_string();
            live.nodes.insert(
                node.name.clone(),
                LiveNode { machine_id: machine_id.clone(), ready: true, ..LiveNode::default() },
            );
            let mut seen = Seen::default();
            seen.facts.identity.machine_id = machine_id.clone();
            let there = &mut seen.facts.kubernetes;
            there.identity = Some(identity.clone());
            there.configs = vec!["kubelet.conf".into()];
            if node.is_control_plane() {
                there.manifests = vec!["kube-apiserver.yaml".into()];
                there.readyz = Some(200);
                there.etcd = Some(Etcd {
                    members: members.clone(),
                    leader: Some("cp1".into()),
                    member: machine_id,
                    ..Etcd::default()
                });
            }
            let found = CommandSeen { code: 0, stdout: b"link cni0\n".to_vec() };
            seen.commands.insert(leave::FOUND.into(), found);
            observations.insert(node.name.clone(), Observation::Seen(Box::new(seen)));
        }
        let terms = Terms {
            drain: DrainPolicy { timeout_s: 300, on_blocked: OnBlocked::Abort, delete_local_data: false },
            purge: false,
            dead: false,
            replaced: false,
        };
        Self { spec, observations, live, pods: Vec::new(), terms }
    }

    fn seen(&mut self, node: &str) -> &mut Seen {
        match self.observations.get_mut(&name(node)) {
            Some(Observation::Seen(seen)) => seen,
            _ => panic!("{node} was not seen"),
        }
    }

    fn silent(&mut self, node: &str) {
        self.observations.insert(name(node), Observation::Unknown { error: "timed out".into(), hint: None });
        self.live.nodes.get_mut(&name(node)).unwrap().ready = false;
    }

    fn plan(&self, node: &str) -> Plan {
        let leaving = self.spec.node(&name(node)).unwrap();
        let mut after = self.spec.clone();
        after.nodes.retain(|other| other.name != leaving.name);
        let playbook = playbook::builtin();
        let steps = after
            .nodes
            .iter()
            .map(|node| (node.name.clone(), staying_steps(expand::node_steps(&playbook, &after, node))))
            .collect();
        let cluster = Cluster::Live(Box::new(self.live.clone()));
        let input = Input {
            spec: &after,
            steps: &steps,
            cluster_steps: &[],
            observations: &self.observations,
            cluster: &cluster,
        };
        remove(&Leaving { input: &input, node: leaving, pods: Some(&self.pods), terms: &self.terms })
    }
}

/// Steps of the leaving node that change something, with `!` before one that is refused.
fn changes(plan: &Plan) -> Vec<String> {
    let items = plan.chains[0].items.iter();
    items
        .filter_map(|item| match &item.verdict {
            Verdict::Change(_) => Some(item.step.to_string()),
            Verdict::Refused(refusal) => Some(format!("!{}", refusal.reason)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_worker_leaves_without_touching_anybody() {
    let plan = World::new().plan("w1");
    assert_eq!(changes(&plan), ["remove.cordon", "remove.reset", "remove.object", "remove.clean"]);
    let others: Vec<_> = plan.chains[1..].iter().filter(|chain| chain.owner != Owner::Cluster).collect();
    assert_eq!(others.len(), 4);
    assert!(plan.chains.iter().all(|chain| chain.owner != Owner::Node(name("w1")) || chain.items.len() == 6));
}

#[test]
fn a_control_plane_leaves_etcd_before_it_is_reset_and_proxies_before_that() {
    let plan = World::new().plan("cp1");
    assert_eq!(
        changes(&plan),
        [
            "remove.cordon",
            "remove.leadership",
            "remove.api-server",
            "remove.member",
            "remove.reset",
            "remove.object",
            "remove.clean"
        ]
    );
    let stop = plan.chains[0].items.iter().find(|item| item.step.as_str() == "remove.api-server").unwrap();
    let waits: Vec<String> = stop.waits.iter().map(ToString::to_string).collect();
    assert_eq!(waits.len(), 4, "{waits:?}");
    assert!(!changes(&World::new().plan("cp2")).contains(&"remove.leadership".to_owned()), "it does not lead");
    assert!(plan.notices.iter().any(|notice| notice.text.starts_with("of 2 control planes 0 may fail, of 3 it was 1")));
}

#[test]
fn what_loses_the_quorum_is_refused_with_numbers() {
    let mut world = World::new();
    world.silent("cp3");
    assert_eq!(changes(&world.plan("cp2")), ["!2 of 3 voters healthy; removing cp2 leaves 1 of 2, and 2 are needed"]);
    world.terms.dead = true;
    assert_eq!(changes(&world.plan("cp3")), ["remove.member", "remove.object"]);
}

#[test]
fn who_is_merely_silent_stays() {
    let mut world = World::new();
    world.silent("w1");
    assert_eq!(changes(&world.plan("w1")), ["!w1 does not answer: timed out"]);
    world.terms.dead = true;
    assert_eq!(changes(&world.plan("w1")), ["remove.object"]);
    world.live.nodes.get_mut(&name("w1")).unwrap().ready = true;
    assert!(changes(&world.plan("w1"))[0].contains("the cluster says that it is Ready"));
    assert_eq!(changes(&world.plan("w2")), ["!w2 answers: it is not dead"]);
}

#[test]
fn other_machines_are_not_touched() {
    let mut world = World::new();
    world.seen("w1").facts.identity.machine_id = "another".into();
    assert!(changes(&world.plan("w1"))[0].contains("is another machine than node w1"));
    let mut world = World::new();
    world.seen("w1").facts.kubernetes.identity.as_mut().unwrap().id = "9999".into();
    assert!(changes(&world.plan("w1"))[0].contains("belongs to cluster"));
    world.seen("w1").facts.kubernetes.identity = None;
    assert!(changes(&world.plan("w1"))[0].contains("does not say of which"));
}

#[test]
fn pods_that_lose_something_are_named() {
    let mut world = World::new();
    let pod = NodePod {
        namespace: "default".into(),
        name: "db-0".into(),
        controller: Some("StatefulSet".into()),
        ..NodePod::default()
    };
    world.pods = vec![
        pod.clone(),
        NodePod { local: vec!["emptyDir data".into()], held_by: vec!["db".into()], name: "db-1".into(), ..pod },
    ];
    let refused = changes(&world.plan("w1"));
    assert!(refused.contains(&"!pods would lose something: default/db-1 (emptyDir data)".to_owned()), "{refused:?}");
    world.terms.drain.delete_local_data = true;
    let plan = world.plan("w1");
    let drain = plan.chains[0].items.iter().find(|item| item.step.as_str() == "remove.drain").unwrap();
    let Verdict::Change(change) = &drain.verdict else { panic!("it changes") };
    assert_eq!(change.diff, ["- pod default/db-0", "- pod default/db-1: emptyDir data (budget db lets none go now)"]);
    assert!(change.disrupts.is_some());
}

/// What was removed has nothing left to be done: the same command again changes nothing.
#[test]
fn once_gone_there_is_nothing_to_do() {
    let mut world = World::new();
    world.live.nodes.remove(&name("w1"));
    let seen = world.seen("w1");
    seen.facts.kubernetes = Default::default();
    seen.commands.get_mut(leave::FOUND).unwrap().stdout.clear();
    let plan = world.plan("w1");
    assert!(changes(&plan).is_empty(), "{:?}", changes(&plan));
}
