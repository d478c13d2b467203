//! Law: Secrets are encrypted in etcd from the first write, or from the day that it is asked for; no Secret is lost and none is
//! unreadable while that or its key changes, wherever the program dies; and a backup brings back what can be read.

mod writer;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::lab::{CONTROL_PLANES, Lab, Shape, kills::through_most_kills, probe::Prober, until};
use writer::Writer;

const FILE: &str = "/etc/kubernetes/pki/encryption/config.yaml";
const ON: &str = "\n[encryption]\nprovider = \"secretbox\"\n";

/// What etcd has of every Secret: who wrote it, as `key1-3fa9c1d2`, or `plain`.
fn written_by(lab: &Lab) -> BTreeSet<String> {
    // From /registry/secrets/ to /registry/secrets0; only the beginning of each value.
    let ask = r#"sudo curl -fsS --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key -d '{"key":"L3JlZ2lzdHJ5L3NlY3JldHMv","range_end":"L3JlZ2lzdHJ5L3NlY3JldHMw"}' https://127.0.0.1:2379/v3/kv/range | sed 's/"value":"\([A-Za-z0-9+\/=]\{0,80\}\)[A-Za-z0-9+\/=]*"/"value":"\1"/g'"#;
    let text = lab.ssh("cp1", ask).success();
    let answer: Value = serde_json::from_str(&text).expect("etcd answers with JSON");
    let all = answer["kvs"].as_array().expect("there are Secrets");
    assert!(!all.is_empty(), "{text}");
    let by = |kv: &Value| {
        let value = BASE64_STANDARD.decode(kv["value"].as_str().expect("a value")).expect("base64");
        let text = String::from_utf8_lossy(&value).into_owned();
        text.strip_prefix("k8s:enc:secretbox:v1:")
            .map_or("plain".to_owned(), |rest| rest.split(':').next().expect("a key's name").to_owned())
    };
    all.iter().map(by).collect()
}

/// The only one who wrote any Secret that etcd has.
fn key(lab: &Lab) -> String {
    let all = written_by(lab);
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().expect("one")
}

fn turn_on(lab: &Lab) -> String {
    let inventory = lab.inventory().display().to_string();
    let text = fs::read_to_string(&inventory).expect("an inventory");
    fs::write(&inventory, text.clone() + ON).expect("written");
    text
}

