//! What was seen of an exchange of authorities, put in order.

use std::collections::BTreeMap;

use super::{super::basis::Basis, Input, item};
use crate::{
    kind::{
        Context,
        rotate::{AUTHORITIES, FOLDER, Sight},
    },
    model::{
        cluster::{ClusterSpec, NodeSpec},
        etcd::EtcdLayout,
        facts::ClusterIdentity,
        live::{Cluster, Live},
        observe::{Observation, Seen},
        plan::{Chain, Owner, Refusal, Verdict},
    },
    pki::{Authority, SharedPath, Trusted},
};

/// An authority, and the one that takes its place.
#[derive(Clone, Debug)]
pub struct Pair {
    pub old: Trusted,
    pub new: Trusted,
}

/// One node of a cluster, of which everything was seen.
pub struct Node<'a> {
    pub spec: &'a NodeSpec,
    pub etcd: EtcdLayout,
    /// Whether it has a member of etcd that runs as a service.
    pub has_service: bool,
    pub seen: &'a Seen,
    pub sight: Sight,
}

pub struct World<'a> {
    pub input: &'a Input<'a>,
    pub spec: &'a ClusterSpec,
    pub live: &'a Live,
    pub nodes: Vec<Node<'a>>,
    /// Absent where no control plane keeps new ones.
    pub pairs: Option<BTreeMap<Authority, Pair>>,
    basis: Basis<'a>,
}

impl<'a> World<'a> {
    /// Puts it in order; or says of each node what is not known of it.
    pub fn of(input: &'a Input<'a>) -> Result<Self, Vec<Chain>> {
        let base = &input.base;
        let Cluster::Live(live) = base.cluster else {
            let why = match base.cluster {
                Cluster::Unknown { reason } => reason.clone(),
                _ => "there is no cluster yet".to_owned(),
            };
            return Err(vec![refused(Owner::Cluster, vec![(why, "kbootstrap status".to_owned())])]);
        };
        let (mut nodes, mut unknown) = (Vec::new(), Vec::new());
        for spec in &base.spec.nodes {
            let sight = match base.observations.get(&spec.name) {
                Some(Observation::Seen(seen)) => Sight::of(seen).map(|sight| (seen, sight)),
                Some(Observation::Unknown { error, .. }) => Err(error.clone()),
                None => Err("it was not looked at".to_owned()),
            };
            match sight {
                Ok((seen, sight)) => {
                    let etcd = base.spec.etcd;
                    let has_service = etcd == EtcdLayout::Service && base.spec.is_member(spec);
                    nodes.push(Node { spec, etcd, has_service, seen, sight });
                }
                Err(why) => unknown.push(refused(
                    Owner::Node(spec.name.clone()),
                    vec![(
                        format!("what it trusts is not known: {why}"),
                        "bring it back; one that is gone for good leaves by kbootstrap node remove --dead".to_owned(),
                    )],
                )),
            }
        }
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let pairs = pairs(&nodes)?;
        Ok(Self { input, spec: base.spec, live, nodes, pairs, basis: Basis::of(base) })
    }

    pub fn control_planes(&self) -> impl Iterator<Item = &Node<'a>> {
        self.nodes.iter().filter(|node| node.spec.is_control_plane())
    }

    /// The identity that the cluster has now.
    pub fn identity(&self) -> Option<&ClusterIdentity> {
        self.basis.bearings.identity.as_ref()
    }

    /// What a node's steps are judged by, where it shall trust this authority and be of this identity.
    pub fn context<'c>(
        &'c self,
        node: &'c Node<'c>,
        ca_crt: &'c str,
        identity: Option<&'c ClusterIdentity>,
    ) -> Context<'c> {
        Context { ca_crt: Some(ca_crt), identity, ..self.basis.context(node.spec, node.seen) }
    }
}

impl Node<'_> {
    pub fn owner(&self) -> Owner {
        Owner::Node(self.spec.name.clone())
    }

    /// Where it has a shared file.
    pub fn at(&self, path: SharedPath) -> String {
        path.at(self.etcd)
    }

    /// The certificates in a shared file.
    pub fn certificates(&self, path: SharedPath) -> &[Trusted] {
        self.sight.certificates(&self.at(path))
    }

    /// Whether the certificate in this file is what is shown on a port.
    pub fn shows(&self, port: u16, path: &str) -> bool {
        let own = self.sight.certificates(path).first();
        own.is_some() && self.sight.live.get(&port) == own
    }

    /// Whether it keeps all authorities, old and new, with their keys.
    pub fn is_staged(&self) -> bool {
        ["old", "new"].iter().all(|which| {
            AUTHORITIES.iter().all(|authority| {
                let (crt, key) = authority.files();
                let certificate = self.sight.certificates(&format!("{FOLDER}/{which}/{crt}")).first();
                let key = self.sight.keys.get(&format!("{FOLDER}/{which}/{key}"));
                certificate.is_some_and(|certificate| key == Some(&certificate.key_sha256))
            })
        })
    }

    /// Whether it is with this authority's key that this control plane signs.
    pub fn signs_with(&self, authority: Authority, certificate: &Trusted) -> bool {
        self.sight.keys.get(&self.at(authority.files().1)) == Some(&certificate.key_sha256)
    }
}

/// Old and new authorities as control planes keep them: those that keep any must keep the same.
fn pairs(nodes: &[Node<'_>]) -> Result<Option<BTreeMap<Authority, Pair>>, Vec<Chain>> {
    let mut all: BTreeMap<Authority, Pair> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.spec.is_control_plane()) {
        for authority in AUTHORITIES {
            let path = |which: &str| format!("{FOLDER}/{which}/{}", authority.files().0);
            let first = |which: &str| node.sight.certificates(&path(which)).first().cloned();
            let (Some(old), Some(new)) = (first("old"), first("new")) else { continue };
            let known = all.entry(authority).or_insert_with(|| Pair { old: old.clone(), new: new.clone() });
            if known.new != new || known.old != old {
                let reason = format!("{FOLDER} on it holds {authority} otherwise than another control plane does");
                let hint = format!("find out which is right, and move the other {FOLDER} away");
                return Err(vec![refused(node.owner(), vec![(reason, hint)])]);
            }
        }
    }
    Ok((all.len() == AUTHORITIES.len()).then_some(all))
}

/// A chain that says why nothing is done, with the way out.
pub fn refused(owner: Owner, reasons: Vec<(String, String)>) -> Chain {
    let refused = |(reason, hint)| Verdict::Refused(Refusal { reason, hint });
    let items = reasons.into_iter().map(|reason| item("rotate.guard", "it is as far as that", refused(reason)));
    Chain { owner, items: items.collect() }
}
