//! Law: the connection, a node's power, its disk or a service fails while `up` is at work: what can go on goes on, the rest
//! ends in bounded time with an error that names node and step, and the same `up` again converges.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{
    Lab, Shape, long,
    running::{Running, is},
};

const RUN: Duration = Duration::from_secs(480);

fn reached(run: &mut Running, kind: &str, owner: &str, step: &str) {
    let found = run.until(RUN, |event| is(event, kind, owner, step));
    assert!(found, "no {kind} of {owner} {step}: {:?}", run.seen.iter().rev().take(3).collect::<Vec<_>>());
}

/// Ends every ssh connection of the operator with the node, as a restart of sshd by hand does at worst.
fn drop_connections(lab: &Lab, node: &str) {
    lab.lab("enter", &[node, "pkill", "-9", "-f", "^sshd: ubuntu"]);
}

/// What happens to a node in the midst of an op.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Its connections are lost, and new ones work.
    Dropped,
    /// Its network is away for 40 s.
    Cut,
    /// Its power is off for 10 s.
    Power,
}

/// Where it happens: apt, init and join.
const MOMENTS: [(&str, &str); 3] = [("w1", "packages.install"), ("cp1", "kubernetes.init"), ("cp3", "kubernetes.join")];

/// One run with these faults at these moments. Lost connections fail nothing; a node that lost its power fails alone, init
/// excepted, without which there is no cluster to join; the same command again converges.
fn formed_through(lab: &Lab, faults: [Fault; 3]) {
    println!("faults: {faults:?}");
    let mut run = Running::up(lab, &[]);
    let failures = std::thread::scope(|scope| {
        for ((node, step), fault) in MOMENTS.into_iter().zip(faults) {
            if !run.until(RUN, |event| is(event, "op-started", node, step) || event["event"] == "run-finished")
                || run.seen.last().is_some_and(|event| event["event"] == "run-finished")
            {
                break;
            }
            if node == "w1" {
                // Past preflight the disk of the other worker becomes full.
                scope.spawn(|| lab.fill("w2"));
            }
            scope.spawn(move || match fault {
                Fault::Dropped => drop_connections(lab, node),
                Fault::Cut => {
                    lab.cut_from(node, "lab");
                    std::thread::sleep(Duration::from_secs(40));
                    lab.heal(node);
                }
                Fault::Power => {
                    lab.kill(node);
                    std::thread::sleep(Duration::from_secs(10));
                    lab.start(node);
                }
            });
        }
        let began = Instant::now();
        let (code, failures) = finish(run);
        println!("ended with {code:?} {:.0} s after the last fault", began.elapsed().as_secs_f32());
        assert!(matches!(code, Some(1 | 4)), "w2 has no room");
        failures
    });
    assert!(failures.iter().any(|failure| failure.starts_with("w2 ")), "{failures:?}");
    for ((node, step), fault) in MOMENTS.into_iter().zip(faults) {
        let failed = failures.iter().any(|failure| failure.starts_with(&format!("{node} {step}")));
        assert!(!failed || fault == Fault::Power, "{node} {fault:?}: {failures:?}");
    }
    lab.unfill("w2");
    Running::up(lab, &[]).end(RUN).with(0);
    lab.assert_converged();
}

/// Connections lost, a network that is away for 40 s and a node without power, while apt, init and join are at work.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn a_lost_connection_ends_nothing_and_a_lost_node_only_itself() {
    let lab = Lab::up("outages", Shape::of(3, 2));
    let mut faults = [Fault::Cut, Fault::Dropped, Fault::Power];
    for round in 0..if long() { 3 } else { 1 } {
        if round > 0 {
            lab.nodes().iter().for_each(|node| lab.wipe(node));
        }
        formed_through(&lab, faults);
        faults.rotate_right(1);
    }
}

/// How the run ended, and what failed: `node step: cause`.
#[track_caller]
fn finish(mut run: Running) -> (Option<i32>, Vec<String>) {
    run.until(RUN, |event| event["event"] == "run-finished");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let failures: Vec<String> = run
        .seen
        .iter()
        .filter(|event| event["event"] == "failed")
        .map(|event| {
            let failure = &event["failure"];
            let words =
                failure["stderr"].as_array().map(|lines| lines.iter().map(&text).collect::<Vec<_>>().join(" | "));
            format!(
                "{} {}: {} {}",
                text(&event["owner"]["node"]),
                text(&failure["step"]),
                text(&failure["cause"]),
                words.unwrap_or_default()
            )
        })
        .collect();
    println!("failed: {failures:#?}");
    (run.end(Duration::from_secs(60)).code, failures)
}

/// A node that hangs, and a registry that takes connections and never answers: bounded time, and the others are done.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn what_hangs_is_given_up_and_the_others_are_done() {
    if !long() {
        return;
    }
    let lab = Lab::up("hangs", Shape::of(1, 3));
    let mut run = Running::up(&lab, &[]);
    // Past preflight: what hangs before is told before anything is done.
    reached(&mut run, "op-started", "w2", "packages.install");
    lab.pause("w1");
    // systemd listens, and nobody ever takes the connection from it.
    let hang = "sudo sh -c 'systemd-run --quiet --unit=hang --socket-property=ListenStream=127.0.0.9:443 sleep infinity \
                && echo 127.0.0.9 registry.k8s.io >> /etc/hosts'";
    lab.ssh("w2", hang).success();
    let began = Instant::now();
    let (code, failures) = finish(run);
    println!("ended {:.0} s after w1 froze", began.elapsed().as_secs_f32());
    assert_eq!(code, Some(4), "the others are done");
    for node in ["w1 ", "w2 runtime.images"] {
        assert!(failures.iter().any(|failure| failure.starts_with(node)), "{failures:?}");
    }
    lab.resume("w1");
    lab.ssh("w2", "sudo sed -i /127.0.0.9/d /etc/hosts").success();
    Running::up(&lab, &[]).end(RUN).with(0);
    lab.assert_converged();
}