fn files_are_alike_and_roots_alone(lab: &Lab) {
    let told: BTreeSet<String> = CONTROL_PLANES
        .iter()
        .map(|node| lab.ssh(node, &format!("sudo sh -c 'stat -c \"%a %U %G\" {FILE}; sha256sum < {FILE}'")).success())
        .collect();
    assert!(told.len() == 1 && told.iter().all(|one| one.starts_with("600 root root")), "{told:?}");
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn secrets_are_encrypted_and_keys_change_under_writers() {
    let lab = Lab::up("secrets-at-rest", Shape::of(3, 1));
    let inventory = lab.inventory().display().to_string();
    let plain = turn_on(&lab);
    let up = lab.kbootstrap(&["up", &inventory, "--yes"]);
    assert!(up.ok(), "{up}");
    // A cluster that was just formed has none, once its join token is gone.
    lab.kubectl("cp1", "create secret generic first --from-literal=a=b").success();
    let first = key(&lab);
    assert!(first.starts_with("key1-"), "{first}");
    files_are_alike_and_roots_alone(&lab);

    // What is on is not turned off by silence.
    let on = fs::read_to_string(&inventory).expect("an inventory");
    fs::write(&inventory, &plain).expect("written");
    let off = lab.kbootstrap(&["up", &inventory, "--yes"]);
    assert!(off.code == Some(1) && format!("{}{}", off.stdout, off.stderr).contains("no [encryption]"), "{off}");
    fs::write(&inventory, on).expect("written");

    let writer = Writer::start(&lab, "w1");
    let prober = Prober::start(&lab, "w1");
    through_most_kills(
        &lab,
        &["secrets", "rotate-key", &inventory, "--yes"],
        &[
            ("op-started", "cp2", "encryption.second"),
            ("step-finished", "cp3", "encryption.backup"),
            ("op-started", "cp1", "encryption.first"),
            ("op-started", "cluster", "encryption.rewrite"),
            ("step-finished", "cluster", "encryption.rewrite"),
        ],
    );
    prober.end_well(500);
    writer.end_well(100);
    let second = key(&lab);
    assert!(second.starts_with("key"), "{second}");
    assert_ne!(second, first);
    files_are_alike_and_roots_alone(&lab);
    lab.assert_converged();

    // A machine in the place of a control plane gets the present key.
    let replaced = lab.kbootstrap(&["node", "replace", &inventory, "cp3", "--yes", "--delete-local-data"]);
    assert!(replaced.ok(), "{replaced}");
    files_are_alike_and_roots_alone(&lab);
    assert_eq!(key(&lab), second);
    lab.assert_converged();
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn encryption_is_turned_on_while_the_cluster_is_at_work() {
    let lab = Lab::formed("secrets-turned-on");
    let inventory = lab.inventory().display().to_string();
    let make = "for i in $(seq 40); do sudo kubectl --kubeconfig /etc/kubernetes/admin.conf create secret generic old-$i --from-literal=v=$i; done > /dev/null";
    lab.ssh("cp1", make).success();
    assert_eq!(key(&lab), "plain");
    turn_on(&lab);
    let writer = Writer::start(&lab, "w1");
    let prober = Prober::start(&lab, "w2");
    through_most_kills(
        &lab,
        &["up", &inventory, "--yes"],
        &[
            ("step-finished", "cp1", "kubernetes.static-pods"),
            ("step-finished", "cp2", "encryption.backup"),
            ("op-started", "cp3", "encryption.first"),
            ("op-started", "cluster", "encryption.rewrite"),
        ],
    );
    prober.end_well(500);
    writer.end_well(100);
    let first = key(&lab);
    assert!(first.starts_with("key1-"), "{first}");
    files_are_alike_and_roots_alone(&lab);
    for node in CONTROL_PLANES {
        let kept = format!(
            "sudo sh -c 'tar -xzOf /var/lib/kbootstrap/backup/encryption-key1/kubernetes.tar.gz {} | grep -c {first}'",
            FILE.trim_start_matches('/')
        );
        assert_eq!(lab.ssh(node, &kept).success(), "1", "the backup on {node} has no key");
    }
    until("the plan is empty", Duration::from_secs(60), || lab.kbootstrap(&["plan", &inventory, "--exit-code"]).ok());
    lab.assert_converged();

    // What is changed by hand on one is named there, and mended there.
    lab.ssh("cp2", &format!("sudo sed -i 's/secret: ..../secret: AAAA/' {FILE}")).success();
    lab.ssh("cp3", &format!("sudo chmod 644 {FILE}")).success();
    let plan = lab.kbootstrap(&["plan", &inventory, "--exit-code"]);
    assert!(plan.code == Some(3) && plan.stdout.matches(FILE).count() >= 2, "{plan}");
    let mended = lab.kbootstrap(&["up", &inventory, "--yes"]);
    assert!(mended.ok(), "{mended}");
    files_are_alike_and_roots_alone(&lab);
    lab.assert_converged();
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn a_backup_brings_the_keys_back() {
    let lab = Lab::up("secrets-restored", Shape::of(1, 1));
    let inventory = lab.inventory().display().to_string();
    let plain = turn_on(&lab);
    let up = lab.kbootstrap(&["up", &inventory, "--yes"]);
    assert!(up.ok(), "{up}");
    lab.kubectl("cp1", "create secret generic kept --from-literal=v=value").success();
    let before = key(&lab);
    let (recipient, identity) = lab.age_key("secrets.key");
    let archive = lab.folder().join("secrets.backup.age").display().to_string();
    let taken = lab.kbootstrap(&["backup", &inventory, "--to", &archive, "--recipient", &recipient]);
    assert!(taken.ok(), "{taken}");
    lab.wipe("cp1");
    let restore = ["restore", &inventory, "--from", &archive, "--identity", &identity, "--yes-restore", lab.cluster()];
    let on = fs::read_to_string(&inventory).expect("an inventory");
    fs::write(&inventory, plain).expect("written");
    let refused = lab.kbootstrap(&restore);
    assert!(refused.code == Some(2) && refused.stderr.contains(&before), "{refused}");
    fs::write(&inventory, on).expect("written");
    let restored = lab.kbootstrap(&restore);
    assert!(restored.ok(), "{restored}");
    assert_eq!(lab.kubectl("cp1", "get secret kept -o jsonpath={.data.v}").success(), BASE64_STANDARD.encode("value"));
    assert_eq!(key(&lab), before);
    lab.assert_converged();
}
