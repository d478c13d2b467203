//! Verbs of ours: when each is due, and the ops that perform it on a node. What needs the API is done elsewhere.

pub mod encryption;
pub mod etcd_certificate;
mod etcd_client;
pub(super) mod etcd_member;
mod etcd_membership;
pub mod etcd_takeover;
mod even;
mod init;
mod join;
mod kubeadm;
mod kubelet;
mod labels;
mod pki;
pub mod renew;
mod schedule;
mod static_pods;
pub mod upgrade;

pub use etcd_member::LEAVE as ETCD_LEAVE;
pub use kubeadm::{refuse_over_state, set_aside};

use super::Context;
use crate::model::{observe::Read, plan::Verdict, step::Action};

/// Facts and the cluster's own word tell what most actions are judged by.
pub fn reads(action: Action) -> Vec<Read> {
    match action {
        Action::Pki => pki::reads(),
        Action::EtcdMember => etcd_member::reads(),
        Action::StaticPods => static_pods::reads(),
        Action::KubeletConfig => kubelet::reads(),
        Action::BackupSchedule => schedule::reads(),
        _ => Vec::new(),
    }
}

pub fn judge(action: Action, context: &Context<'_>) -> Verdict {
    match action {
        Action::Pki => pki::judge(context),
        Action::EtcdMember => etcd_member::judge(context),
        Action::Encryption => encryption::judge(context),
        Action::KubeadmInit => init::judge(context),
        Action::KubeadmJoin => even::refuse(context, join::judge(context)),
        Action::StaticPods => static_pods::judge(context),
        Action::KubeletConfig => kubelet::judge(context),
        Action::NodeLabels => labels::judge(context),
        Action::BackupSchedule => schedule::judge(context),
        // Those of the cluster's chain are judged by `judge_cluster`.
        Action::ClusterIdentity
        | Action::ClusterConfig
        | Action::Network
        | Action::CorednsSpread
        | Action::Tokens
        | Action::Proof => Verdict::Satisfied,
    }
}
