use std::collections::BTreeSet;

use super::*;
use crate::{
    kind::testing,
    model::{
        cluster::ClusterSpec,
        encryption::{EncryptionProvider, FLAG, PATH},
        etcd::EtcdLayout,
        facts::{Encryption, EncryptionFile},
        live::LiveNode,
        observe::{Observation, Seen},
    },
    plan::expand,
    playbook, render,
};

const K1: &str = "key1-00000001";
const K2: &str = "key2-00000002";
const NONE: &[&str] = &[];
const SECOND: &[&str] = &["identity", K1];
const FIRST: &[&str] = &[K1, "identity"];

/// A cluster of three control planes and a worker whose control planes have files with these providers.
struct World {
    spec: ClusterSpec,
    files: [Option<&'static [&'static str]>; 3],
    flag: bool,
    pending: bool,
    live: Live,
    /// Nobody carries a cluster, and a backup's snapshot lies on the first one.
    restoring: bool,
}

impl World {
    fn of(files: [&'static [&'static str]; 3]) -> Self {
        let mut spec = testing::spec();
        spec.encryption = Some(EncryptionProvider::Secretbox);
        let mut live = Live { kubeadm_config: Some(render::kubeadm::cluster(&spec)), ..Live::default() };
        for node in &spec.nodes {
            let mut object = LiveNode { ready: true, ..LiveNode::default() };
            if node.is_control_plane() {
                object.labels.insert("node-role.kubernetes.io/control-plane".into(), String::new());
            }
            live.nodes.insert(node.name.clone(), object);
        }
        Self { spec, files: files.map(Some), flag: true, pending: false, live, restoring: false }
    }

    fn with<T>(&self, ask: impl FnOnce(&Input<'_>) -> T) -> T {
        let playbook = playbook::builtin();
        let steps = self.spec.nodes.iter().map(|node| {
            let steps = expand::node_steps(&playbook, &self.spec, node);
            (node.name.clone(), steps.into_iter().filter(|step| step.id.as_str() == "endpoint.encryption").collect())
        });
        let observations = self.spec.nodes.iter().enumerate().map(|(at, node)| {
            let mut seen = Seen::default();
            let there = &mut seen.facts.kubernetes;
            if node.is_control_plane() {
                there.readyz = Some(200);
                there.manifests = vec!["kube-apiserver.yaml".into()];
                let Some(providers) = self.files[at] else {
                    let error = "timed out".to_owned();
                    return (node.name.clone(), Observation::Unknown { error, hint: None });
                };
                let file = (!providers.is_empty()).then(|| EncryptionFile {
                    providers: providers.iter().map(ToString::to_string).collect(),
                    sha256: providers.join(","),
                    mode: "600 root:root".into(),
                });
                there.restoring = self.restoring && at == 0;
                there.encryption = Some(Encryption { file, flag: self.flag, pending: self.pending });
            }
            (node.name.clone(), Observation::Seen(Box::new(seen)))
        });
        let cluster_steps = expand::cluster_steps(&playbook, &self.spec);
        ask(&Input {
            spec: &self.spec,
            steps: &steps.collect(),
            cluster_steps: &cluster_steps,
            observations: &observations.collect(),
            cluster: &match self.restoring {
                true => Cluster::Absent,
                false => Cluster::Live(Box::new(self.live.clone())),
            },
        })
    }

    fn up(&self) -> Plan {
        self.with(build::build)
    }

    fn rotate(&self, begun: bool) -> Plan {
        self.with(|input| rotate(input, begun))
    }
}

/// What changes of the keys, by the steps of cp2 and of the cluster.
fn steps(plan: &Plan) -> Vec<String> {
    let ours = |owner: &Owner| *owner == Owner::Cluster || owner.to_string() == "cp2";
    let all = plan
        .items()
        .filter(|(owner, item)| ours(owner) && item.verdict.is_change() && item.step.as_str().contains("encryption"));
    all.map(|(_, item)| item.step.as_str().trim_start_matches("encryption.").to_owned()).collect()
}

fn refusals(plan: &Plan) -> BTreeSet<&str> {
    plan.refusals().map(|(_, _, refusal)| refusal.reason.as_str()).collect()
}

