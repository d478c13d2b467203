//! Whether a phase may begin: not before the one before it is behind every node.

use super::{
    Phase, member,
    node::{lacks, missing_leaves, runs_before, unshown},
    world::{Node, World, refused},
};
use crate::{
    kind::rotate::{AUTHORITIES, CONFIGS, FOLDER, KUBELET},
    model::{
        etcd::EtcdLayout,
        plan::{Chain, Owner},
    },
    pki::{Authority, bundle},
    render::endpoint::CA_PATH,
};

const AGAIN: &str = "kbootstrap certs rotate-ca INVENTORY start goes on from what is there";
const ON: &str = "kbootstrap certs rotate-ca INVENTORY continue goes on from what is there";

/// A chain for everybody who is not as far as that; none where all are.
pub fn refusals(world: &World<'_>, phase: Phase) -> Vec<Chain> {
    let mut all: Vec<Chain> = Vec::new();
    for node in &world.nodes {
        let mut reasons = whole(world, node);
        if reasons.is_empty() {
            reasons = match phase {
                Phase::Start => started(world, node),
                Phase::Continue => hinted(untrusting(world, node), AGAIN),
                Phase::Finish => hinted(unissued(world, node), ON),
            };
        }
        if !reasons.is_empty() {
            all.push(refused(node.owner(), reasons));
        }
    }
    let cluster = cluster(world, phase);
    if !cluster.is_empty() {
        all.push(refused(Owner::Cluster, cluster));
    }
    all
}

fn hinted(missing: Vec<String>, hint: &str) -> Vec<(String, String)> {
    missing.into_iter().map(|reason| (reason, hint.to_owned())).collect()
}

/// A node must be in the cluster, wholly.
fn whole(world: &World<'_>, node: &Node<'_>) -> Vec<(String, String)> {
    let there = &node.seen.facts.kubernetes;
    let joined =
        there.configs.iter().any(|name| name == "kubelet.conf") && world.live.nodes.contains_key(&node.spec.name);
    if node.has_service && node.sight.keys.contains_key(EtcdLayout::Stacked.ca_key()) {
        let reason = format!("the key of etcd's authority lies in {}", EtcdLayout::Stacked.ca_key());
        return vec![(reason, "kbootstrap up moves it out of what kubeadm reads".to_owned())];
    }
    let has_member = !node.has_service || !node.sight.certificates(member::LEAF).is_empty();
    let control = !node.spec.is_control_plane()
        || (there.shared_pki.len() == 8 && there.manifests.iter().any(|name| name == "kube-apiserver.yaml"));
    match joined && control && has_member {
        true => Vec::new(),
        // A kubelet that was asking for its certificate when its run died is seen to by `continue`.
        false if world.pairs.is_some() && control && has_member && world.live.nodes.contains_key(&node.spec.name) => {
            Vec::new()
        }
        false => vec![("it is not wholly in the cluster".to_owned(), "finish that first: kbootstrap up".to_owned())],
    }
}

fn started(world: &World<'_>, node: &Node<'_>) -> Vec<(String, String)> {
    let Some(pairs) = &world.pairs else { return Vec::new() };
    let new = |authority: &Authority| node.signs_with(*authority, &pairs[authority].new);
    match node.spec.is_control_plane() && AUTHORITIES.iter().any(new) {
        true => vec![("the new authorities sign here already".to_owned(), ON.to_owned())],
        false => Vec::new(),
    }
}

/// What on a node does not trust the new authorities, or has not read that it shall.
fn untrusting(world: &World<'_>, node: &Node<'_>) -> Vec<String> {
    let Some(pairs) = &world.pairs else { return Vec::new() };
    let (sight, kubernetes) = (&node.sight, &pairs[&Authority::Kubernetes].new);
    let mut missing = Vec::new();
    for authority in AUTHORITIES {
        let path = node.at(authority.files().0);
        let concerns = node.spec.is_control_plane() || authority == Authority::Kubernetes;
        if concerns && lacks(sight.certificates(&path), &pairs[&authority].new) {
            missing.push(format!("{path} lacks the new authority"));
        }
    }
    if member::distrusts(node, pairs) {
        missing.push(format!("{} lacks the new authority", member::AUTHORITY));
    }
    if world.has_proxies() && lacks(sight.certificates(CA_PATH), kubernetes) {
        missing.push(format!("{CA_PATH} lacks the new authority"));
    }
    for name in CONFIGS {
        let path = format!("/etc/kubernetes/{name}");
        if sight.trust.get(&path).is_some_and(|trust| lacks(&trust.certificates, kubernetes)) {
            missing.push(format!("{path} does not trust the new authority"));
        }
    }
    // Who has begun with the next phase is judged by that one.
    let reissued = sight.certificates(KUBELET).first().is_some_and(|own| kubernetes.signed(own));
    let begun = node.spec.is_control_plane() && AUTHORITIES.iter().any(|it| node.signs_with(*it, &pairs[it].new));
    if node.spec.is_control_plane() && !node.is_staged() {
        missing.push(format!("{FOLDER} does not hold all authorities, old and new"));
    }
    if !reissued && !begun {
        missing.extend(
            runs_before(node).into_iter().map(|name| format!("{name} runs since before it was told to trust them")),
        );
    }
    missing
}

