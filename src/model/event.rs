//! Events of a run: what the screen shows, the journal keeps and `--output json` prints. They carry nothing of the
//! plan but (owner, step, op digest), and no secret by type.

use serde::{Deserialize, Serialize};

use super::{
    name::NodeName,
    plan::{Gate, Owner},
    step::StepId,
};

/// An event with its moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Seconds since the run began.
    pub at: f64,
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    RunStarted {
        run: String,
        command: String,
        cluster: String,
        plan: String,
        operator: String,
        unix: u64,
    },
    /// The chain waits for a gate.
    Waiting {
        owner: Owner,
        step: StepId,
        gate: Gate,
    },
    StepStarted {
        owner: Owner,
        step: StepId,
    },
    OpStarted {
        owner: Owner,
        step: StepId,
        op: String,
    },
    OpFinished {
        owner: Owner,
        step: StepId,
        op: String,
        seconds: f64,
    },
    StepFinished {
        owner: Owner,
        step: StepId,
        outcome: Outcome,
        seconds: f64,
    },
    /// Something worth knowing that a step said of its own accord.
    Remark {
        owner: Owner,
        step: StepId,
        text: String,
    },
    /// The connection was lost and is tried again; the work goes on on the node.
    Reconnecting {
        node: NodeName,
        error: String,
        attempt: u32,
    },
    /// Something of another run is waited for.
    FoundUnit {
        node: NodeName,
        unit: String,
    },
    Failed {
        owner: Owner,
        failure: Failure,
    },
    ChainFinished {
        owner: Owner,
        outcome: Outcome,
    },
    RunFinished {
        outcome: Outcome,
        seconds: f64,
    },
}

/// How a step, a chain or a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Satisfied,
    Changed,
    Failed,
    /// Something that it waited for failed: whose, and which step.
    BlockedBy {
        owner: Owner,
        step: StepId,
    },
    NotReached,
}

/// A failure as a person needs it: where, what was tried, how it ended, what to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub step: StepId,
    /// The op's line: "install containerd, runc".
    pub what: String,
    /// The cause once: "exit status 100", "killed by signal KILL", "timed out after 300 s".
    pub cause: String,
    /// The last lines of standard error, escaped.
    pub stderr: Vec<String>,
    pub hint: Option<String>,
}