/// Every gate that is waited for is opened by somebody, and not by one who waits behind it.
fn comes_to_its_end(plan: &Plan) {
    let mut open: BTreeSet<Gate> = [Gate::AllPreflightPassed].into();
    let mut at = vec![0; plan.chains.len()];
    loop {
        let before = at.clone();
        for (chain, at) in plan.chains.iter().zip(&mut at) {
            while let Some(item) = chain.items.get(*at)
                && item.waits.iter().all(|gate| open.contains(gate))
            {
                *at += 1;
            }
        }
        let done = |gate: &Gate| {
            let mut openers = plan.chains.iter().zip(&at).flat_map(|(chain, at)| {
                chain
                    .items
                    .iter()
                    .enumerate()
                    .filter(|(_, item)| item.opens.as_ref() == Some(gate))
                    .map(move |(i, _)| i < *at)
            });
            openers.all(|done| done)
        };
        let opened: Vec<Gate> =
            plan.items().filter_map(|(_, item)| item.opens.clone()).filter(|gate| done(gate)).collect();
        open.extend(opened);
        if plan.chains.iter().zip(&at).all(|(chain, at)| chain.owner == Owner::Cluster || *at == chain.items.len()) {
            open.insert(Gate::NodesSettled);
        }
        if plan.chains.iter().zip(&at).all(|(chain, at)| *at == chain.items.len()) {
            return;
        }
        assert_ne!(before, at, "nobody can go on");
    }
}

#[test]
fn turning_on_goes_on_from_wherever_it_is() {
    let rest = ["loaded", "backup", "first", "done", "rewrite"];
    for (files, wanted) in [
        ([NONE, NONE, NONE], [&["endpoint.encryption"], &rest[..]].concat()),
        ([SECOND, NONE, SECOND], [&["endpoint.encryption"], &rest[..]].concat()),
        ([SECOND, SECOND, SECOND], rest.to_vec()),
        ([FIRST, SECOND, SECOND], rest.to_vec()),
        ([FIRST, FIRST, FIRST], vec![]),
    ] {
        let plan = World::of(files).up();
        assert_eq!(steps(&plan), wanted, "{files:?}");
        assert_eq!(plan.refusals().count(), 0);
        comes_to_its_end(&plan);
    }
    let mut pending = World::of([FIRST, FIRST, FIRST]);
    pending.pending = true;
    assert_eq!(steps(&pending.up()), ["done", "rewrite"]);
    comes_to_its_end(&pending.up());
}

#[test]
fn plain_secrets_of_a_backup_are_written_anew() {
    let steps_of = |files, pending| {
        let mut world = World::of(files);
        (world.restoring, world.pending) = (true, pending);
        let plan = world.up();
        let all =
            plan.items().filter(|(_, item)| item.verdict.is_change() && item.step.as_str().contains("encryption"));
        all.map(|(owner, item)| format!("{owner} {}", item.step)).collect::<Vec<_>>()
    };
    let rest = ["cp1 encryption.done", "cluster encryption.rewrite"];
    assert_eq!(steps_of([NONE; 3], false), [&["cp1 endpoint.encryption"], &rest[..]].concat());
    assert_eq!(steps_of([FIRST, NONE, NONE], true), rest);
    // The backup had its keys.
    assert!(steps_of([FIRST, NONE, NONE], false).is_empty());
}

#[test]
fn nothing_is_written_before_all_can_read_and_hold_a_backup() {
    for plan in [World::of([NONE, NONE, NONE]).up(), World::of([FIRST, FIRST, FIRST]).rotate(false)] {
        for (_, item) in plan.items() {
            let wanted = match item.step.as_str() {
                "encryption.backup" => KeysGate::Readable,
                "encryption.first" => KeysGate::Kept,
                "encryption.rewrite" => KeysGate::Writing,
                "encryption.only" | "encryption.done" => KeysGate::Rewritten,
                _ => continue,
            };
            assert!(item.waits.contains(&Gate::Keys(wanted)), "{} does not wait for {wanted:?}", item.step);
        }
        let opens = |gate| plan.items().filter(|(_, item)| item.opens == Some(Gate::Keys(gate))).count();
        assert_eq!([KeysGate::Readable, KeysGate::Kept, KeysGate::Writing].map(opens), [3, 3, 3]);
    }
}

#[test]
fn a_rotation_goes_on_from_wherever_it_is() {
    const OLD_NEW: &[&str] = &[K1, K2, "identity"];
    const NEW_OLD: &[&str] = &[K2, K1, "identity"];
    const ONLY: &[&str] = &[K2, "identity"];
    let all = ["second", "backup", "first", "only", "rewrite"];
    for (files, wanted) in [
        ([FIRST, FIRST, FIRST], &all[..]),
        ([FIRST, OLD_NEW, FIRST], &all),
        ([OLD_NEW, OLD_NEW, OLD_NEW], &all),
        ([NEW_OLD, OLD_NEW, OLD_NEW], &all),
        ([NEW_OLD, NEW_OLD, NEW_OLD], &["first", "only", "rewrite"]),
        ([ONLY, NEW_OLD, NEW_OLD], &["only"]),
    ] {
        let world = World::of(files);
        for begun in [false, true] {
            if files == [FIRST, FIRST, FIRST] && begun {
                continue;
            }
            let plan = world.rotate(begun);
            assert_eq!(steps(&plan), wanted, "{files:?}");
            comes_to_its_end(&plan);
        }
        // `up` leaves it alone, and says so.
        let up = world.up();
        assert!(steps(&up).is_empty() && up.refusals().count() == 0, "{files:?}");
        assert_eq!(up.notices.iter().any(|notice| notice.text.contains("is being rotated")), files != [FIRST; 3]);
    }
    assert!(!World::of([ONLY, ONLY, ONLY]).rotate(true).has_changes());
    assert!(World::of([ONLY, ONLY, ONLY]).rotate(false).has_changes());
}

