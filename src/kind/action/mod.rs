//! Verbs of ours: when each is due, and the ops that perform it on a node. What needs the API is done elsewhere.

mod even;
mod init;
mod join;
mod kubeadm;
mod labels;
mod pki;

pub use kubeadm::set_aside;

use super::Context;
use crate::model::{observe::Read, plan::Verdict, step::Action};

/// Facts and the cluster's own word tell all that actions are judged by.
pub fn reads(_action: Action) -> Vec<Read> {
    Vec::new()
}

pub fn judge(action: Action, context: &Context<'_>) -> Verdict {
    match action {
        Action::Pki => pki::judge(context),
        Action::KubeadmInit => init::judge(context),
        Action::KubeadmJoin => even::refuse(context, join::judge(context)),
        Action::NodeLabels => labels::judge(context),
        // Those of the cluster's chain are judged by `judge_cluster`.
        Action::ClusterIdentity | Action::Network | Action::CorednsSpread | Action::Tokens | Action::Proof => {
            Verdict::Satisfied
        }
    }
}
