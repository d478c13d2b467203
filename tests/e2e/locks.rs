//! Law: of two operators one works and the other is told, or waits; a lock is free within 20 s of its holder's death; and what
//! a dead run left at work is waited for.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{
    CONTROL_PLANES, Lab,
    running::{Running, is},
    until,
};

const RUN: Duration = Duration::from_secs(240);

/// Work that lasts some 20 s: a flag of the scheduler on two control planes, one after the other.
fn make_work(lab: &Lab) {
    for node in ["cp1", "cp2"] {
        let edit = "sudo sed -i 's/- kube-scheduler$/&\\n    - --v=3/' /etc/kubernetes/manifests/kube-scheduler.yaml";
        lab.ssh(node, edit).success();
    }
}

fn at_work(run: &mut Running) {
    assert!(run.until(RUN, |event| is(event, "op-started", "cp1", "kubernetes.static-pods")));
}

fn run_id(run: &Running) -> String {
    let started = run.seen.iter().find(|event| event["event"] == "run-started").expect("it has begun");
    started["run"].as_str().expect("a name").to_owned()
}

/// Asked past ssh, which may be cut: whether anybody holds the node's lock.
fn is_locked(lab: &Lab, node: &str) -> bool {
    !lab.lab("enter", &[node, "flock", "-n", "/run/kbootstrap/lock", "true"]).ok()
}

