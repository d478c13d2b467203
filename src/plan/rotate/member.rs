//! A member of etcd that runs as a service, on a control plane or on the witness: kubeadm and kubelet know nothing of it, so
//! its certificates and its restarts are steps of their own. Where etcd is a static pod there is none of this.

use std::collections::BTreeMap;

use super::{
    change, item,
    node::lacks,
    world::{Node, Pair},
};
use crate::{
    kind::{Context, etcd_certificate as certificate},
    model::{
        etcd::EtcdLayout,
        op::Op,
        plan::{Item, Verdict},
    },
    pki::Authority,
};

pub const STEP: &str = "rotate.etcd";
/// As `since` of a node's answer has it, whichever way it runs.
pub const PROGRAM: &str = "etcd";

/// Whom the member trusts.
pub const AUTHORITY: &str = EtcdLayout::Service.ca_certificate();
/// What it shows, to clients and to other members.
pub const LEAF: &str = EtcdLayout::Service.client_certificate().0;

/// Whether it runs since before whom it shall trust was written; a new certificate of its own it reads by itself.
pub fn runs_before(node: &Node<'_>) -> bool {
    let written = node.sight.files.get(AUTHORITY).map_or(0, |file| file.written);
    node.has_service && node.sight.since.get(PROGRAM).is_none_or(|since| *since < written)
}

/// Whether its certificate is another authority's than the new one's.
pub fn lacks_leaf(node: &Node<'_>, pairs: &BTreeMap<Authority, Pair>) -> bool {
    let own = node.sight.certificates(LEAF).first();
    node.has_service && !own.is_some_and(|own| pairs[&Authority::Etcd].new.signed(own))
}

/// Whether it does not trust the new authority.
pub fn distrusts(node: &Node<'_>, pairs: &BTreeMap<Authority, Pair>) -> bool {
    node.has_service && lacks(node.sight.certificates(AUTHORITY), &pairs[&Authority::Etcd].new)
}

/// It reads whom it trusts, where that changes (`writes`) or has changed since it began. None where there is no such member.
pub fn rereads(node: &Node<'_>, context: &Context<'_>, writes: bool) -> Option<Item> {
    let due = writes || runs_before(node);
    node.has_service.then(|| step(node, "its member of etcd has read it", due, || vec![certificate::reread(context)]))
}

/// Its certificate is the new authority's, and is what it shows.
pub fn reissued(node: &Node<'_>, context: &Context<'_>, pairs: &BTreeMap<Authority, Pair>) -> Option<Item> {
    let lacking = lacks_leaf(node, pairs);
    let due = lacking || !node.shows(EtcdLayout::CLIENT_PORT, LEAF) || runs_before(node);
    let ops = || lacking.then(certificate::reissue).into_iter().chain([certificate::reread(context)]).collect();
    node.has_service.then(|| step(node, "the certificate of its member of etcd is theirs", due, ops))
}

fn step(node: &Node<'_>, title: &str, due: bool, ops: impl FnOnce() -> Vec<Op>) -> Item {
    let verdict = match due {
        false => Verdict::Satisfied,
        true => change(
            vec![format!("~ {}", EtcdLayout::UNIT)],
            ops(),
            Some(&format!("etcd's member on {} restarts", node.spec.name)),
        ),
    };
    item(STEP, title, verdict)
}
