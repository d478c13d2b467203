//! Law: etcd becomes a service of its own while its cluster serves, with its members as they are; killed at any moment, the
//! same command goes on, and until it has come to its end nothing else changes the cluster.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::running::{Running, is};
use crate::lab::{CONTROL_PLANES, Lab, Shape, probe::Prober, until};

/// The longest that one run may take.
const RUN: Duration = Duration::from_secs(900);

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn etcd_is_converted_through_kills_and_nobody_notices() {
    let lab = Lab::formed("convert");
    let inventory = lab.inventory().display().to_string();
    let before = fs::read_to_string(&inventory).expect("an inventory");
    let members = members(&lab);
    lab.kubectl("cp1", "create configmap before --from-literal=a=b").success();
    let plan = lab.kbootstrap(&["etcd", "convert", &inventory, "--plan"]).success();
    assert!(plan.contains("there is no way back"), "{plan}");
    assert_eq!(lab.kbootstrap(&["plan", &inventory, "--exit-code"]).code, Some(0), "showing it changed something");
    let unsaid = lab.kbootstrap(&["etcd", "convert", &inventory]);
    assert!(!unsaid.ok() && unsaid.stderr.contains("--yes"), "it asks: {unsaid}");

    let prober = Prober::start(&lab, "w1");
    let began = Instant::now();
    // In the midst of a takeover, whose batch then comes to its end by itself.
    let first = killed(&lab, starts, Duration::from_secs(1));
    refused_in_between(&lab, &inventory);
    // Right after another one's.
    let second = killed(
        &lab,
        |event| {
            event["event"] == "step-finished" && event["outcome"] == "changed" && event["step"] == "convert.takeover"
        },
        Duration::ZERO,
    );
    assert_ne!(first, second, "it went back to where it had been");
    refused_in_between(&lab, &inventory);
    convert(&lab).with(0);
    println!("  converted in {:.0} s with two kills", began.elapsed().as_secs_f32());
    prober.end_well(150);

    is_converted(&lab, &CONTROL_PLANES);
    assert_eq!(self::members(&lab), members, "its membership has changed");
    let said = fs::read_to_string(&inventory).expect("an inventory");
    assert!(said.contains("layout = \"service\"") && said.starts_with(before.trim_end()), "{said}");
    let kept = lab.kubectl("cp1", "get configmap before -o 'jsonpath={.data.a}'").success();
    assert_eq!(kept, "b");
    let pods = lab.kubectl("cp1", "-n kube-system get pods -l component=etcd -o name").success();
    assert_eq!(pods, "");
    let again = lab.kbootstrap(&["etcd", "convert", &inventory]);
    assert!(again.ok(), "nothing is left to do, and nothing to ask: {again}");
    // What works with the layout: new certificates, and one more conversion's worth of restarts.
    let renewed = lab.kbootstrap(&["certs", "renew", &inventory, "--yes"]);
    assert!(renewed.ok(), "{renewed}");
    is_converted(&lab, &CONTROL_PLANES);
}

/// Two members are worse than one, and so a witness joins them.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn two_that_are_left_of_three_get_a_witness() {
    let lab = Lab::formed("convert-two");
    let inventory = lab.inventory().display().to_string();
    let removed = lab.kbootstrap(&["node", "remove", &inventory, "cp3", "--yes", "--delete-local-data"]);
    assert!(removed.ok(), "{removed}");
    let prober = Prober::start(&lab, "w2");
    convert(&lab).with(0);
    prober.end_well(100);
    is_converted(&lab, &["cp1", "cp2"]);
    let members = members(&lab);
    let named = |name: &str| members.iter().any(|member| member.contains(&format!("\"{name}\"")));
    assert!(members.len() == 3 && named("cp1") && named("cp2") && (named("w1") || named("w2")), "{members:?}");
}

