mod service;

use std::collections::BTreeMap;

use rand::{SeedableRng, rngs::StdRng};
use rcgen::{CertificateParams, Issuer, KeyPair};
use time::OffsetDateTime;

use super::*;
use crate::{
    kind::{self, rotate::FOLDER},
    model::{
        etcd::EtcdLayout,
        facts::ClusterIdentity,
        live::Cluster,
        node::NodeSpec,
        observe::{CommandSeen, Observation, Seen},
        rotation::{Record, TrustingPod, Workload},
    },
    pki::{Authorities, SharedPath, bundle},
};

/// The old authorities, or the new ones.
fn authorities(seed: u64) -> Authorities {
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000 + i64::try_from(seed).unwrap()).unwrap();
    Authorities::generate(now, &mut StdRng::seed_from_u64(seed)).unwrap()
}

fn public(authorities: &Authorities, path: SharedPath) -> String {
    authorities.content(path).expose().clone()
}

fn key_digest(authorities: &Authorities, path: SharedPath) -> String {
    bundle(&public(authorities, path)).unwrap()[0].key_sha256.clone()
}

/// A certificate that this authority signed.
fn leaf(authorities: &Authorities, crt: SharedPath, key: SharedPath) -> String {
    let ca_key = KeyPair::from_pem(authorities.content(key).expose()).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&public(authorities, crt), ca_key).unwrap();
    let own = KeyPair::generate().unwrap();
    CertificateParams::default().signed_by(&own, &issuer).unwrap().pem()
}

const CRTS: [(SharedPath, SharedPath); 3] = [
    (SharedPath::CaCrt, SharedPath::CaKey),
    (SharedPath::FrontProxyCaCrt, SharedPath::FrontProxyCaKey),
    (SharedPath::EtcdCaCrt, SharedPath::EtcdCaKey),
];

/// How far a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Old,
    Staged,
    Trusting,
    Reissued,
    Distrusting,
    Done,
}

struct Lab {
    spec: ClusterSpec,
    old: Authorities,
    new: Authorities,
    nodes: BTreeMap<NodeName, (Stage, Vec<(String, String)>)>,
    trusting: Trusting,
    identity: ClusterIdentity,
}

impl Lab {
    fn at(stage: Stage) -> Self {
        Self::of(kind::testing::spec(), stage)
    }

    fn of(spec: ClusterSpec, stage: Stage) -> Self {
        let (old, new) = (authorities(1), authorities(60));
        let nodes = spec.nodes.iter().map(|node| (node.name.clone(), (stage, Vec::new()))).collect();
        let ca_sha256 = if stage >= Stage::Distrusting { &new } else { &old }.ca_sha256().unwrap();
        let identity = ClusterIdentity { id: "01".into(), name: "lab".into(), ca_sha256 };
        let mut lab = Self { spec, old, new, nodes, trusting: Trusting::default(), identity };
        let text = |path| lab.text(stage, path);
        let kubernetes = text(SharedPath::CaCrt);
        let noted = (Stage::Trusting..Stage::Done).contains(&stage);
        lab.trusting = Trusting {
            namespaces: [("default".to_owned(), Some(kubernetes.clone()))].into(),
            cluster_info: Some(kubernetes.clone()),
            clients: Some(kubernetes),
            front_proxy: Some(text(SharedPath::FrontProxyCaCrt)),
            record: noted.then(|| Record { authority: lab.new_authority(), since: 100 }),
            pods: vec![pod("default", "young", 200)],
        };
        lab
    }

    fn new_authority(&self) -> String {
        bundle(&self.new.kubernetes.certificate).unwrap()[0].sha256.clone()
    }

    fn set(&mut self, node: &str, stage: Stage) {
        self.nodes.get_mut(&node.parse().unwrap()).unwrap().0 = stage;
    }

    /// Another part of a node's answer, which takes the place of the one of this head.
    fn other(&mut self, node: &str, head: &str, body: &str) {
        self.nodes.get_mut(&node.parse().unwrap()).unwrap().1.push((head.to_owned(), body.to_owned()));
    }

