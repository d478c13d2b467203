//! Steps of the cluster's own chain: what the API holds, and the proof that all of it works.

pub(super) mod config;
mod network;
mod proof;

use super::op;
use crate::model::{
    cluster::ClusterSpec,
    live::{Cluster, Live, ObjectRef},
    op::{ClusterOp, Op, Work},
    plan::Verdict,
    step::{Action, Step, StepKind},
};

/// The objects that the cluster's steps want: what to ask the API for before they are judged.
pub fn wanted_objects(spec: &ClusterSpec) -> Vec<ObjectRef> {
    network::objects(spec).iter().filter_map(ObjectRef::of).collect()
}

/// Judges a step of the cluster's chain. `changes` tells whether anything else in the plan changes something: then the
/// cluster is proven by more than looking at it.
pub fn judge_cluster(step: &Step, spec: &ClusterSpec, cluster: &Cluster, changes: bool) -> Verdict {
    let live = match cluster {
        Cluster::Unknown { reason } => return Verdict::Unknown(reason.clone()),
        Cluster::Live(live) => Some(&**live),
        Cluster::Absent | Cluster::HalfFormed { .. } => None,
    };
    let StepKind::Action(action) = &step.kind else { return Verdict::Satisfied };
    match action {
        Action::Network => network::judge(spec, live),
        Action::ClusterIdentity => identity(live),
        Action::ClusterConfig => config::judge(spec, live),
        Action::CorednsSpread => coredns(spec, live),
        Action::Tokens => tokens(spec, live),
        Action::Proof => proof::judge(spec, live, changes),
        Action::Pki
        | Action::EtcdMember
        | Action::Encryption
        | Action::KubeadmInit
        | Action::KubeadmJoin
        | Action::StaticPods
        | Action::KubeletConfig
        | Action::NodeLabels
        | Action::BackupSchedule => Verdict::Satisfied,
    }
}

fn cluster_op(kind: &'static str, what: &str, call: ClusterOp, timeout_s: u32) -> Op {
    Op { kind, what: what.to_owned(), work: Work::Cluster(call), timeout_s }
}

/// ConfigMap `kube-system/kbootstrap`. One that names another cluster is refused where identities are compared.
fn identity(live: Option<&Live>) -> Verdict {
    if live.is_some_and(|live| live.identity.is_some()) {
        return Verdict::Satisfied;
    }
    let diff = vec!["+ ConfigMap/kube-system/kbootstrap".to_owned()];
    op::change(diff, vec![cluster_op("cluster.identity", "write the cluster's identity", ClusterOp::WriteIdentity, 60)])
}

/// The first join finds both replicas on one node, because init placed them when there was no other.
fn coredns(spec: &ClusterSpec, live: Option<&Live>) -> Verdict {
    if spec.nodes.len() < 2 {
        return Verdict::Satisfied;
    }
    if let Some(live) = live {
        let nodes: std::collections::BTreeSet<&String> =
            live.coredns_pods.values().filter_map(|pod| pod.node.as_ref()).collect();
        let takers = live.nodes.values().filter(|node| node.takes_system_pods()).count();
        let all_joined = spec.nodes.iter().all(|node| live.nodes.contains_key(&node.name));
        if live.coredns.as_ref().is_some_and(|rollout| rollout.desired < 2) && all_joined && takers >= 2 {
            return scale_coredns(live);
        }
        if nodes.len() >= 2 || (all_joined && takers < 2) {
            return Verdict::Satisfied;
        }
    }
    spread_coredns("its replicas share a node")
}

/// CoreDNS on two nodes again, after what is said; nothing is moved where it is so.
pub fn spread_coredns(why: &str) -> Verdict {
    let diff = vec![format!("~ CoreDNS: {why} -> two nodes")];
    let op = cluster_op("cluster.coredns", "spread CoreDNS over two nodes", ClusterOp::SpreadCoredns, 120);
    op::change(diff, vec![op])
}

/// kubeadm's own number. More than that is somebody's wish; less is no answer while a node is down.
const COREDNS_REPLICAS: u32 = 2;

fn scale_coredns(live: &Live) -> Verdict {
    let found = live.coredns.as_ref().map_or(0, |rollout| rollout.desired);
    let deployment = serde_json::json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "spec": {"replicas": COREDNS_REPLICAS},
    });
    let diff = vec![format!("~ CoreDNS: {found} replicas -> {COREDNS_REPLICAS}")];
    let yaml = crate::render::documents(&[deployment]);
    let apply = ClusterOp::Apply { set: "CoreDNS's replicas".to_owned(), yaml };
    let ops = vec![
        cluster_op("cluster.apply", "scale CoreDNS", apply, 60),
        cluster_op("cluster.coredns", "spread CoreDNS over two nodes", ClusterOp::SpreadCoredns, 120),
    ];
    op::change(diff, ops)
}

/// A token of ours lives as long as joins need it.
fn tokens(spec: &ClusterSpec, live: Option<&Live>) -> Verdict {
    let joins = live.is_none_or(|live| spec.nodes.iter().any(|node| !live.nodes.contains_key(&node.name)));
    let left = live.map_or(0, |live| live.tokens.len());
    let diff = match (left, joins) {
        (0, false) => return Verdict::Satisfied,
        (0, true) => "- the token that this run's joins use".to_owned(),
        (left, _) => format!("- {left} bootstrap tokens of earlier runs"),
    };
    op::change(vec![diff], vec![cluster_op("cluster.tokens", "remove bootstrap tokens", ClusterOp::DeleteTokens, 60)])
}

#[cfg(test)]
mod tests;
