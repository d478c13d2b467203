//! What is made once in a cluster's life: the authorities and the identity.

use rand::CryptoRng;
use time::OffsetDateTime;

use super::ActionError;
use super::found::Found;
use crate::model::facts::ClusterIdentity;
use crate::model::name::{ClusterName, NodeName};
use crate::pki::{Authorities, Authority, PkiError, SharedFile, bundle};

/// Authorities and identity of one cluster, which belong together: the identity holds the authority's digest.
#[derive(Clone, Debug)]
pub(super) struct Genesis {
    pub(super) authorities: Authorities,
    pub(super) identity: ClusterIdentity,
}

impl Genesis {
    /// Those of a cluster that is being formed: what its leader already has from an attempt that did not finish is
    /// used, the rest is made. Nothing that another node may have got is ever made a second time, because nothing
    /// leaves this program before the leader holds it.
    pub(super) fn form(
        leader: &NodeName,
        name: &ClusterName,
        found: Found,
        now: OffsetDateTime,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, ActionError> {
        if let Some(other) = found.identity.as_ref().filter(|identity| identity.name != name.as_str()) {
            return Err(ActionError::new(
                format!("form cluster {name}"),
                format!("{leader} carries the identity of cluster {}", other.name),
            )
            .hint("is this the right machine? if so, reset it first"));
        }
        let authorities = complete(found.pki, now, rng).map_err(|cause| unfit(leader, cause))?;
        let ca_sha256 = authorities.ca_sha256().map_err(|error| unfit(leader, error.to_string()))?;
        let id = found.identity.map_or_else(|| cluster_id(rng), |identity| identity.id);
        Ok(Self { authorities, identity: ClusterIdentity { id, name: name.to_string(), ca_sha256 } })
    }

    /// Those of a cluster that lives, as one of its control planes has them. `known` is the identity by the API.
    pub(super) fn take(
        node: &NodeName,
        found: Found,
        known: Option<&ClusterIdentity>,
        now: OffsetDateTime,
    ) -> Result<Self, ActionError> {
        let authorities = Authorities::parse(&found.pki, now).map_err(|error| unfit(node, error.to_string()))?;
        // While the authority is exchanged for another both are there, and the cluster is still known by the old one.
        let trusted = bundle(&authorities.kubernetes.certificate).map_err(|why| unfit(node, why))?;
        let identity = known.cloned().or(found.identity).ok_or_else(|| {
            unfit(node, String::from("neither its API nor its disk holds an identity: this program did not form it"))
        })?;
        if trusted.iter().all(|one| one.key_sha256 != identity.ca_sha256) {
            return Err(unfit(node, format!("its ca.crt is not the authority of cluster {}", identity.name)));
        }
        Ok(Self { authorities, identity })
    }
}

fn unfit(node: &NodeName, cause: String) -> ActionError {
    ActionError::new(format!("use the authorities of {node}"), cause)
}

/// Takes each authority that is there whole, and makes those of which nothing is there.
fn complete(mut found: Vec<SharedFile>, now: OffsetDateTime, rng: &mut impl CryptoRng) -> Result<Authorities, String> {
    let made = Authorities::generate(now, rng).map_err(|error| error.to_string())?;
    for authority in [Authority::Kubernetes, Authority::FrontProxy, Authority::Etcd, Authority::ServiceAccounts] {
        let (public, key) = authority.files();
        let has = |path| found.iter().any(|file| file.path == path);
        match (has(public), has(key)) {
            (true, true) => {}
            (false, false) => {
                found.extend([public, key].map(|path| SharedFile { path, content: made.content(path) }));
            }
            (true, false) => return Err(format!("{} (but {public} is there)", PkiError::Missing(key))),
            (false, true) => return Err(format!("{} (but {key} is there)", PkiError::Missing(public))),
        }
    }
    Authorities::parse(&found, now).map_err(|error| error.to_string())
}

/// 16 random bytes, hex.
fn cluster_id(rng: &mut impl CryptoRng) -> String {
    let mut bytes = [0_u8; 16];
    rng.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::pki::SharedPath;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    fn form(found: Found, seed: u64) -> Result<Genesis, ActionError> {
        let (leader, name) = (NodeName::new("cp1").unwrap(), ClusterName::new("lab").unwrap());
        Genesis::form(&leader, &name, found, now(), &mut StdRng::seed_from_u64(seed))
    }

    #[test]
    fn what_the_leader_has_is_kept() {
        let first = form(Found::default(), 1).unwrap();
        assert_eq!(first.identity.id.len(), 32);
        let left = |pki| Found { pki, identity: Some(first.identity.clone()) };
        let second = form(left(first.authorities.files()), 2).unwrap();
        assert_eq!(second.authorities, first.authorities);
        assert_eq!(second.identity, first.identity);

        // The leader got only some of the pairs: those stay, and the digest is the one of what is used.
        let mut some = first.authorities.files();
        some.retain(|file| !matches!(file.path, SharedPath::CaCrt | SharedPath::CaKey));
        let third = form(left(some), 3).unwrap();
        assert_eq!(third.authorities.etcd, first.authorities.etcd);
        assert_ne!(third.authorities.kubernetes, first.authorities.kubernetes);
        assert_eq!(third.identity.id, first.identity.id);
        assert_eq!(third.identity.ca_sha256, third.authorities.ca_sha256().unwrap());
    }

    #[test]
    fn half_a_pair_and_another_cluster_are_refused() {
        let first = form(Found::default(), 1).unwrap();
        let mut files = first.authorities.files();
        files.retain(|file| file.path != SharedPath::EtcdCaKey);
        let error = form(Found { pki: files, identity: None }, 2).unwrap_err();
        assert_eq!(error.cause, "etcd/ca.key is missing (but etcd/ca.crt is there)");
        let identity = Some(ClusterIdentity { name: "other".into(), ..first.identity });
        assert!(form(Found { pki: vec![], identity }, 2).unwrap_err().cause.ends_with("of cluster other"));
    }

    #[test]
    fn a_living_clusters_authority_must_be_the_known_one() {
        let (first, other) = (form(Found::default(), 1).unwrap(), form(Found::default(), 2).unwrap());
        let cp1 = NodeName::new("cp1").unwrap();
        let found = || Found { pki: first.authorities.files(), identity: None };
        assert!(Genesis::take(&cp1, found(), Some(&first.identity), now()).is_ok());
        assert!(Genesis::take(&cp1, found(), Some(&other.identity), now()).is_err());
        assert!(Genesis::take(&cp1, found(), None, now()).is_err());
        // While one is exchanged for the other, whichever signs: the cluster is known by either.
        let mut files = found();
        let crt = files.pki.iter_mut().find(|file| file.path == SharedPath::CaCrt).unwrap();
        let both = format!("{}{}", crt.content.expose(), other.authorities.kubernetes.certificate);
        crt.content = crate::model::secret::Secret::new(both);
        assert!(Genesis::take(&cp1, files, Some(&other.identity), now()).is_ok());
    }
}