    fn text(&self, stage: Stage, path: SharedPath) -> String {
        let (old, new) = (public(&self.old, path), public(&self.new, path));
        match stage {
            Stage::Old | Stage::Staged => old,
            Stage::Trusting => old + &new,
            Stage::Reissued => new + &old,
            Stage::Distrusting | Stage::Done => new,
        }
    }

    fn answer(&self, node: &NodeSpec) -> String {
        let (name, control_plane, etcd) = (&node.name, node.is_control_plane(), self.spec.etcd);
        let (stage, others) = &self.nodes[name];
        let stage = *stage;
        let signing = if stage >= Stage::Reissued { &self.new } else { &self.old };
        let mut parts: Vec<(String, String)> = Vec::new();
        let mut part = |head: String, body: String| parts.push((head, body));
        let ca = self.text(stage, SharedPath::CaCrt);
        part("file 10 /etc/kubernetes/pki/ca.crt".into(), ca.clone());
        // As the playbook's step writes it: the oldest first.
        let endpoint = crate::pki::union([ca.as_str()]).unwrap();
        part("file 10 /etc/kbootstrap/endpoint-ca.crt".into(), endpoint);
        part("trust 10 /etc/kubernetes/kubelet.conf".into(), ca.clone());
        let client = leaf(signing, SharedPath::CaCrt, SharedPath::CaKey);
        part(format!("file 10 {}", kind::rotate::KUBELET), client.clone());
        part("since 0 kubelet".into(), "20".into());
        if control_plane {
            for path in [SharedPath::FrontProxyCaCrt, SharedPath::EtcdCaCrt] {
                part(format!("file 10 /etc/kubernetes/pki/{path}"), self.text(stage, path));
            }
            for (crt, key) in CRTS {
                part(format!("key 10 {}", key.at(etcd)), key_digest(signing, crt));
                if (Stage::Staged..Stage::Done).contains(&stage) {
                    for (which, whose) in [("old", &self.old), ("new", &self.new)] {
                        part(format!("file 10 {FOLDER}/{which}/{crt}"), public(whose, crt));
                        part(format!("key 10 {FOLDER}/{which}/{key}"), key_digest(whose, crt));
                    }
                    part(format!("file 10 {FOLDER}/signing.crt"), public(signing, SharedPath::CaCrt));
                }
            }
            for name in ["admin.conf", "controller-manager.conf", "scheduler.conf"] {
                part(format!("trust 10 /etc/kubernetes/{name}"), ca.clone());
                part(format!("file 10 /etc/kubernetes/{name}"), client.clone());
            }
            part("file 10 /etc/kubernetes/pki/apiserver.crt".into(), client.clone());
            part("live 0 6443".into(), client);
            let client = leaf(signing, SharedPath::EtcdCaCrt, SharedPath::EtcdCaKey);
            part("file 10 /etc/kubernetes/pki/apiserver-etcd-client.crt".into(), client);
            let front = leaf(signing, SharedPath::FrontProxyCaCrt, SharedPath::FrontProxyCaKey);
            part("file 10 /etc/kubernetes/pki/front-proxy-client.crt".into(), front);
            for name in &kind::rotate::SERVERS[1..] {
                part(format!("since 0 {name}"), "20".into());
            }
        }
        if self.spec.is_member(node) {
            let own = leaf(signing, SharedPath::EtcdCaCrt, SharedPath::EtcdCaKey);
            part("live 0 2379".into(), own.clone());
            part("since 0 etcd".into(), "20".into());
            match etcd {
                EtcdLayout::Stacked => part("file 10 /etc/kubernetes/pki/etcd/server.crt".into(), own),
                EtcdLayout::Service => {
                    part(format!("file 10 {}", member::LEAF), own);
                    part(format!("file 10 {}", member::AUTHORITY), self.text(stage, SharedPath::EtcdCaCrt));
                }
            }
        }
        for (head, body) in others {
            let name = |head: &str| head.splitn(3, ' ').map(str::to_owned).collect::<Vec<_>>();
            parts.retain(|(there, _)| (&name(there)[0], &name(there)[2]) != (&name(head)[0], &name(head)[2]));
            parts.push((head.clone(), body.clone()));
        }
        parts.iter().map(|(head, body)| format!("@@ {head}\n{body}\n")).collect()
    }

