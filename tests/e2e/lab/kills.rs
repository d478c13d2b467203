//! A command that is killed again and again, and gone on with by itself.

use std::time::{Duration, Instant};

use super::{
    Lab,
    running::{Running, is},
};

/// The longest that one run may take.
const RUN: Duration = Duration::from_secs(600);

/// A moment of a run: `op-started`, `op-finished` or `step-finished`; of whom (`cp1`, `cluster`); of which step.
pub type Moment = (&'static str, &'static str, &'static str);

/// Starts the command again and again, killed with `kill -9` each time at one of these moments, and at last lets it come to its
/// end. Every moment must be reached.
#[track_caller]
pub fn through_kills(lab: &Lab, arguments: &[&str], kills: &[Moment]) {
    let missed = killed(lab, arguments, kills);
    assert!(missed.is_empty(), "it never came to {missed:?}");
}

/// The same where one of several moments may be missed: what the run before left at work comes by it without the program.
#[track_caller]
pub fn through_most_kills(lab: &Lab, arguments: &[&str], kills: &[Moment]) {
    let missed = killed(lab, arguments, kills);
    assert!(missed.len() < 2.min(kills.len()), "hardly ever killed: {missed:?}");
}

/// The moments that no run came to.
#[track_caller]
fn killed(lab: &Lab, arguments: &[&str], kills: &[Moment]) -> Vec<Moment> {
    let mut left = kills.to_vec();
    let began = Instant::now();
    loop {
        let mut run = Running::start(lab, arguments);
        let mut at = None;
        run.until(RUN, |event| {
            at = left.iter().position(|(kind, owner, step)| is(event, kind, owner, step));
            at.is_some()
        });
        let Some(at) = at else {
            run.end(RUN).with(0);
            break;
        };
        run.kill();
        let (kind, owner, step) = left.remove(at);
        println!("  killed at {kind} of {step} on {owner}, {:.0} s", began.elapsed().as_secs_f32());
    }
    let done = kills.len() - left.len();
    println!("  {} in {:.0} s with {done} kills", arguments[..2].join(" "), began.elapsed().as_secs_f32());
    left
}