fn free_within(lab: &Lab, limit: Duration) -> Duration {
    let began = Instant::now();
    for node in CONTROL_PLANES {
        until(&format!("the lock of {node} is free"), limit.saturating_sub(began.elapsed()), || !is_locked(lab, node));
    }
    began.elapsed()
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn two_operators_never_interleave() {
    let lab = Lab::formed("locks");

    // One works, one is told who.
    make_work(&lab);
    let mut first = Running::up(&lab, &[]);
    at_work(&mut first);
    let id = run_id(&first);
    let told = Running::up(&lab, &[]).end(Duration::from_secs(60)).with(1);
    assert!(told.contains("another run is at work") && told.contains(&id), "{told}");

    // A third one waits, and then does what is left: nothing.
    let began = Instant::now();
    let third = Running::up(&lab, &["--wait=4m"]);
    first.end(RUN).with(0);
    let ended = began.elapsed();
    let told = third.end(RUN).with(0);
    assert!(told.contains("waits for the lock of") && told.contains(&id), "{told}");
    assert!(began.elapsed() >= ended, "it did not wait");

    // Its time over, it is told.
    make_work(&lab);
    let mut first = Running::up(&lab, &[]);
    at_work(&mut first);
    let began = Instant::now();
    let told = Running::up(&lab, &["--wait=3s"]).end(Duration::from_secs(60)).with(1);
    println!("one that waits 3 s is told after {:.1} s", began.elapsed().as_secs_f32());
    assert!(told.contains("another run is at work"), "{told}");

    // The holder dies: the lock is free, and its batch is waited for by the next.
    first.kill();
    println!("locks are free {:.1} s after kill -9", free_within(&lab, Duration::from_secs(20)).as_secs_f32());
    let next = Running::up(&lab, &[]).end(RUN);
    assert!(next.stderr.contains("waits for kbootstrap-batch-"), "{}", next.stderr);
    next.with(0);
    lab.assert_converged();

    // The holder's network dies.
    make_work(&lab);
    let mut first = Running::up(&lab, &[]);
    at_work(&mut first);
    for node in CONTROL_PLANES {
        lab.cut_from(node, "lab");
    }
    println!("locks are free {:.1} s after the network", free_within(&lab, Duration::from_secs(20)).as_secs_f32());
    for node in CONTROL_PLANES {
        lab.heal(node);
    }
    // Nobody was there meanwhile: it takes its locks again and goes on.
    first.end(RUN).with(0);
    lab.assert_converged();

    never_at_once(&lab, 4);
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn who_slept_or_came_second_is_told() {
    let lab = Lab::formed("slept");
    plans_on_disjoint_nodes(&lab);
    never_at_once(&lab, 3);
    // What it did before it slept is told when it wakes: its times prove nothing.
    a_run_that_slept_ends_where_another_was_meanwhile(&lab);
}

fn a_run_that_slept_ends_where_another_was_meanwhile(lab: &Lab) {
    make_work(lab);
    let mut first = Running::up(lab, &[]);
    at_work(&mut first);
    first.signal("STOP");
    println!("locks are free {:.1} s after the holder slept", free_within(lab, Duration::from_secs(20)).as_secs_f32());
    Running::up(lab, &[]).end(RUN).with(0);
    first.signal("CONT");
    first.until(RUN, |event| event["event"] == "run-finished");
    let failed = |event: &&Value| event["event"] == "failed";
    let causes: Vec<String> =
        first.seen.iter().filter(failed).map(|event| event["failure"]["cause"].to_string()).collect();
    assert!(causes.iter().any(|cause| cause.contains("another run was at work since")), "{causes:?}");
    let woken = first.end(RUN);
    assert!(matches!(woken.code, Some(1 | 4)), "{:?}: {}", woken.code, woken.stderr);
    lab.assert_converged();
}

/// One adds a control plane while another removes one: one of them works, and the other is told.
fn plans_on_disjoint_nodes(lab: &Lab) {
    let own = lab.inventory().display().to_string();
    let gone = lab.kbootstrap(&["node", "remove", &own, "cp3", "--yes", "--delete-local-data"]);
    assert!(gone.ok(), "{gone}");
    let others = lab.inventory().with_file_name("others.toml").display().to_string();
    std::fs::copy(&own, &others).expect("an inventory is copied");
    let add = ["node", "add", &own, "--role", "control-plane", "--name", "cp3", "--address", "10.77.0.13", "--yes"];
    let remove = ["node", "remove", &others, "cp2", "--yes", "--delete-local-data"];
    let (adds, removes) = (Running::start(lab, &add), Running::start(lab, &remove));
    let (added, removed) = (adds.end(RUN), removes.end(RUN));
    let (told, again) = match (added.code, removed.code) {
        (Some(0), Some(1)) => (removed.stderr, &remove[..]),
        (Some(1), Some(0)) => (added.stderr, &add[..]),
        codes => panic!("not one of two: {codes:?}\n{}\n{}", added.stderr, removed.stderr),
    };
    println!("{} was told", again[..2].join(" "));
    if again[1] == "remove" {
        // Of a voter that the inventory does not know it would not know the health: the colleague's inventory is taken first.
        std::fs::copy(&own, &others).expect("an inventory is copied");
    }
    assert!(told.contains("another run is at work"), "{told}");
    Running::start(lab, again).end(RUN).with(0);
    // The inventory of the one who added has all three.
    Running::up(lab, &[]).end(RUN).with(0);
    lab.assert_converged();
}

/// Of all runs of this operator no two had ops on one node at the same time.
fn never_at_once(lab: &Lab, least: usize) {
    let folder = lab.state_home().join("kbootstrap/runs");
    let mut spans: Vec<(f64, f64, String)> = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("journals").flatten() {
        if entry.path().extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).expect("a journal");
        let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let began = events.iter().find_map(|event| event["unix"].as_f64()).unwrap_or_default();
        let ops = || events.iter().filter(|event| event["event"].as_str().is_some_and(|kind| kind.starts_with("op-")));
        let at = |event: &Value| began + event["at"].as_f64().unwrap_or_default();
        if let (Some(first), Some(last)) = (ops().next(), ops().next_back()) {
            spans.push((at(first), at(last), entry.file_name().to_string_lossy().into_owned()));
        }
    }
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    for pair in spans.windows(2) {
        // `unix` is in whole seconds.
        assert!(pair[1].0 + 1.0 >= pair[0].1, "{} began before {} had ended", pair[1].2, pair[0].2);
    }
    assert!(spans.len() >= least, "{spans:?}");
}
