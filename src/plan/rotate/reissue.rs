//! The new authorities sign, and everything is signed anew.

use std::collections::BTreeMap;

use super::{
    away::op,
    change, gate, item, member,
    node::{kubelet_is_of, lacks, missing_leaves, servers, servers_run_before, surrounded, unshown},
    world::{Node, Pair, World},
};
use crate::{
    kind::{
        renew,
        rotate::{self, AUTHORITIES, SIGNING},
        upgrade,
    },
    model::{
        op::ClusterOp,
        plan::{Chain, Item, Owner, Plan, Verdict},
    },
    pki::{Authority, SharedPath, Trusted, bundle_text, union},
};

const TOKENS_S: u32 = 60;

pub fn plan(world: &World<'_>) -> Plan {
    let Some(pairs) = &world.pairs else { return Plan::default() };
    let mut chains: Vec<Chain> = world
        .nodes
        .iter()
        .map(|node| {
            let items = match node.spec.is_control_plane() {
                true => control_plane(world, node, pairs),
                false => worker(world, node, pairs),
            };
            Chain { owner: node.owner(), items: surrounded(world, node, items) }
        })
        .collect();
    let asks =
        |chain: &Chain| chain.items.iter().flat_map(|item| item.verdict.ops()).any(|op| op.kind == "kubelet.bootstrap");
    let verdict = match chains.iter().any(asks) || !world.live.tokens.is_empty() {
        true => {
            let op = op("cluster.tokens", "remove bootstrap tokens", ClusterOp::DeleteTokens, TOKENS_S);
            change(vec!["- the token that kubelets asked with".to_owned()], vec![op], None)
        }
        false => Verdict::Satisfied,
    };
    chains.push(Chain {
        owner: Owner::Cluster,
        items: vec![item("rotate.tokens", "no bootstrap token is left", verdict)],
    });
    gate(world.spec, &mut chains);
    Plan { chains, ..Plan::default() }
}

/// The new one first, by which kubeadm signs, and all others as they are.
fn new_first(there: &[Trusted], pair: &Pair) -> Vec<Trusted> {
    let mut all = vec![pair.new.clone()];
    all.extend(there.iter().filter(|one| one.sha256 != pair.new.sha256).cloned());
    if lacks(&all, &pair.old) {
        all.push(pair.old.clone());
    }
    all
}

fn control_plane(world: &World<'_>, node: &Node<'_>, pairs: &BTreeMap<Authority, Pair>) -> Vec<Item> {
    let kubernetes = &pairs[&Authority::Kubernetes];
    let files: Vec<(SharedPath, Vec<Trusted>)> = AUTHORITIES
        .into_iter()
        .map(|authority| {
            let path = authority.files().0;
            (path, new_first(node.certificates(path), &pairs[&authority]))
        })
        .collect();
    let text = bundle_text(&files[0].1);
    let ca_crt = union([text.as_str()]).unwrap_or_default();
    let context = world.context(node, &ca_crt, world.identity());
    let switched = AUTHORITIES.iter().all(|authority| node.signs_with(*authority, &pairs[authority].new))
        && files.iter().all(|(path, wanted)| node.certificates(*path) == wanted.as_slice())
        && node.sight.certificates(SIGNING).first() == Some(&kubernetes.new);
    let authority = match switched {
        true => Verdict::Satisfied,
        false => {
            let line = |authority: &Authority| {
                format!("~ {authority}: {} -> {}", pairs[authority].old.serial, pairs[authority].new.serial)
            };
            change(AUTHORITIES.iter().map(line).collect(), vec![rotate::authority(&files, node.etcd)], None)
        }
    };
    let missing = missing_leaves(node, pairs);
    let leaves = match missing.is_empty() {
        true => Verdict::Satisfied,
        false => {
            change(missing.iter().map(|path| format!("~ {path}")).collect(), vec![renew::certificates(&context)], None)
        }
    };
    let kubelet = match kubelet_is_of(node, &kubernetes.new) {
        true => Verdict::Satisfied,
        false => change(
            vec!["~ its kubelet's certificate".to_owned()],
            renew::own_kubelet(&context),
            Some("kubelet restarts on a node that has joined"),
        ),
    };
    let shown = unshown(node).iter().all(|(_, path)| *path == member::LEAF);
    let due = !switched || !missing.is_empty() || !shown || servers_run_before(node);
    let mut items = vec![
        item("rotate.authority", "the new authorities sign", authority),
        item("rotate.leaves", "its certificates are theirs", leaves),
    ];
    items.extend(member::reissued(node, &context, pairs));
    items.extend([
        servers(node.etcd, due.then(|| vec![renew::servers(&context)])),
        item("rotate.kubelet", "its kubelet's certificate is theirs", kubelet),
    ]);
    items
}

fn worker(world: &World<'_>, node: &Node<'_>, pairs: &BTreeMap<Authority, Pair>) -> Vec<Item> {
    let kubernetes = &pairs[&Authority::Kubernetes];
    let text = bundle_text(node.certificates(SharedPath::CaCrt));
    let context = world.context(node, &text, world.identity());
    let verdict = match kubelet_is_of(node, &kubernetes.new) {
        true => Verdict::Satisfied,
        false => change(
            vec!["~ its kubelet's certificate".to_owned()],
            vec![renew::kubelet_by_token(&context), upgrade::restart()],
            Some("kubelet restarts on a node that has joined"),
        ),
    };
    let kubelet = item("rotate.kubelet", "its kubelet's certificate is of the new authority", verdict);
    member::reissued(node, &context, pairs).into_iter().chain([kubelet]).collect()
}