#[test]
fn what_is_not_fit_is_refused() {
    let refused = |world: &World, word: &str| {
        let plan = world.rotate(false);
        assert!(refusals(&plan).iter().any(|reason| reason.contains(word)), "{word}: {:?}", refusals(&plan));
    };
    refused(&World::of([NONE, NONE, NONE]), "not encrypted yet");
    refused(&World::of([SECOND, SECOND, SECOND]), "being turned on");
    refused(&World::of([FIRST, FIRST, NONE]), "cp3 has other keys");
    refused(&World::of([FIRST, &[K2, "identity"], SECOND]), "not certain");
    let mut world = World::of([FIRST, FIRST, FIRST]);
    world.pending = true;
    refused(&world, "being turned on");
    let mut world = World::of([FIRST, FIRST, FIRST]);
    world.flag = false;
    refused(&world, "lacks the flags");
    let mut world = World::of([FIRST, FIRST, FIRST]);
    world.live.kubeadm_config.as_mut().unwrap()["apiServer"]["extraArgs"] = serde_json::json!({});
    refused(&world, "kubeadm's configuration lacks");
    let mut world = World::of([FIRST, FIRST, FIRST]);
    world.files[2] = None;
    refused(&world, "cp3 did not answer");
    let mut world = World::of([FIRST, FIRST, FIRST]);
    let other = world.live.nodes[&"cp1".parse::<NodeName>().unwrap()].clone();
    world.live.nodes.insert("cp9".parse().unwrap(), other);
    refused(&world, "cp9");
}

#[test]
fn what_is_on_is_never_turned_off_by_silence() {
    let mut world = World::of([FIRST, FIRST, FIRST]);
    world.spec.encryption = None;
    assert!(refusals(&world.up()).iter().all(|reason| reason.contains("no [encryption]")));
    assert_eq!(refusals(&world.up()).len(), 1);
    // Flags alone, or the cluster's own configuration alone, are enough.
    world.files = [Some(NONE); 3];
    assert_eq!(refusals(&world.up()).len(), 1);
    world.flag = false;
    assert_eq!(refusals(&world.up()).len(), 1);
    // What was begun and is in no use yet may be left.
    world.files = [Some(SECOND); 3];
    world.live.kubeadm_config = Some(serde_json::json!({"apiServer": {"extraArgs": {FLAG: "/my/own"}}}));
    assert_eq!(refusals(&world.up()).len(), 0);
    world.live.kubeadm_config = Some(serde_json::json!({"apiServer": {"extraArgs": [{"name": FLAG, "value": PATH}]}}));
    assert_eq!(refusals(&world.up()).len(), 1);
}

#[test]
fn drift_is_mended_on_the_one_that_differs() {
    for (files, changed) in
        [([FIRST, NONE, FIRST], true), ([NONE, FIRST, FIRST], false), ([FIRST, &["x"], FIRST], true)]
    {
        let plan = World::of(files).up();
        assert_eq!(steps(&plan) == ["endpoint.encryption"], changed, "{files:?}: {:?}", steps(&plan));
        assert_eq!(plan.refusals().count(), 0);
    }
    assert!(refusals(&World::of([FIRST, &["x"], NONE]).up()).iter().next().unwrap().contains("not certain"));
}

/// Control planes take the steps, whichever way etcd runs: a witness has no keys, and a snapshot is taken with what the member
/// beside the control plane is asked with.
#[test]
fn etcd_may_be_a_service() {
    let mut world = World::of([FIRST; 3]);
    world.spec.etcd = EtcdLayout::Service;
    world.spec.witness = Some("w1".parse().unwrap());
    world.live.kubeadm_config = Some(render::kubeadm::cluster(&world.spec));
    let plan = world.rotate(false);
    assert_eq!(steps(&plan), ["second", "backup", "first", "only", "rewrite"]);
    assert!(plan.items().all(|(owner, _)| owner.to_string() != "w1"));
    let backups = plan.items().filter(|(_, item)| item.step.as_str() == "encryption.backup");
    let (member, stacked) = (EtcdLayout::Service.client_certificate().0, EtcdLayout::Stacked.client_certificate().0);
    for (_, item) in backups {
        let change = testing::change(item.verdict.clone());
        let script = testing::script(&change, 0);
        assert!(script.contains(member) && !script.contains(stacked), "{script}");
        assert!(script.contains(EtcdLayout::AUTHORITY_FOLDER.trim_start_matches('/')), "{script}");
    }
}