/// The API itself is away while its only member of etcd is between; with the power gone at that moment it stays away.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn the_only_member_is_converted_though_the_power_goes() {
    let lab = Lab::up("convert-one", Shape::of(1, 1));
    let inventory = lab.inventory().display().to_string();
    let up = lab.kbootstrap(&["up", &inventory]);
    assert!(up.ok(), "{up}");
    let members = members(&lab);
    lab.kubectl("cp1", "create configmap before --from-literal=a=b").success();
    let mut run = start(&lab);
    assert!(run.until(RUN, starts), "{:?}", run.seen.last());
    // The manifest lies aside, and its pod may still be ending.
    until("the member is being taken over", Duration::from_secs(30), || {
        lab.ssh("cp1", "test -e /etc/kubernetes/etcd.yaml.kbootstrap").ok()
    });
    lab.kill("cp1");
    run.kill();
    lab.start("cp1");
    convert(&lab).with(0);
    is_converted(&lab, &["cp1"]);
    assert_eq!(self::members(&lab), members);
    lab.kubectl("cp1", "get configmap before").success();
}

fn starts(event: &Value) -> bool {
    CONTROL_PLANES.iter().any(|node| is(event, "op-started", node, "convert.takeover"))
}

fn start(lab: &Lab) -> Running {
    let inventory = lab.inventory().display().to_string();
    Running::start(lab, &["etcd", "convert", &inventory, "--yes"])
}

/// A run to its end.
fn convert(lab: &Lab) -> crate::lab::running::Ended {
    start(lab).end(RUN)
}

/// Starts it, and kills it so long after an event; gives whose that was.
fn killed(lab: &Lab, moment: impl Fn(&Value) -> bool, delay: Duration) -> Value {
    let mut run = start(lab);
    assert!(run.until(RUN, moment), "it never came to it: {:?}", run.seen.last());
    let owner = run.seen.last().expect("an event")["owner"].clone();
    thread::sleep(delay);
    run.kill();
    println!("  killed at {owner}");
    owner
}

/// Whatever else would change the cluster, or work with its layout, names the way out.
fn refused_in_between(lab: &Lab, inventory: &str) {
    // The dead run's batch comes to its end first: what is at work is waited for, not judged.
    until("its batch has ended", Duration::from_secs(120), || {
        CONTROL_PLANES.iter().all(|node| {
            lab.ssh(node, "systemctl list-units --plain --no-legend 'kbootstrap-batch-*'").success().is_empty()
        })
    });
    for command in [&["plan"][..], &["up", "--yes"], &["certs", "renew", "--yes"], &["etcd", "defrag", "--yes"]] {
        // The dead run's locks may be held for a moment yet.
        until(&format!("{command:?} is refused"), Duration::from_secs(30), || {
            let outcome = lab.kbootstrap(&[command, &[inventory]].concat());
            let all = format!("{}{}", outcome.stdout, outcome.stderr);
            outcome.code == Some(1) && all.contains("kbootstrap etcd convert goes on")
        });
    }
    let rows = lab.kbootstrap(&["etcd", "members", inventory]);
    assert!(rows.ok(), "members of both kinds answer: {rows}");
}

/// Id, name and address of every member.
fn members(lab: &Lab) -> Vec<String> {
    let members = lab.etcd_members("cp1").into_iter();
    let mut all: Vec<String> =
        members.map(|member| format!("{} {} {}", member["ID"], member["name"], member["peerURLs"])).collect();
    all.sort();
    all
}

#[track_caller]
fn is_converted(lab: &Lab, control_planes: &[&str]) {
    let inventory = lab.inventory().display().to_string();
    until("the plan is empty", Duration::from_secs(90), || lab.kbootstrap(&["plan", &inventory, "--exit-code"]).ok());
    let config = lab.kubectl("cp1", "-n kube-system get configmap kubeadm-config -o yaml").success();
    assert!(config.contains("external:") && !config.contains("local:"), "{config}");
    for node in control_planes {
        assert_eq!(lab.ssh(node, "systemctl is-active kbootstrap-etcd.service").success().trim(), "active", "{node}");
        let left = "sudo sh -c 'ls -d /etc/kubernetes/manifests/etcd.yaml /etc/kubernetes/etcd.yaml.kbootstrap \
                    /var/lib/etcd/member /etc/kubernetes/pki/etcd/server.key /etc/kubernetes/pki/etcd/ca.key 2> /dev/null; true'";
        assert_eq!(lab.ssh(node, left).success(), "", "left on {node}");
    }
    let rows = lab.kbootstrap(&["etcd", "members", &inventory]).success();
    for node in control_planes {
        assert!(rows.contains(node), "{rows}");
    }
    let status = lab.kbootstrap(&["status", &inventory]);
    assert!(status.ok(), "{status}");
}
