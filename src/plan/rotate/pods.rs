//! Pods that may not know the new authority: who has read whom to trust before it was among them.

use std::collections::{BTreeMap, BTreeSet};

use super::{away::op, change, item, world::World};
use crate::{
    model::{
        op::ClusterOp,
        plan::{Chain, Notice, Owner, Plan, Refusal, Verdict},
        rotation::{TrustingPod, Workload},
    },
    pki::Authority,
};

const RESTART_S: u32 = 1800;
const SPREAD_S: u32 = 120;
const COREDNS: &str = "Deployment kube-system/coredns";
/// Names told of many.
const NAMED: usize = 30;

pub fn plan(world: &World<'_>) -> Plan {
    let (Some(pairs), Ok(trusting)) = (&world.pairs, world.input.trusting) else { return Plan::default() };
    let authority = &pairs[&Authority::Kubernetes].new.sha256;
    let older: Vec<&TrustingPod> = trusting.older_pods(authority).collect();
    let mut plan = Plan::default();
    if world.input.ignore_pods && !older.is_empty() {
        let text = format!("pods that may lose the API, as you will have it: {}", names(&older));
        plan.notices.push(Notice { node: None, text, hint: None });
    }
    let verdict = match older.is_empty() || (world.input.ignore_pods && !world.input.restart) {
        true => Verdict::Satisfied,
        false => verdict(world, &older, authority),
    };
    let items = vec![item("rotate.pods", "no pod is older than the trust in the new authority", verdict)];
    plan.chains.push(Chain { owner: Owner::Cluster, items });
    plan
}

fn verdict(world: &World<'_>, older: &[&TrustingPod], authority: &str) -> Verdict {
    let refused = |reason: String, hint: &str| Verdict::Refused(Refusal { reason, hint: hint.to_owned() });
    let alone: Vec<&TrustingPod> = older.iter().copied().filter(|pod| pod.workload.is_none()).collect();
    if !world.input.restart {
        return refused(
            format!("{} pods read whom to trust before the new authority was: {}", older.len(), names(older)),
            "--restart makes those of Deployments, DaemonSets and StatefulSets anew; delete others, or say --ignore-old-pods",
        );
    }
    if !alone.is_empty() && !world.input.ignore_pods {
        return refused(
            format!("nothing makes these pods anew: {}", names(&alone)),
            "end them, or wait until they have ended; --ignore-old-pods where they do not talk to the API",
        );
    }
    let workloads: BTreeSet<Workload> = older.iter().filter_map(|pod| pod.workload.clone()).collect();
    if workloads.is_empty() {
        return Verdict::Satisfied;
    }
    let diff = workloads.iter().map(|workload| format!("~ {workload}: its pods are made anew")).collect();
    let spreads = world.spec.nodes.len() > 1 && workloads.iter().any(|it| it.to_string() == COREDNS);
    let call =
        ClusterOp::RestartWorkloads { workloads: workloads.into_iter().collect(), authority: authority.to_owned() };
    let mut ops = vec![op("workloads.restart", "make pods anew, as kubectl rollout restart does", call, RESTART_S)];
    if spreads {
        // Wherever its replicas are now: both may have come to one node.
        ops.push(op("cluster.coredns", "spread CoreDNS over two nodes", ClusterOp::SpreadCoredns, SPREAD_S));
    }
    change(diff, ops, Some("pods are made anew, as their workloads' own strategies allow"))
}

/// By what makes them, with their number; those that nothing makes by their names.
fn names(pods: &[&TrustingPod]) -> String {
    let mut made: BTreeMap<&Workload, usize> = BTreeMap::new();
    let mut all = Vec::new();
    for pod in pods {
        match &pod.workload {
            Some(workload) => *made.entry(workload).or_default() += 1,
            None => all.push(format!("pod {pod}")),
        }
    }
    all.extend(made.iter().map(|(workload, count)| format!("{workload} ({count})")));
    let more = all.len().saturating_sub(NAMED);
    all.truncate(NAMED);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all.join(", ")
}
