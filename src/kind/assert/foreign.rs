//! Kubernetes that is not this cluster's.

use super::{super::op, Context};
use crate::model::{live::Cluster, plan::Verdict};

/// State of another cluster, or of nobody knows which, is never touched.
pub fn state(context: &Context<'_>) -> Verdict {
    let there = &context.seen.facts.kubernetes;
    if !there.has_state() {
        return Verdict::Satisfied;
    }
    let Some(identity) = &there.identity else {
        return op::refused(
            "Kubernetes is on this machine, and it is not of this program's making",
            "use another machine, or take it off by the means that put it there (kubeadm reset)",
        );
    };
    match context.identity {
        Some(ours) if ours.id == identity.id => Verdict::Satisfied,
        Some(ours) => op::refused(
            format!("the machine belongs to cluster {:?} ({}), not to {:?}", identity.name, identity.id, ours.name),
            "take it out of the inventory, or reset the machine first",
        ),
        // The control planes could not be asked: who they are is not known, and said elsewhere.
        None if matches!(context.cluster, Cluster::Unknown { .. }) => Verdict::Satisfied,
        None => op::refused(
            format!(
                "the machine belongs to cluster {:?} ({}), of which no control plane knows",
                identity.name, identity.id
            ),
            "take it out of the inventory, or reset the machine first",
        ),
    }
}