/// What on a node is not of the new authorities.
fn unissued(world: &World<'_>, node: &Node<'_>) -> Vec<String> {
    let Some(pairs) = &world.pairs else { return Vec::new() };
    let kubernetes = &pairs[&Authority::Kubernetes].new;
    let mut missing = Vec::new();
    if !node.sight.certificates(KUBELET).first().is_some_and(|own| kubernetes.signed(own)) {
        missing.push("its kubelet has a certificate of the old authority".to_owned());
    }
    let mut leaves = Vec::new();
    if node.spec.is_control_plane() {
        let old = AUTHORITIES.into_iter().filter(|authority| !node.signs_with(*authority, &pairs[authority].new));
        missing.extend(old.map(|authority| format!("{authority} is still the old one here")));
        leaves = missing_leaves(node, pairs);
    }
    leaves.extend(member::lacks_leaf(node, pairs).then(|| member::LEAF.to_owned()));
    missing.extend(leaves.into_iter().map(|path| format!("{path} is not signed by the new authority")));
    missing.extend(unshown(node).into_iter().map(|(port, path)| format!("port {port} does not show {path}")));
    missing
}

fn cluster(world: &World<'_>, phase: Phase) -> Vec<(String, String)> {
    let mut reasons = Vec::new();
    let mut refuse = |reason: String, hint: &str| reasons.push((reason, hint.to_owned()));
    let trusting = match world.input.trusting {
        Ok(trusting) => trusting,
        Err(why) => {
            refuse(format!("whom the cluster's objects trust is not known: {why}"), "kbootstrap status");
            return reasons;
        }
    };
    let Some(pairs) = &world.pairs else {
        let several = world.control_planes().any(|node| node.certificates(Authority::Kubernetes.files().0).len() > 1);
        match phase {
            Phase::Start => {}
            Phase::Finish if !several => {}
            Phase::Continue | Phase::Finish => refuse(
                "no control plane keeps new authorities: nothing was begun".to_owned(),
                "kbootstrap certs rotate-ca INVENTORY start",
            ),
        }
        return reasons;
    };
    if phase != Phase::Continue {
        return reasons;
    }
    let (kubernetes, front_proxy) = (&pairs[&Authority::Kubernetes].new, &pairs[&Authority::FrontProxy].new);
    let trusts = |text: Option<&str>, new| text.is_some_and(|text| !lacks(&bundle(text).unwrap_or_default(), new));
    let objects = [
        ("cluster-info", trusts(trusting.cluster_info.as_deref(), kubernetes)),
        ("client-ca-file of extension-apiserver-authentication", trusts(trusting.clients.as_deref(), kubernetes)),
        (
            "requestheader-client-ca-file of extension-apiserver-authentication",
            trusts(trusting.front_proxy.as_deref(), front_proxy),
        ),
    ];
    for (name, _) in objects.iter().filter(|(_, trusts)| !trusts) {
        refuse(format!("{name} lacks the new authority"), AGAIN);
    }
    for (namespace, _) in trusting.namespaces.iter().filter(|(_, text)| !trusts(text.as_deref(), kubernetes)) {
        refuse(format!("kube-root-ca.crt of namespace {namespace} lacks the new authority"), AGAIN);
    }
    let noted = trusting.record.as_ref().is_some_and(|record| record.authority == kubernetes.sha256);
    if !noted {
        refuse("it was not noted since when all trust the new authority".to_owned(), AGAIN);
    }
    reasons
}