    fn plan(
        &self,
        phase: Phase,
        pass: Pass,
        restart: bool,
        edit: impl Fn(&mut BTreeMap<NodeName, Observation>),
    ) -> Plan {
        let spec = &self.spec;
        let mut live = crate::model::live::Live { identity: Some(self.identity.clone()), ..Default::default() };
        let mut observations = BTreeMap::new();
        for node in &spec.nodes {
            live.nodes.insert(node.name.clone(), Default::default());
            let mut seen = Seen::default();
            let there = &mut seen.facts.kubernetes;
            there.configs = vec!["kubelet.conf".into()];
            if node.is_control_plane() {
                there.manifests = vec!["kube-apiserver.yaml".into()];
                there.shared_pki = vec![String::new(); 8];
            }
            let stdout = self.answer(node).into_bytes();
            seen.commands.insert(kind::rotate::ASKED.to_owned(), CommandSeen { code: 0, stdout });
            observations.insert(node.name.clone(), Observation::Seen(Box::new(seen)));
        }
        edit(&mut observations);
        let steps = spec.nodes.iter().map(|node| (node.name.clone(), Vec::new())).collect();
        let cluster = Cluster::Live(Box::new(live));
        let base =
            build::Input { spec, steps: &steps, cluster_steps: &[], observations: &observations, cluster: &cluster };
        build(phase, pass, &Input { base, trusting: Ok(&self.trusting), restart, ignore_pods: false })
    }

    /// What would be done, `owner step`, or what stands in the way, `owner !reason`.
    fn does(&self, phase: Phase, pass: Pass) -> Vec<String> {
        told(&self.plan(phase, pass, false, |_| {}))
    }
}

fn told(plan: &Plan) -> Vec<String> {
    let one = |(owner, item): (&Owner, &Item)| match &item.verdict {
        Verdict::Change(_) => Some(format!("{owner} {}", item.step)),
        Verdict::Refused(refusal) => Some(format!("{owner} !{}", refusal.reason)),
        _ => None,
    };
    plan.items().filter_map(one).collect()
}

fn pod(namespace: &str, name: &str, since: i64) -> TrustingPod {
    let workload = Workload { kind: "Deployment".into(), namespace: namespace.into(), name: name.into() };
    TrustingPod { namespace: namespace.into(), name: name.into(), since, workload: Some(workload) }
}

fn of(told: &[String], owner: &str) -> Vec<String> {
    told.iter().filter_map(|line| line.strip_prefix(owner)).map(|step| step.trim().to_owned()).collect()
}

#[test]
fn each_phase_has_nothing_to_do_once_it_is_done() {
    for (stage, phase, passes) in [
        (Stage::Trusting, Phase::Start, [Pass::Stage, Pass::Spread].as_slice()),
        (Stage::Reissued, Phase::Continue, &[Pass::Pods, Pass::Reissue]),
        (Stage::Distrusting, Phase::Finish, &[Pass::Pods, Pass::Distrust]),
        (Stage::Done, Phase::Finish, &[Pass::Pods, Pass::Distrust, Pass::Clean]),
    ] {
        for pass in passes {
            assert_eq!(Lab::at(stage).does(phase, *pass), [] as [String; 0], "{phase:?} {pass:?}");
        }
    }
}

