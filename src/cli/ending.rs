//! How commands that change things end, and what they say then.

use super::Output;
use crate::{
    error::{Error, ExitStatus},
    model::{
        event::Outcome,
        op::{ClusterOp, Work},
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

/// What is said where all is as wanted, as far as machines answered.
pub fn nothing_to_change(nodes: usize, silent: usize) -> String {
    match silent {
        0 => format!("Nothing to change on {nodes} nodes; all is as wanted."),
        silent => format!("Nothing to change on the nodes that answered; {silent} of {nodes} did not."),
    }
}

/// What is not run, because something stands in the way: each of it, unless the plan was shown.
pub fn has_refusals(plan: &Plan, tell: bool) -> Error {
    let told = plan.refusals().filter(|_| tell);
    let all: Vec<String> = told.map(|(owner, item, why)| format!("{owner} {}: {}", item.step, why.reason)).collect();
    let what = "the plan has what is not ours to change";
    let cause = if all.is_empty() { what.to_owned() } else { format!("{what}: {}", all.join("; ")) };
    Error::new("begin").cause(cause)
}

/// Whether a plan is the one that somebody looked at before; any is, where none was given.
///
/// # Errors
/// It is another; `command` shows it.
pub fn as_expected(plan: &Plan, expected: Option<&str>, command: &str) -> Result<(), Error> {
    let digest = plan.digest();
    if expected.is_none_or(|expected| expected == digest) {
        return Ok(());
    }
    Err(Error::new("run the expected plan")
        .cause(format!("the plan now has digest {digest}"))
        .hint(format!("something changed since it was reviewed: look at `kbootstrap {command}` again")))
}

/// What nodes that failed are left with otherwise than they were found, and how that ends.
pub fn left_behind(plan: &Plan, report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for chain in &report.chains {
        let Some(failure) = &chain.failure else { continue };
        let Some(planned) = plan.chains.iter().find(|planned| planned.owner == chain.owner) else { continue };
        let before = planned.items.iter().take_while(|item| item.step != failure.step);
        let (mut cordoned, mut diverted) = (None, None);
        for op in before.flat_map(|item| item.verdict.ops()) {
            match &op.work {
                Work::Cluster(ClusterOp::Cordon { node }) => cordoned = Some(node),
                Work::Cluster(ClusterOp::Uncordon { .. }) => cordoned = None,
                Work::Cluster(ClusterOp::Divert { server, .. }) => diverted = Some(server),
                Work::Cluster(ClusterOp::Return { .. }) => diverted = None,
                _ => {}
            }
        }
        if let Some(node) = cordoned {
            lines.push(format!(
                "{node} stays cordoned: the same command goes on from there, or `kubectl uncordon {node}`"
            ));
        }
        if let Some(server) = diverted {
            lines.push(format!("the proxies leave {server}'s API server out, for at most 20 minutes more"));
        }
    }
    lines
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            drain::OnBlocked,
            event::Failure,
            op::Op,
            plan::{Chain, Change, Item, Verdict},
            step::StepId,
        },
        run::ChainReport,
    };

    #[test]
    fn what_is_left_behind_is_named() {
        let node: crate::model::name::NodeName = "cp1".parse().unwrap();
        let owner = Owner::Node(node.clone());
        let item = |step: &str, works: Vec<ClusterOp>| {
            let op = |work| Op { kind: "x", what: String::new(), work: Work::Cluster(work), timeout_s: 1 };
            let change = Change { diff: vec![], ops: works.into_iter().map(op).collect(), disrupts: None };
            Item {
                step: StepId::new(step),
                title: String::new(),
                verdict: Verdict::Change(change),
                waits: vec![],
                opens: None,
            }
        };
        let drain = ClusterOp::Drain { node: node.clone(), on_blocked: OnBlocked::Abort, delete_local_data: false };
        let items = vec![
            item("divert", vec![ClusterOp::Divert { server: node.clone(), nodes: vec![] }]),
            item("drain", vec![ClusterOp::Cordon { node: node.clone() }, drain]),
            item("kubelet", vec![]),
            item("return", vec![ClusterOp::Return { nodes: vec![] }]),
            item("uncordon", vec![ClusterOp::Uncordon { node: node.clone() }]),
            item("after", vec![]),
        ];
        let plan = Plan { chains: vec![Chain { owner: owner.clone(), items }], ..Plan::default() };
        let left = |step: &str| {
            let failure = Failure {
                step: StepId::new(step),
                what: String::new(),
                cause: String::new(),
                stderr: Vec::new(),
                hint: None,
            };
            let failure = Some(failure);
            let chain =
                ChainReport { owner: owner.clone(), outcome: Outcome::Failed, changed: 0, seconds: 0.0, failure };
            left_behind(&plan, &Report::new(vec![chain], 0.0)).join("; ")
        };
        assert_eq!(left("divert"), "");
        // A drain that fails opens its node again itself.
        assert!(left("drain").starts_with("the proxies leave cp1's"), "{}", left("drain"));
        assert!(left("kubelet").starts_with("cp1 stays cordoned") && left("kubelet").contains("; the proxies"));
        assert!(left("uncordon").starts_with("cp1 stays cordoned") && !left("uncordon").contains("proxies"));
        assert_eq!(left("after"), "");
    }
}
