//! The plan by which a cluster gets new certificates, whether it lives or all of them have expired. Pure.

use std::collections::BTreeSet;

use super::{
    after_preflight,
    away::{Away, LOOKS, settle},
    basis::Basis,
    build::Input,
    item,
};
use crate::{
    kind::{Context, renew},
    model::{
        etcd::EtcdLayout,
        live::Cluster,
        name::NodeName,
        node::NodeSpec,
        op::{ClusterOp, Op, Work},
        plan::{Chain, Change, Gate, Item, Owner, Plan, Refusal, Verdict},
        rolling::Word,
    },
};

const TOKENS_S: u32 = 60;

const CERTIFICATES: (&str, &str) = ("renew.certificates", "new certificates");
const ETCD: &str = "its member of etcd shows a new one";

/// What is known besides of the nodes' certificates.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// Nodes whose kubelets the cluster does not know any more: their certificates have expired, or are gone.
    pub kubelets: &'a BTreeSet<NodeName>,
    /// Whether this command has renewed all.
    pub renewed: bool,
}

/// The plan of the control planes: while the cluster lives one after the other; all at once where nobody is disturbed any
/// more, since a member of etcd with a new certificate alone makes no quorum.
pub fn control_planes(input: &Input, found: Found<'_>) -> Plan {
    let lives = matches!(input.cluster, Cluster::Live(_));
    let mut plan = Plan::default();
    let basis = Basis::of(input);
    let mut members: Vec<&NodeSpec> = input.spec.members().collect();
    // The witness of etcd comes last.
    members.sort_by_key(|node| !node.is_control_plane());
    for node in members {
        let items = basis.items(input, node, CERTIFICATES, |context| items(context, found, lives));
        plan.chains.push(Chain { owner: Owner::Node(node.name.clone()), items });
    }
    after_preflight(&mut plan);
    let mut previous: Option<NodeName> = None;
    for chain in &mut plan.chains {
        let Owner::Node(name) = chain.owner.clone() else { continue };
        let Some(last) = chain.items.iter().rposition(|item| item.verdict.is_change()).filter(|_| lives) else {
            continue;
        };
        let first = chain.items.iter().position(|item| item.verdict.is_change()).expect("there is a last");
        chain.items[first].waits.extend(previous.map(Gate::Turn));
        chain.items[last].opens = Some(Gate::Turn(name.clone()));
        previous = Some(name);
    }
    plan
}

/// The plan of the other kubelets, of a cluster that lives.
pub fn workers(input: &Input, found: Found<'_>) -> Plan {
    let mut plan = Plan::default();
    let basis = Basis::of(input);
    for node in input.spec.workers().filter(|node| found.kubelets.contains(&node.name)) {
        let items = basis.items(input, node, CERTIFICATES, |context| {
            let change = Change {
                diff: vec!["~ its kubelet's certificate".to_owned()],
                ops: vec![renew::kubelet_by_token(context)],
                disrupts: None,
            };
            vec![item("renew.kubelet", "the cluster knows its kubelet", Verdict::Change(change))]
        });
        plan.chains.push(Chain { owner: Owner::Node(node.name.clone()), items });
    }
    after_preflight(&mut plan);
    if !plan.chains.is_empty() {
        let (what, call) = ("remove bootstrap tokens".to_owned(), ClusterOp::DeleteTokens);
        let op = Op { kind: "cluster.tokens", what, work: Work::Cluster(call), timeout_s: TOKENS_S };
        let diff = vec!["- the token that kubelets asked with".to_owned()];
        let verdict = Verdict::Change(Change { diff, ops: vec![op], disrupts: None });
        let mut tokens = item("renew.tokens", "no bootstrap token is left", verdict);
        tokens.waits.push(Gate::NodesSettled);
        plan.chains.push(Chain { owner: Owner::Cluster, items: vec![tokens] });
    }
    plan
}

