//! Running one batch: start it, follow it, and come back to it when the connection was lost.

use crate::{
    model::op::{Op, Work},
    shell::escape::escape_untrusted,
    transport::{Effect, FollowEvent, Script, TransportError},
};

use super::{
    files::{Files, LateFile},
    frame::{self, Frame, Lines},
    link::Link,
};

/// The consecutive ops of one node between two gates.
pub struct Batch(Files);

/// What is told while a batch runs. Ops are numbered from 0.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchEvent {
    Started(usize),
    Done(usize),
    /// The connection was lost (the work goes on); this is the attempt to come back.
    Reconnecting {
        error: String,
        attempt: u32,
    },
}

/// How an op failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpFailure {
    pub op: usize,
    /// "exit status 100", "timed out after 300 s", "killed: out of memory".
    pub cause: String,
    /// The last lines that it printed, escaped.
    pub tail: Vec<String>,
}

/// Why a batch did not come to its end.
#[derive(Debug)]
pub enum BatchError {
    Op(OpFailure),
    /// Stopped by the stop file before this op.
    Stopped(usize),
    /// It did not begin.
    Refused(String),
    /// The node was rebooted, or somebody removed the batch's files, after this many ops were done.
    Gone {
        done: usize,
    },
    /// The node could not be reached any more. The batch may go on there.
    Transport(TransportError),
}

impl Batch {
    /// A batch of node ops; `run` and `batch` name it on the node.
    ///
    /// # Panics
    /// If an op is not a node's.
    pub fn new(run: &str, batch: usize, ops: &[Op], inputs: Vec<LateFile>) -> Self {
        let ops = ops
            .iter()
            .map(|op| match &op.work {
                Work::Node { script, .. } => (script.clone(), op.timeout_s),
                Work::Cluster(_) => panic!("{} is no op of a node", op.kind),
            })
            .collect();
        let nonce = format!("{:032x}", rand::random::<u128>());
        Self(Files { run: run.to_owned(), batch, nonce, ops, inputs })
    }

    /// Runs the batch to its end.
    ///
    /// # Errors
    /// The first op that failed, or why the rest was not run.
    pub async fn run(&self, link: &Link, mut told: impl FnMut(BatchEvent)) -> Result<(), BatchError> {
        let mut progress = Progress::default();
        let mut connection = link.get().await.map_err(BatchError::Transport)?;
        loop {
            let lost = match self.follow(&*connection, &mut progress, &mut told).await {
                Ok(end) => return end,
                Err(error) => error,
            };
            if !lost.is_transient() {
                return Err(BatchError::Transport(lost));
            }
            told(BatchEvent::Reconnecting { error: lost.to_string(), attempt: 0 });
            connection = link
                .reopen(|error, attempt| {
                    told(BatchEvent::Reconnecting { error: error.to_string(), attempt });
                })
                .await
                .map_err(BatchError::Transport)?;
        }
    }

    /// Follows over one connection: the outer error is the connection's, the inner one the batch's.
    async fn follow(
        &self,
        connection: &dyn Effect,
        progress: &mut Progress,
        told: &mut impl FnMut(BatchEvent),
    ) -> Result<Result<(), BatchError>, TransportError> {
        // Once a frame was seen the batch exists; were its files gone then, laying them anew would run it twice.
        let text = match progress.offset {
            0 => self.0.start_and_follow(0),
            offset => self.0.follow_only(offset),
        };
        let limit = self.0.ops.iter().map(|(_, seconds)| u64::from(*seconds) + 15).sum::<u64>() + 60;
        let mut follow = connection.follow(&Script::new(text), std::time::Duration::from_secs(limit)).await?;
        let mut lines = Lines::default();
        let mut stderr = Vec::new();
        loop {
            match follow.next().await? {
                Some(FollowEvent::Stdout(chunk)) => {
                    for (line, length) in lines.push(&chunk) {
                        progress.offset += length;
                        let Some(frame) = frame::parse(&self.0.nonce, &line) else { continue };
                        if let Some(end) = progress.take(frame, told, &self.0.ops) {
                            return Ok(end);
                        }
                    }
                }
                Some(FollowEvent::Stderr(chunk)) => {
                    let room = 4096_usize.saturating_sub(stderr.len());
                    stderr.extend_from_slice(&chunk[..room.min(chunk.len())]);
                }
                // The script ended without a final frame: it could not lay the files down or start the unit.
                Some(FollowEvent::Exit(exit)) => {
                    let words = escape_untrusted(stderr.trim_ascii());
                    return Ok(Err(BatchError::Refused(format!("could not be started ({exit}): {words}"))));
                }
                None => return Ok(Err(BatchError::Refused("the script that follows ended without a word".into()))),
            }
        }
    }
}

/// How far a batch is, over all connections.
#[derive(Default)]
struct Progress {
    /// Bytes of the frames' file that were taken.
    offset: usize,
    running: Option<usize>,
    done: usize,
    failure: Option<OpFailure>,
    stopped: Option<usize>,
    refused: Option<String>,
}

impl Progress {
    /// Takes a frame; gives the batch's end when it is the last one.
    fn take(
        &mut self,
        frame: Frame,
        told: &mut impl FnMut(BatchEvent),
        ops: &[(String, u32)],
    ) -> Option<Result<(), BatchError>> {
        match frame {
            Frame::Start(op) => {
                self.running = Some(op);
                told(BatchEvent::Started(op));
            }
            Frame::Done { op, code: 0, .. } => {
                self.running = None;
                self.done = op + 1;
                told(BatchEvent::Done(op));
            }
            Frame::Done { op, code, tail } => {
                let limit = ops.get(op).map_or(0, |(_, seconds)| *seconds);
                let cause = match code {
                    // timeout(1) says 124; of a process that it had to kill, the same as of one that somebody else killed.
                    124 => format!("timed out after {limit} s"),
                    137 => "killed by signal KILL".to_owned(),
                    code => format!("exit status {code}"),
                };
                let tail = tail.lines().map(|line| escape_untrusted(line.as_bytes())).collect();
                self.failure = Some(OpFailure { op, cause, tail });
            }
            Frame::Stopped(op) => self.stopped = Some(op),
            Frame::Refused(why) => {
                // Refused by the script that lays the files down: nothing was started, no final frame will come.
                let altered = why.contains("altered");
                self.refused = Some(why);
                if altered {
                    return Some(self.end(String::new()));
                }
            }
            Frame::Gone => return Some(Err(BatchError::Gone { done: self.done })),
            Frame::End { result, code, status } => {
                return Some(self.end(match result.as_str() {
                    "success" | "exit-code" => String::new(),
                    "oom-kill" => "killed: the node was out of memory".into(),
                    _ => format!("the unit ended by {result} ({code} {status})"),
                }));
            }
        }
        None
    }

    fn end(&mut self, unit: String) -> Result<(), BatchError> {
        if let Some(failure) = self.failure.take() {
            return Err(BatchError::Op(failure));
        }
        if let Some(why) = self.refused.take() {
            return Err(BatchError::Refused(why));
        }
        if let Some(op) = self.stopped {
            return Err(BatchError::Stopped(op));
        }
        match (self.running, unit.is_empty()) {
            (Some(op), _) => {
                let cause = if unit.is_empty() { "the unit ended in its midst".to_owned() } else { unit };
                Err(BatchError::Op(OpFailure { op, cause, tail: Vec::new() }))
            }
            (None, true) => Ok(()),
            (None, false) => Err(BatchError::Refused(unit)),
        }
    }
}
