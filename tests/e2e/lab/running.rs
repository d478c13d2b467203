//! The program while it runs: its events as they come, and its death.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Lab;

/// `kbootstrap … --output json` that has not ended yet. Dropping it kills it.
pub struct Running {
    child: Child,
    events: Receiver<Value>,
    talk: Option<JoinHandle<String>>,
    /// Every event that was taken, in order.
    pub seen: Vec<Value>,
}

/// How a run ended by itself.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stderr: String,
    /// Its events that tell of a failure.
    failures: Vec<String>,
}

impl Ended {
    /// # Panics
    /// With all that it said and what failed, unless it ended with `code`.
    #[track_caller]
    pub fn with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.stderr, self.failures.join("\n"));
        self.stderr
    }
}

impl Running {
    /// Starts it on the lab's network.
    pub fn start(lab: &Lab, arguments: &[&str]) -> Running {
        Running::of(Running::command(lab, arguments).spawn().expect("the program starts"))
    }

    /// Starts `up --yes` on the lab's inventory, with more options.
    pub fn up(lab: &Lab, more: &[&str]) -> Running {
        let inventory = lab.inventory().display().to_string();
        Running::start(lab, &[&["up", &inventory, "--yes"], more].concat())
    }

    /// What [`start`](Self::start) starts, with an empty standard input.
    pub fn command(lab: &Lab, arguments: &[&str]) -> Command {
        let mut command = lab.command(env!("CARGO_BIN_EXE_kbootstrap"));
        command.args(arguments).args(["--output", "json"]);
        command.env("XDG_STATE_HOME", lab.state_home());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A program that was started, both of whose outputs are piped.
    pub fn of(mut child: Child) -> Running {
        let (sender, events) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str(&line)
                    && sender.send(event).is_err()
                {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().expect("it is piped");
        let talk = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Running { child, events, talk: Some(talk), seen: Vec::new() }
    }

    /// Waits for an event. False where the run came to its end, or the time, without it.
    pub fn until(&mut self, limit: Duration, mut wanted: impl FnMut(&Value) -> bool) -> bool {
        let end = Instant::now() + limit;
        loop {
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    let found = wanted(&event);
                    self.seen.push(event);
                    if found {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    /// Sends it a signal, by its name: `STOP`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill runs");
        assert!(sent.success(), "{name}");
    }

    /// `kill -9`; gives what it had said.
    pub fn kill(mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.talk.take().map(|talk| talk.join().unwrap_or_default()).unwrap_or_default()
    }

    /// Its end, which must come within the time.
    ///
    /// # Panics
    /// If it does not end.
    pub fn end(mut self, limit: Duration) -> Ended {
        let began = Instant::now();
        loop {
            while let Ok(event) = self.events.try_recv() {
                self.seen.push(event);
            }
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                let stderr = self.talk.take().map(|talk| talk.join().unwrap_or_default()).unwrap_or_default();
                // What came between the last look and its end.
                while let Ok(event) = self.events.recv() {
                    self.seen.push(event);
                }
                let failures = self.seen.iter().filter(|event| event["event"] == "failed");
                return Ended { code: status.code(), stderr, failures: failures.map(Value::to_string).collect() };
            }
            if began.elapsed() > limit {
                let last = self.seen.iter().rev().take(5).map(Value::to_string).collect::<Vec<_>>().join("\n");
                panic!(
                    "it has not ended after {} s; its last events were\n{last}\nand it said\n{}",
                    limit.as_secs(),
                    {
                        let _ = self.child.kill();
                        self.talk.take().map(|talk| talk.join().unwrap_or_default()).unwrap_or_default()
                    }
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether an event is the begin of an op (`op-started`) or its end (`op-finished`) of a step of an owner (`cp1`, `cluster`).
pub fn is(event: &Value, kind: &str, owner: &str, step: &str) -> bool {
    let whose = event["owner"]["node"].as_str().or(event["owner"].as_str());
    event["event"] == kind && whose == Some(owner) && event["step"] == step
}

/// Whether an event is the boundary of an op.
pub fn is_boundary(event: &Value) -> bool {
    event["event"] == "op-started" || event["event"] == "op-finished"
}
