//! How commands that change things end, and what they say then.

use super::Output;
use crate::{
    error::{Error, ExitStatus},
    model::{
        event::Outcome,
        plan::{Owner, Plan},
    },
    run::Report,
};

/// What a person should know: said though nothing is done about it.
pub fn notices(plan: &Plan, output: &Output) {
    for notice in &plan.notices {
        let whose = notice.node.as_ref().map(|node| format!("{node}: ")).unwrap_or_default();
        output.say(&format!("note: {whose}{}", notice.text));
        if let Some(hint) = &notice.hint {
            output.say(&format!("      {hint}"));
        }
    }
}

/// What is not run, because something stands in the way.
pub fn has_refusals() -> Error {
    Error::new("begin").cause("the plan has what is not ours to change")
}

/// Whether nobody stopped the run.
///
/// # Errors
/// It was stopped before all of it was done; the same `command` goes on.
pub fn finished(report: &Report, command: &str) -> Result<(), Error> {
    if report.chains.iter().all(|chain| chain.outcome != Outcome::NotReached) {
        return Ok(());
    }
    let hint = format!("`kbootstrap {command}` goes on from what is there");
    Err(Error::new("finish").cause("stopped").hint(hint).exit(ExitStatus::Interrupted))
}

/// After all was done, the last look still finds what is not as wanted.
pub fn not_reached(left: &[String]) -> Error {
    let cause = format!("every op was done, and these are still not as wanted: {}", left.join(", "));
    Error::new("reach the wanted state").cause(cause)
}

/// The changes that a plan still has.
pub fn unsatisfied(plan: &Plan) -> Vec<String> {
    plan.items()
        .filter(|(_, item)| item.verdict.is_change())
        .map(|(owner, item)| format!("{owner} {}", item.step))
        .collect()
}

/// Some nodes failed and the rest is done: 4. The cluster itself, or nothing but failures: 1.
pub fn failed_status(report: &Report) -> ExitStatus {
    let well = |outcome: &Outcome| matches!(outcome, Outcome::Satisfied | Outcome::Changed);
    // Its proof waits for every node, so that it is blocked where any has failed.
    let cluster_failed =
        report.chains.iter().any(|chain| chain.owner == Owner::Cluster && chain.outcome == Outcome::Failed);
    let any_node = report.chains.iter().any(|chain| chain.owner != Owner::Cluster && well(&chain.outcome));
    if any_node && !cluster_failed { ExitStatus::Partial } else { ExitStatus::Failed }
}
