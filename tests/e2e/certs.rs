//! Law: certificates are renewed unnoticed while the cluster lives, and bring it back when all of them have ended.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Lab, Shape, kills::through_most_kills, probe::Prober, until};

/// `node path` → serial of every certificate that signs nobody.
fn serials(lab: &Lab) -> BTreeMap<String, String> {
    let inventory = lab.inventory().display().to_string();
    let told = lab.kbootstrap(&["certs", "status", &inventory, "--output", "json"]);
    let told: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    let rows = told["certificates"].as_array().expect("certificates");
    let leaf = rows.iter().filter(|row| row["authority"] == false);
    leaf.map(|row| (format!("{} {}", row["node"], row["path"]), row["serial"].to_string())).collect()
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn certificates_are_renewed_before_they_end() {
    let lab = Lab::formed("certs");
    let before = serials(&lab);
    let prober = Prober::start(&lab, "w1");
    renew(&lab);
    prober.end_well(100);
    all_are_others(&before, &serials(&lab));
    lab.assert_converged();
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn certificates_are_renewed_when_all_have_ended() {
    let lab = Lab::formed("certs-ended");
    all_end_and_are_renewed(&lab);
    lab.assert_converged();
}

/// etcd's members show certificates of their own where it is a service, the witness's among them.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn those_of_a_witness_are_renewed_too() {
    let lab = Lab::up("certs-witness", Shape::of(2, 2));
    let up = lab.kbootstrap(&["up", &lab.inventory().display().to_string()]);
    assert!(up.ok(), "{up}");
    all_end_and_are_renewed(&lab);
    assert_eq!(lab.etcd_members("cp1").len(), 3);
}

fn all_end_and_are_renewed(lab: &Lab) {
    let inventory = lab.inventory().display().to_string();
    lab.end_certificates();
    until("nothing answers any more", Duration::from_secs(60), || !lab.kubectl("cp1", "get nodes").ok());
    let status = lab.kbootstrap(&["certs", "status", &inventory]);
    assert!(status.code == Some(1) && status.stdout.contains("expired"), "{status}");
    renew(lab);
    let all = lab.nodes().len();
    until("all nodes are back", Duration::from_secs(90), || {
        let nodes = lab.kubectl("cp1", "get nodes --no-headers").stdout;
        nodes.lines().filter(|line| line.contains(" Ready ")).count() == all
    });
    until("the plan is empty", Duration::from_secs(60), || lab.kbootstrap(&["plan", &inventory, "--exit-code"]).ok());
    let status = lab.kbootstrap(&["certs", "status", &inventory, "--fail-under", "300d"]);
    assert!(status.ok(), "{status}");
    let status = lab.kbootstrap(&["status", &inventory]);
    assert!(status.ok(), "{status}");
}

/// Killed wherever it is, the same command brings it to its end.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn renewals_come_through_kills() {
    let lab = Lab::formed("certs-killed");
    let inventory = lab.inventory().display().to_string();
    let before = serials(&lab);
    let prober = Prober::start(&lab, "w1");
    let kills = [
        ("step-finished", "cp1", "renew.divert"),
        ("op-started", "cp1", "renew.servers"),
        ("step-finished", "cp2", "renew.certificates"),
        ("op-started", "cp2", "renew.settled"),
        ("step-finished", "cp3", "renew.servers"),
    ];
    through_most_kills(&lab, &["certs", "renew", &inventory, "--yes", "--wait"], &kills);
    prober.end_well(100);
    all_are_others(&before, &serials(&lab));
    lab.assert_converged();
}

fn all_are_others(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    for (file, serial) in before {
        // A kubelet sees to its own.
        let own = file.contains("/var/lib/kubelet/") || file.contains("kubelet.conf");
        assert!(own || after[file] != *serial, "{file} is as it was");
    }
}

fn renew(lab: &Lab) {
    let inventory = lab.inventory().display().to_string();
    let began = Instant::now();
    let renewed = lab.kbootstrap(&["certs", "renew", &inventory, "--yes"]);
    assert!(renewed.ok(), "{renewed}");
    println!("renewed in {:.1} s", began.elapsed().as_secs_f32());
}
