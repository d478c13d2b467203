//! Law: kill the program anywhere, break what is half done, and run the same `up` again: it ends in the same healthy cluster.
//!
//! One formation carries many faults: each run is broken a little further on, and the last one is let go. A seed
//! (`KBOOTSTRAP_TEST_SEED`, printed) makes the same faults again.

use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::lab::{
    Lab, Shape, long,
    running::{Running, is, is_boundary},
    seed,
};

const FORMED: Duration = Duration::from_secs(600);

/// Runs `up` to its end, as often as a person would try: one that comes while an API server is still starting is told so.
#[track_caller]
fn converge(lab: &Lab) {
    let began = Instant::now();
    Running::up(lab, &[]).end(FORMED).with(0);
    eprintln!("  converged in {:.1} s", began.elapsed().as_secs_f32());
    lab.assert_converged();
}

/// How many op boundaries a run would have now.
fn boundaries(lab: &Lab) -> usize {
    let inventory = lab.inventory().display().to_string();
    let plan: Value = serde_json::from_str(&lab.kbootstrap(&["plan", &inventory, "--output", "json"]).stdout)
        .expect("a plan is JSON");
    let chains = plan["chains"].as_array().expect("chains");
    let steps = chains.iter().flat_map(|chain| chain["steps"].as_array().expect("steps"));
    2 * steps.map(|step| step["ops"].as_array().map_or(0, Vec::len)).sum::<usize>()
}

/// Where a run is killed.
enum Point {
    /// After so many op boundaries.
    Boundary(usize),
    /// So long after it was started.
    Moment(Duration),
    /// At the first of these events (what, whose, which step), and so long after it.
    Event(&'static [(&'static str, &'static str, &'static str)], Duration),
}

/// What a formation comes by after its preparation, which a batch of the leader does up to init in one go: a run that is
/// killed within it finds init done.
const MILESTONES: &[(&str, &str, &str)] = &[
    ("op-started", "cp1", "kubernetes.init"),
    ("op-finished", "cp1", "kubernetes.init"),
    ("op-started", "cp2", "kubernetes.join"),
    ("op-finished", "cp2", "kubernetes.join"),
    ("op-started", "cp3", "kubernetes.join"),
    ("op-started", "cluster", "cluster.network"),
    ("op-finished", "cp3", "kubernetes.join"),
    ("op-started", "cluster", "cluster.coredns"),
    ("op-started", "cluster", "cluster.tokens"),
    ("op-started", "cluster", "cluster.proof"),
];

/// Starts a run and kills it there. False where it came to its end before.
fn kill_at(lab: &Lab, point: &Point) -> bool {
    let mut run = Running::up(lab, &[]);
    let reached = match point {
        Point::Boundary(number) => {
            let mut left = *number;
            run.until(FORMED, |event| {
                left -= usize::from(is_boundary(event));
                left == 0
            })
        }
        Point::Moment(moment) => {
            std::thread::sleep(*moment);
            true
        }
        Point::Event(wanted, delay) => {
            let wanted = |event: &Value| wanted.iter().any(|(kind, owner, step)| is(event, kind, owner, step));
            let reached = run.until(FORMED, wanted);
            std::thread::sleep(*delay);
            reached
        }
    };
    let what = match point {
        Point::Boundary(number) => format!("boundary {number}"),
        Point::Moment(moment) => format!("{:.1} s", moment.as_secs_f32()),
        Point::Event(_, delay) => format!("a milestone + {:.1} s", delay.as_secs_f32()),
    };
    let last = run.seen.last().map(Value::to_string).unwrap_or_default();
    let talk = run.kill();
    eprintln!("  killed at {what} (reached: {reached}): {last} {}", talk.lines().last().unwrap_or_default());
    reached
}

/// Killed between any two ops and at any moment, from the first op to the proof.
#[test]
fn killed_anywhere_it_goes_on_from_what_is_there() {
    let mut random = StdRng::seed_from_u64(seed());
    let lab = Lab::up("faults-killed", Shape::of(3, 1));
    let mut points = 0;
    loop {
        let left = boundaries(&lab);
        points += usize::from(kill_at(&lab, &Point::Boundary(random.random_range(1..left.max(2) / 3))));
        points += usize::from(kill_at(&lab, &Point::Moment(Duration::from_millis(random.random_range(1000..9000)))));
        for first in (0..MILESTONES.len()).step_by(if long() { 1 } else { 2 }) {
            // What an earlier run has behind it does not come again: the first of what is left.
            let delay = Duration::from_millis(random.random_range(0..1500));
            if !kill_at(&lab, &Point::Event(&MILESTONES[first..], delay)) {
                break;
            }
            points += 1;
        }
        converge(&lab);
        if !long() || points >= 25 {
            break;
        }
        for node in lab.nodes() {
            lab.wipe(&node);
        }
    }
    assert!(points >= 5, "only {points} points were reached");
    eprintln!("  {points} points");
}
