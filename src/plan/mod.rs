//! Planning: desired and observed in, a plan out. Pure.

mod away;
mod basis;
mod build;
pub mod convert;
pub mod defrag;
pub mod encryption;
pub mod expand;
pub mod layout;
pub mod remove;
pub mod renew;
pub mod reset;
pub mod restore;
pub mod rotate;
pub mod upgrade;
mod values;

pub use build::{Bearings, Input, bearings, build};

use crate::model::{
    facts::Kubernetes,
    plan::{Gate, Item, Plan, Refusal, Verdict},
    step::StepId,
};

/// An item that stands in no playbook.
fn item(step: &str, title: &str, verdict: Verdict) -> Item {
    Item { step: StepId::new(step), title: title.to_owned(), verdict, waits: Vec::new(), opens: None }
}

/// Before the first change of anything, everybody's preflight.
fn after_preflight(plan: &mut Plan) {
    for chain in &mut plan.chains {
        if let Some(item) = chain.items.iter_mut().find(|item| item.verdict.is_change()) {
            item.waits.push(Gate::AllPreflightPassed);
        }
    }
}

/// Whether a machine may be touched for the sake of a cluster, told by its name and id: not where it is of another one, or
/// of none that this program made.
fn guard(there: &Kubernetes, cluster: Option<(&str, &str)>, hint: &str) -> Verdict {
    let refused = |reason: String, hint: &str| Verdict::Refused(Refusal { reason, hint: hint.to_owned() });
    match (&there.identity, cluster) {
        (Some(its), Some((name, id))) if its.id != id => {
            refused(format!("the machine belongs to cluster {:?} ({}), not to {name:?} ({id})", its.name, its.id), hint)
        }
        (None, _) if there.has_state() => refused(
            "Kubernetes is on this machine, and it is not of this program's making".to_owned(),
            "take it off by the means that put it there (kubeadm reset), or out of the inventory",
        ),
        _ => Verdict::Satisfied,
    }
}
