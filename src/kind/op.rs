//! Making ops.

use crate::model::{
    op::{Late, Op, Work},
    plan::{Change, Refusal, Verdict},
};

/// Longest time of an op that only writes files and asks nobody.
pub const QUICK_S: u32 = 60;

/// An op of a node without late inputs.
pub fn node(kind: &'static str, what: impl Into<String>, script: impl Into<String>, timeout_s: u32) -> Op {
    node_with(kind, what, script, timeout_s, Vec::new())
}

/// An op of a node with late inputs.
pub fn node_with(
    kind: &'static str,
    what: impl Into<String>,
    script: impl Into<String>,
    timeout_s: u32,
    inputs: Vec<Late>,
) -> Op {
    Op { kind, what: what.into(), work: Work::Node { script: script.into(), inputs }, timeout_s }
}

/// A change that disturbs nobody.
pub fn change(diff: Vec<String>, ops: Vec<Op>) -> Verdict {
    Verdict::Change(Change { diff, ops, disrupts: None })
}

/// Something that is not ours to change.
pub fn refused(reason: impl Into<String>, hint: impl Into<String>) -> Verdict {
    Verdict::Refused(Refusal { reason: reason.into(), hint: hint.into() })
}