#[test]
fn the_new_are_staged_then_trusted_one_control_plane_after_the_other() {
    let staged = Lab::at(Stage::Old).does(Phase::Start, Pass::Stage);
    assert_eq!(staged.len(), 6, "{staged:?}");
    assert_eq!(of(&staged, "cp2"), ["rotate.backup", "rotate.stage"]);
    let lab = Lab::at(Stage::Staged);
    assert_eq!(lab.does(Phase::Start, Pass::Stage), [] as [String; 0]);
    let plan = lab.plan(Phase::Start, Pass::Spread, false, |_| {});
    let told = told(&plan);
    let around = [
        "rotate.trust",
        "rotate.others",
        "rotate.leader",
        "rotate.divert",
        "rotate.servers",
        "rotate.kubelet",
        "rotate.settled",
        "rotate.return",
    ];
    assert_eq!(of(&told, "cp2"), around);
    assert_eq!(of(&told, "w1"), ["rotate.trust", "rotate.kubelet", "rotate.settled"]);
    assert_eq!(of(&told, "cluster"), ["rotate.objects"]);
    let waits = |owner: &str, step: &str| -> Vec<Gate> {
        let found = plan.items().find(|(its, item)| its.to_string() == owner && item.step.as_str() == step);
        found.unwrap().1.waits.clone()
    };
    assert!(waits("cp2", "rotate.trust").contains(&Gate::Turn("cp1".parse().unwrap())));
    assert!(waits("w1", "rotate.trust").contains(&Gate::Turn("cp3".parse().unwrap())));
    assert_eq!(waits("cluster", "rotate.objects"), [Gate::Batch(0), Gate::AllPreflightPassed]);
    for (_, item) in plan.items() {
        kind::testing::change_parses(&item.verdict);
    }
    // The certificate that is added, and nothing else, is in the op.
    let text: String = format!("{:?}", plan.chains);
    assert!(!text.contains("PRIVATE KEY"));
}

#[test]
fn half_done_is_gone_on_with() {
    // One control plane has it behind it, of another a server was not restarted, a worker's kubeconfig is as it was.
    let mut lab = Lab::at(Stage::Trusting);
    lab.other("cp2", "since 0 etcd", "9");
    let old = public(&lab.old, SharedPath::CaCrt);
    lab.other("w1", "trust 10 /etc/kubernetes/kubelet.conf", &old);
    let told = lab.does(Phase::Start, Pass::Spread);
    assert!(of(&told, "cp1").is_empty() && of(&told, "cp3").is_empty());
    assert!(
        of(&told, "cp2").contains(&"rotate.servers".to_owned())
            && !of(&told, "cp2").contains(&"rotate.trust".to_owned())
    );
    assert_eq!(of(&told, "w1"), ["rotate.trust", "rotate.kubelet", "rotate.settled"]);
    // So it is not gone on with the next phase, and each is told what it lacks.
    let refused = lab.does(Phase::Continue, Pass::Reissue);
    assert_eq!(
        refused,
        [
            "cp2 !etcd runs since before it was told to trust them",
            "w1 !/etc/kubernetes/kubelet.conf does not trust the new authority"
        ]
    );
}

#[test]
fn everything_is_signed_anew() {
    let mut lab = Lab::at(Stage::Trusting);
    let told = lab.does(Phase::Continue, Pass::Reissue);
    let wanted = [
        "rotate.authority",
        "rotate.leaves",
        "rotate.others",
        "rotate.leader",
        "rotate.divert",
        "rotate.servers",
        "rotate.kubelet",
        "rotate.settled",
        "rotate.return",
    ];
    assert_eq!(of(&told, "cp1"), wanted);
    assert_eq!(of(&told, "w1"), ["rotate.kubelet", "rotate.settled"]);
    assert_eq!(of(&told, "cluster"), ["rotate.tokens"]);
    lab.set("cp1", Stage::Reissued);
    let told = lab.does(Phase::Continue, Pass::Reissue);
    assert!(of(&told, "cp1").is_empty(), "{told:?}");
    assert_eq!(of(&told, "cp2"), wanted);
    // What is on the disk is not yet what is shown.
    let own = leaf(&lab.new, SharedPath::CaCrt, SharedPath::CaKey);
    lab.other("cp1", "file 15 /etc/kubernetes/pki/apiserver.crt", &own);
    assert!(of(&lab.does(Phase::Continue, Pass::Reissue), "cp1").contains(&"rotate.servers".to_owned()));
    // `start` does not go back, nor `finish` ahead.
    assert_eq!(of(&lab.does(Phase::Start, Pass::Spread), "cp1"), ["!the new authorities sign here already"]);
    let early = lab.does(Phase::Finish, Pass::Distrust);
    assert_eq!(of(&early, "w1"), ["!its kubelet has a certificate of the old authority"]);
    assert!(
        of(&early, "cp2").contains(&"!/etc/kubernetes/pki/apiserver.crt is not signed by the new authority".to_owned())
    );
    assert!(of(&early, "cp1").contains(&"!port 6443 does not show /etc/kubernetes/pki/apiserver.crt".to_owned()));
}