fn items(context: &Context<'_>, found: Found<'_>, lives: bool) -> Vec<Item> {
    let there = &context.seen.facts.kubernetes;
    if !context.node.is_control_plane() {
        return vec![match found.renewed {
            true => item("renew.etcd", ETCD, Verdict::Satisfied),
            false => item("renew.etcd", ETCD, etcd(context, lives)),
        }];
    }
    if !there.manifests.iter().any(|name| name == "kube-apiserver.yaml") || there.shared_pki.len() < 8 {
        let refusal = Refusal {
            reason: "it is no whole control plane: it lacks static pods, or the cluster's authorities".to_owned(),
            hint: "kbootstrap up finishes what was begun; certificates that lie elsewhere are renewed there".to_owned(),
        };
        return vec![item(CERTIFICATES.0, CERTIFICATES.1, Verdict::Refused(refusal))];
    }
    let change = |diff: &str, ops, disrupts: Option<&str>| {
        Verdict::Change(Change {
            diff: diff.lines().map(str::to_owned).collect(),
            ops,
            disrupts: disrupts.map(str::to_owned),
        })
    };
    if found.renewed {
        return vec![item(CERTIFICATES.0, CERTIFICATES.1, Verdict::Satisfied)];
    }
    let diff = "~ every certificate and its key, signed anew; what was there is kept aside";
    let mut items = vec![item(CERTIFICATES.0, CERTIFICATES.1, change(diff, vec![renew::certificates(context)], None))];
    if found.kubelets.contains(&context.node.name) {
        let ops = renew::own_kubelet(context);
        items.push(item(
            "renew.kubelet",
            "the cluster knows its kubelet",
            change("~ its kubelet's certificate", ops, None),
        ));
    }
    let ops = vec![renew::servers(context)];
    let diff = "~ etcd, API server, controllers, scheduler: restarted";
    let service = context.spec.etcd == EtcdLayout::Service;
    if !lives {
        items.extend(service.then(|| item("renew.etcd", ETCD, etcd(context, lives))));
        items.push(item("renew.servers", "servers show the new ones", change(diff, ops, None)));
        return items;
    }
    let around = Away { spec: context.spec, node: context.node, prefix: "renew." };
    let disrupts = "etcd and the API server of this control plane restart";
    items.extend(around.away());
    items.extend(service.then(|| item("renew.etcd", ETCD, etcd(context, lives))));
    items.push(item("renew.servers", "servers show the new ones", change(diff, ops, Some(disrupts))));
    let well = settle(context.spec, &context.node.name, None, None, LOOKS, Word::Kubelet);
    items.push(item("renew.settled", "this control plane is well", change("", vec![well], None)));
    items.push(around.back());
    items
}

/// A member of etcd as a service: kubeadm knows nothing of it.
fn etcd(context: &Context<'_>, lives: bool) -> Verdict {
    Verdict::Change(Change {
        diff: vec!["~ the certificate of its member of etcd, signed anew".to_owned()],
        ops: vec![renew::member(context, lives)],
        disrupts: lives.then(|| format!("etcd's member on {} restarts", context.node.name)),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        kind,
        model::observe::{Observation, Seen},
    };

    fn plan(cluster: Cluster, kubelets: &[&str], change: impl Fn(&str, &mut Seen)) -> Plan {
        let spec = kind::testing::spec();
        let observations = spec.nodes.iter().map(|node| {
            let mut seen = Seen::default();
            let there = &mut seen.facts.kubernetes;
            there.manifests = vec!["kube-apiserver.yaml".into()];
            there.shared_pki = vec![String::new(); 8];
            change(node.name.as_str(), &mut seen);
            (node.name.clone(), Observation::Seen(Box::new(seen)))
        });
        let input = Input {
            spec: &spec,
            steps: &BTreeMap::new(),
            cluster_steps: &[],
            observations: &observations.collect(),
            cluster: &cluster,
        };
        let kubelets = kubelets.iter().map(|name| name.parse().unwrap()).collect();
        control_planes(&input, Found { kubelets: &kubelets, renewed: false })
    }

    fn steps(plan: &Plan) -> Vec<String> {
        let item = |(owner, item): (&Owner, &Item)| {
            let turn = if item.waits.iter().any(|gate| matches!(gate, Gate::Turn(_))) { " in its turn" } else { "" };
            format!("{owner} {}{turn}", item.step)
        };
        plan.items().map(item).collect()
    }

    #[test]
    fn a_living_cluster_is_taken_one_by_one_and_a_dead_one_at_once() {
        let live = plan(Cluster::Live(Box::default()), &[], |_, _| {});
        let one = ["certificates", "others", "leader", "divert", "servers", "settled", "return"];
        let all = ["cp1", "cp2", "cp3"].map(|node| {
            let turn = if node == "cp1" { "" } else { " in its turn" };
            one.map(|step| format!("{node} renew.{step}{}", if step == "certificates" { turn } else { "" }))
        });
        assert_eq!(steps(&live), all.concat(), "nobody asks an API server while it and its etcd restart");
        let dead = plan(Cluster::Unknown { reason: "expired".into() }, &["cp2", "w1"], |_, _| {});
        assert_eq!(steps(&dead).iter().filter(|step| step.ends_with("turn")).count(), 0);
        assert!(steps(&dead).contains(&"cp2 renew.kubelet".to_owned()));
    }

    #[test]
    fn who_has_no_authority_signs_nothing() {
        let half = plan(Cluster::Unknown { reason: "?".into() }, &[], |name, seen| {
            if name == "cp3" {
                seen.facts.kubernetes.shared_pki.pop();
            }
        });
        assert_eq!(half.refusals().count(), 1);
    }
}
