//! Whom everybody trusts: both authorities at the beginning, the new ones alone at the end.

use std::collections::BTreeMap;

use super::{
    away::op,
    change, gate, item, member,
    node::{lacks, restarted_kubelet, runs_before, servers, servers_run_before, steps, surrounded},
    world::{Node, Pair, World},
};
use crate::{
    kind::{
        renew,
        rotate::{self, AUTHORITIES, CONFIGS},
    },
    model::{
        facts::ClusterIdentity,
        op::ClusterOp,
        plan::{Chain, Item, Owner, Plan, Verdict},
    },
    pki::{Authority, Trusted, bundle_text, trusts_the_same, union},
};

/// The cluster's identity with the digest of its new authority.
pub const IDENTITY: &str = "rotate.identity";
const OBJECTS_S: u32 = 300;
const QUICK_S: u32 = 60;

/// Whom to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The old ones, which go on signing, and the new ones.
    Both,
    NewOnly,
}

pub fn plan(world: &World<'_>, trust: Trust) -> Plan {
    // After the end, and before the beginning was staged.
    let Some(pairs) = &world.pairs else { return Plan::default() };
    let identity = world.identity().map(|identity| match trust {
        Trust::Both => identity.clone(),
        Trust::NewOnly => {
            ClusterIdentity { ca_sha256: pairs[&Authority::Kubernetes].new.key_sha256.clone(), ..identity.clone() }
        }
    });
    let mut chains: Vec<Chain> = world
        .nodes
        .iter()
        .map(|node| Chain { owner: node.owner(), items: node_items(world, node, pairs, trust, identity.as_ref()) })
        .collect();
    let changes = chains.iter().flat_map(|chain| &chain.items).any(|item| item.verdict.is_change());
    let mut items = Vec::new();
    if let (Trust::NewOnly, Some(wanted)) = (trust, identity) {
        let verdict = match world.live.identity.as_ref() == Some(&wanted) {
            true => Verdict::Satisfied,
            false => {
                let diff = vec![format!("~ ca_sha256: {}", wanted.ca_sha256)];
                let op =
                    op("cluster.identity", "write the cluster's identity", ClusterOp::AdoptIdentity(wanted), QUICK_S);
                change(diff, vec![op], None)
            }
        };
        items.push(item(IDENTITY, "the cluster is known by its new authority", verdict));
    }
    items.push(objects(world, pairs, trust, changes));
    chains.push(Chain { owner: Owner::Cluster, items });
    gate(world.spec, &mut chains);
    Plan { chains, ..Plan::default() }
}

/// What a file of this authority shall hold, given what it holds.
fn wanted(there: &[Trusted], pair: &Pair, trust: Trust) -> Vec<Trusted> {
    let mut all = there.to_vec();
    match trust {
        Trust::Both => {
            if lacks(there, &pair.new) {
                all.push(pair.new.clone());
            }
        }
        Trust::NewOnly => {
            all.retain(|one| one.sha256 != pair.old.sha256);
            if lacks(&all, &pair.new) {
                all.insert(0, pair.new.clone());
            }
        }
    }
    all
}

