//! The plan as JSON (`kbootstrap.plan/v1`).

use serde::Serialize;

use crate::model::plan::{self, Gate, Notice, Owner, Refusal, Verdict};

/// A whole plan.
#[derive(Serialize)]
pub struct Plan<'a> {
    schema: &'static str,
    digest: String,
    changes: usize,
    chains: Vec<Chain<'a>>,
    notices: &'a [Notice],
}

#[derive(Serialize)]
struct Chain<'a> {
    owner: &'a Owner,
    steps: Vec<Step<'a>>,
}

#[derive(Serialize)]
struct Step<'a> {
    step: &'a str,
    title: &'a str,
    /// `satisfied`, `change`, `probe`, `refused`, `unknown`.
    verdict: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    diff: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ops: Vec<Op<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disrupts: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a Refusal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    waits: &'a [Gate],
}

#[derive(Serialize)]
struct Op<'a> {
    kind: &'static str,
    what: &'a str,
    digest: String,
}

/// The plan in its public form.
pub fn plan(plan: &plan::Plan) -> Plan<'_> {
    let chains = plan
        .chains
        .iter()
        .map(|chain| Chain { owner: &chain.owner, steps: chain.items.iter().map(step).collect() })
        .collect();
    let changes = plan.items().filter(|(_, item)| item.verdict.is_change()).count();
    Plan { schema: "kbootstrap.plan/v1", digest: plan.digest(), changes, chains, notices: &plan.notices }
}

fn step(item: &plan::Item) -> Step<'_> {
    let mut step = Step {
        step: item.step.as_str(),
        title: &item.title,
        verdict: "satisfied",
        diff: &[],
        ops: item.verdict.ops().iter().map(|op| Op { kind: op.kind, what: &op.what, digest: op.digest() }).collect(),
        disrupts: None,
        refusal: None,
        unknown: None,
        waits: &item.waits,
    };
    match &item.verdict {
        Verdict::Satisfied => {}
        Verdict::Change(change) => {
            step.verdict = "change";
            step.diff = &change.diff;
            step.disrupts = change.disrupts.as_deref();
        }
        Verdict::Probe(_) => step.verdict = "probe",
        Verdict::Refused(refusal) => {
            step.verdict = "refused";
            step.refusal = Some(refusal);
        }
        Verdict::Unknown(error) => {
            step.verdict = "unknown";
            step.unknown = Some(error);
        }
    }
    step
}