#[test]
fn pods_that_have_not_read_it_stand_in_the_way() {
    let mut lab = Lab::at(Stage::Trusting);
    lab.trusting.pods.push(pod("shop", "web", 99));
    lab.trusting.pods.push(TrustingPod { workload: None, ..pod("shop", "job", 50) });
    let told_of = |restart, lab: &Lab| told(&lab.plan(Phase::Continue, Pass::Pods, restart, |_| {}));
    assert_eq!(
        told_of(false, &lab),
        ["cluster !2 pods read whom to trust before the new authority was: pod shop/job, Deployment shop/web (1)"]
    );
    assert_eq!(told_of(true, &lab), ["cluster !nothing makes these pods anew: pod shop/job"]);
    lab.trusting.pods.pop();
    assert_eq!(told_of(true, &lab), ["cluster rotate.pods"]);
    assert_eq!(lab.does(Phase::Finish, Pass::Pods)[0], "cp1 !its kubelet has a certificate of the old authority");
}

#[test]
fn the_old_go_last_and_their_keys_after_them() {
    let lab = Lab::at(Stage::Reissued);
    let told = lab.does(Phase::Finish, Pass::Distrust);
    assert_eq!(of(&told, "w1"), ["rotate.trust", "rotate.kubelet", "rotate.settled"]);
    assert_eq!(of(&told, "cluster"), ["rotate.identity", "rotate.objects"]);
    let lab = Lab::at(Stage::Distrusting);
    assert_eq!(
        lab.does(Phase::Finish, Pass::Clean),
        ["cp1 rotate.clean", "cp2 rotate.clean", "cp3 rotate.clean", "cluster rotate.forget"]
    );
    // Killed between two of them.
    let mut lab = Lab::at(Stage::Distrusting);
    lab.set("cp1", Stage::Done);
    assert_eq!(lab.does(Phase::Finish, Pass::Distrust), [] as [String; 0]);
    assert_eq!(of(&lab.does(Phase::Finish, Pass::Clean), "cp2"), ["rotate.clean"]);
}

#[test]
fn nothing_is_done_on_what_is_not_known() {
    let silent = |observations: &mut BTreeMap<NodeName, Observation>| {
        observations.insert("w1".parse().unwrap(), Observation::Unknown { error: "timed out".into(), hint: None });
    };
    for (stage, phase) in
        [(Stage::Old, Phase::Start), (Stage::Trusting, Phase::Continue), (Stage::Reissued, Phase::Finish)]
    {
        let plan = Lab::at(stage).plan(phase, phase.passes()[0], false, silent);
        assert_eq!(told(&plan), ["w1 !what it trusts is not known: timed out"]);
    }
    let begun = Lab::at(Stage::Old).does(Phase::Continue, Pass::Pods);
    assert_eq!(begun, ["cluster !no control plane keeps new authorities: nothing was begun"]);
    let mut lab = Lab::at(Stage::Trusting);
    lab.trusting.record = None;
    lab.trusting.namespaces.insert("late".into(), None);
    assert_eq!(
        lab.does(Phase::Continue, Pass::Reissue),
        [
            "cluster !kube-root-ca.crt of namespace late lacks the new authority",
            "cluster !it was not noted since when all trust the new authority"
        ]
    );
    // Two control planes with different new ones: nobody can know which is right.
    let mut lab = Lab::at(Stage::Staged);
    let third = authorities(99);
    lab.other("cp3", &format!("file 10 {FOLDER}/new/ca.crt"), &public(&third, SharedPath::CaCrt));
    assert!(lab.does(Phase::Start, Pass::Spread)[0].contains("otherwise than another control plane does"));
}