fn node_items(
    world: &World<'_>,
    node: &Node<'_>,
    pairs: &BTreeMap<Authority, Pair>,
    trust: Trust,
    identity: Option<&ClusterIdentity>,
) -> Vec<Item> {
    let control_plane = node.spec.is_control_plane();
    let mut files: Vec<(String, Vec<Trusted>)> = Vec::new();
    let mut diff = Vec::new();
    let mut trusted = Vec::new();
    let concerns = AUTHORITIES.into_iter().filter(|authority| control_plane || *authority == Authority::Kubernetes);
    let shared = concerns.map(|authority| (authority, node.at(authority.files().0)));
    for (authority, name) in shared.chain(node.has_service.then(|| (Authority::Etcd, member::AUTHORITY.to_owned()))) {
        let there = node.sight.certificates(&name);
        let wanted = wanted(there, &pairs[&authority], trust);
        if authority == Authority::Kubernetes {
            trusted.clone_from(&wanted);
        }
        if wanted == there {
            continue;
        }
        diff.extend(there.iter().filter(|one| lacks(&wanted, one)).map(|one| format!("- {name}: {}", one.serial)));
        diff.extend(wanted.iter().filter(|one| lacks(there, one)).map(|one| format!("+ {name}: {}", one.serial)));
        files.push((name, wanted));
    }
    for name in CONFIGS {
        let path = format!("/etc/kubernetes/{name}");
        let Some(there) = node.sight.trust.get(&path) else { continue };
        let differs = trusted.iter().any(|one| lacks(&there.certificates, one))
            || there.certificates.iter().any(|one| lacks(&trusted, one));
        if differs {
            diff.push(format!("~ {path}: trusts what ca.crt does"));
        }
    }
    let texts = bundle_text(&trusted);
    let ca_crt = union([texts.as_str()]).unwrap_or_default();
    let context = world.context(node, &ca_crt, identity);
    let writes = !diff.is_empty();
    let member_writes = files.iter().any(|(path, _)| path == member::AUTHORITY);
    let verdict = match writes {
        true => change(diff, vec![rotate::trust(&files)], None),
        false => Verdict::Satisfied,
    };
    let title = match trust {
        Trust::Both => "it trusts old and new authorities",
        Trust::NewOnly => "it trusts the new authorities alone",
    };
    // The controller manager signs with one certificate: it must be told of another file before this one has two, and of
    // this one again when it has one.
    let pods = steps(world, &context, true);
    let mut items = vec![item("rotate.trust", title, verdict)];
    match trust {
        Trust::Both => drop(items.splice(0..0, pods)),
        Trust::NewOnly => items.extend(pods),
    }
    items.extend(steps(world, &context, false));
    items.extend(member::rereads(node, &context, member_writes));
    if control_plane {
        let due = writes || servers_run_before(node);
        let proof = (trust == Trust::Both).then(rotate::prove);
        let ops = || std::iter::once(renew::servers(&context)).chain(proof).collect();
        items.push(servers(node.etcd, due.then(ops)));
    }
    items.push(match writes || runs_before(node).contains(&"kubelet") {
        true => restarted_kubelet(),
        false => item("rotate.kubelet", "its kubelet has read it", Verdict::Satisfied),
    });
    surrounded(world, node, items)
}

/// The cluster's objects, after all nodes.
fn objects(world: &World<'_>, pairs: &BTreeMap<Authority, Pair>, trust: Trust, changes: bool) -> Item {
    let text = |authority: Authority| {
        // A control plane that is not there yet has another list; the first one's is everybody's in the end.
        let first = world.control_planes().next().expect("an inventory has a control plane");
        let all = wanted(first.certificates(authority.files().0), &pairs[&authority], trust);
        let all = bundle_text(&all);
        union([all.as_str()]).unwrap_or_default()
    };
    let (kubernetes, front_proxy) = (text(Authority::Kubernetes), text(Authority::FrontProxy));
    let authority = &pairs[&Authority::Kubernetes].new.sha256;
    let trusts = |text: Option<&str>, wanted: &str| text.is_some_and(|text| trusts_the_same(text, wanted));
    let right = world.input.trusting.is_ok_and(|seen| {
        trusts(seen.cluster_info.as_deref(), &kubernetes)
            && trusts(seen.clients.as_deref(), &kubernetes)
            && trusts(seen.front_proxy.as_deref(), &front_proxy)
            && seen.namespaces.values().all(|text| trusts(text.as_deref(), &kubernetes))
            && (trust == Trust::NewOnly || seen.record.as_ref().is_some_and(|record| record.authority == *authority))
    });
    let title = "the cluster's objects trust the same";
    if right && !changes {
        return item("rotate.objects", title, Verdict::Satisfied);
    }
    let record = (trust == Trust::Both).then(|| authority.clone());
    let call = ClusterOp::Trust { kubernetes, front_proxy, record };
    let what = "let cluster-info, extension API servers and every namespace trust the same";
    let diff =
        vec!["~ cluster-info, extension-apiserver-authentication, kube-root-ca.crt of every namespace".to_owned()];
    item("rotate.objects", title, change(diff, vec![op("cluster.trust", what, call, OBJECTS_S)], None))
}
