//! One run of `kbootstrap upgrade`, followed by its events and killed at a moment of choice.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::Lab;

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
        let inventory = lab.inventory();
        let mut command = lab.command(env!("CARGO_BIN_EXE_kbootstrap"));
        command.args(["--output", "json", "upgrade"]).arg(inventory).args(["--yes", "--to", to]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stderr = child.stderr.take().expect("piped");
        let said = thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let (mut killed, mut steps) = (None, Vec::new());
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            let line = line.expect("text");
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("no JSON: {error}\n{line}"));
            if event["event"] != "step-finished" || event["outcome"] != "changed" {
                continue;
            }
            let (node, step) = (event["owner"]["node"].as_str(), event["step"].as_str().expect("a step has a name"));
            steps.push((step.to_owned(), event["seconds"].as_f64().unwrap_or(0.0)));
            let hit = moments.iter().position(|moment| Some(moment.node) == node && moment.step == step);
            if let Some(index) = hit {
                thread::sleep(moments[index].delay);
                child.kill().expect("it is there");
                killed = Some(index);
                break;
            }
        }
        let code = child.wait().expect("it ends").code();
        let stderr = said.join().expect("read");
        Self { killed, code, seconds: began.elapsed().as_secs_f64(), stderr, steps }
    }

    /// Seconds that went by with waiting: for pods to leave, and for nodes to be well.
    pub fn waited(&self) -> f64 {
        let waits = ["upgrade.drain", "upgrade.settled", "upgrade.server-settled"];
        self.steps.iter().filter(|(step, _)| waits.contains(&step.as_str())).map(|(_, seconds)| seconds).sum()
    }
}
