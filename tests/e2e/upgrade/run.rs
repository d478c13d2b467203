//! One run of `kbootstrap upgrade`, followed by its events and killed at a moment of choice.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Lab, running::Running};

/// The longest that one run may take.
const RUN: Duration = Duration::from_secs(1500);

/// Once this step of this node is done, and so long after.
pub struct Moment<'a> {
    pub node: &'a str,
    pub step: &'a str,
    pub delay: Duration,
}

/// A run that has ended.
pub struct Upgrade {
    /// Which of the moments it was killed at.
    pub killed: Option<usize>,
    pub code: Option<i32>,
    pub seconds: f64,
    pub stderr: String,
    /// Seconds of every step that was done.
    steps: Vec<(String, f64)>,
}

impl Upgrade {
    pub fn run(lab: &Lab, to: &str, moments: &[Moment<'_>]) -> Self {
        let began = Instant::now();
        let inventory = lab.inventory().display().to_string();
        let mut run = Running::start(lab, &["upgrade", &inventory, "--yes", "--to", to]);
        let mut killed = None;
        run.until(RUN, |event| {
            let node = event["owner"]["node"].as_str();
            let done = event["event"] == "step-finished" && event["outcome"] == "changed";
            killed =
                moments.iter().position(|moment| done && Some(moment.node) == node && event["step"] == moment.step);
            killed.is_some()
        });
        let seen = std::mem::take(&mut run.seen);
        let (code, stderr) = match killed {
            Some(index) => {
                thread::sleep(moments[index].delay);
                (None, run.kill())
            }
            None => {
                let ended = run.end(RUN);
                (ended.code, ended.stderr)
            }
        };
        let steps = seen.iter().filter(|event| event["event"] == "step-finished" && event["outcome"] == "changed");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let steps = steps.map(|event| (text(&event["step"]), event["seconds"].as_f64().unwrap_or(0.0))).collect();
        Self { killed, code, seconds: began.elapsed().as_secs_f64(), stderr, steps }
    }

    /// Seconds that went by with waiting: for pods to leave, and for nodes to be well.
    pub fn waited(&self) -> f64 {
        let waits = ["upgrade.drain", "upgrade.settled", "upgrade.server-settled"];
        self.steps.iter().filter(|(step, _)| waits.contains(&step.as_str())).map(|(_, seconds)| seconds).sum()
    }
}
