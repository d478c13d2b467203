//! Done means proven: conditions of a healthy cluster, as the API tells them.

use super::cluster_op;
use crate::{
    kind::op,
    model::{
        cluster::ClusterSpec,
        etcd::EtcdLayout,
        live::Live,
        op::{ClusterOp, Op},
        plan::Verdict,
    },
    render::images,
};

/// The components that kubeadm runs as static pods on every control plane.
const COMPONENTS: [&str; 4] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"];

/// Longest time until all is up: images were pulled, a first leader election and CoreDNS remain.
const PROOF_S: u32 = 300;

/// A change is proven by pods that ask and connect; where nothing changes, what the API says is enough.
pub fn judge(spec: &ClusterSpec, live: Option<&Live>, changes: bool) -> Verdict {
    let unmet = live.map(|live| unmet(spec, live)).unwrap_or_default();
    if !changes && unmet.is_empty() && live.is_some() {
        return Verdict::Satisfied;
    }
    let mut diff: Vec<String> = unmet.iter().map(|unmet| format!("~ {unmet}")).collect();
    if changes || live.is_none() {
        diff.push("+ proven by pods that ask DNS and connect across nodes".to_owned());
    }
    op::change(diff, vec![proof_op(spec, changes || live.is_none())])
}

fn proof_op(spec: &ClusterSpec, probe: bool) -> Op {
    let call = ClusterOp::Prove {
        nodes: spec.nodes.iter().map(|node| node.name.clone()).collect(),
        control_planes: spec.control_planes().map(|node| node.name.clone()).collect(),
        members: spec.voters(),
        probe: probe.then(|| images::proof(spec).to_string()),
    };
    cluster_op("cluster.prove", "prove that the cluster works", call, PROOF_S)
}

/// What does not hold of a living cluster, in words.
fn unmet(spec: &ClusterSpec, live: &Live) -> Vec<String> {
    let mut unmet = Vec::new();
    for node in &spec.nodes {
        match live.nodes.get(&node.name) {
            None => unmet.push(format!("node {} is not in the cluster", node.name)),
            Some(seen) if !seen.ready => {
                let why = seen.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                unmet.push(format!("node {} is not Ready{why}", node.name));
            }
            Some(_) => {}
        }
    }
    for node in spec.control_planes().filter(|node| live.nodes.contains_key(&node.name)) {
        let stacked = spec.etcd == EtcdLayout::Stacked;
        for component in COMPONENTS.into_iter().filter(|component| stacked || *component != "etcd") {
            match live.static_pods.get(&(node.name.clone(), component.to_owned())) {
                Some(pod) if pod.ready => {}
                Some(pod) => {
                    let why = pod.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
                    unmet.push(format!("{component} on {} is not ready{why}", node.name));
                }
                None => unmet.push(format!("{component} does not run on {}", node.name)),
            }
        }
    }
    match &live.coredns {
        Some(rollout) if rollout.is_done() => {}
        _ => unmet.push("CoreDNS is not available".to_owned()),
    }
    for (name, rollout) in live.daemon_sets.iter().filter(|(_, rollout)| !rollout.is_done()) {
        unmet.push(format!("DaemonSet {name} is available on {} of {} nodes", rollout.available, rollout.desired));
    }
    unmet
}
