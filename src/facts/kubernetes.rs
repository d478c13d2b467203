//! Traces of Kubernetes on a node's disk.

use super::{
    error::FactError,
    listing::{KUBERNETES, Listing, RESTORE},
    texts::Texts,
};
use crate::model::{
    etcd::EtcdLayout,
    facts::{ClusterIdentity, Kubernetes},
};

const IDENTITY: &str = "/var/lib/kbootstrap/cluster.toml";
const CA: &str = "/etc/kubernetes/pki/ca.crt";

/// The eight files under `/etc/kubernetes/pki` that all control planes share.
const SHARED_PKI: [&str; 8] =
    ["ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"];

/// Small texts that [`parse`] needs.
pub const TEXTS: &[&str] = &[IDENTITY, CA];

/// All but what the control plane's programs say themselves, see [`super::control_plane`].
///
/// # Errors
/// A text could not be read, or `cluster.toml` is not ours.
pub fn parse(texts: &Texts, listing: &Listing) -> Result<Kubernetes, FactError> {
    let manifests = format!("{KUBERNETES}/manifests");
    Ok(Kubernetes {
        identity: texts.get(IDENTITY)?.map(identity).transpose()?,
        configs: owned(listing.names(KUBERNETES).filter(|name| name.ends_with(".conf"))),
        // kubelet ignores names with a dot first, and so do we: files that somebody is about to rename.
        manifests: owned(listing.names(&manifests).filter(|name| !name.starts_with('.'))),
        ca_crt: texts.get(CA)?.map(str::to_owned),
        shared_pki: owned(SHARED_PKI.into_iter().filter(|name| has_shared(listing, name))),
        etcd_data: has_member(listing, EtcdLayout::Stacked),
        etcd_service: has_member(listing, EtcdLayout::Service),
        etcd_taken: listing.has(EtcdLayout::KEPT_MANIFEST),
        restoring: listing.has(&format!("{RESTORE}/etcd.db")),
        etcd: None,
        readyz: None,
        encryption: None,
    })
}

/// The key of etcd's authority may lie in the place of either layout. In that of a service it is nothing without its
/// certificate: it is written before that, and a run may have died between the two.
fn has_shared(listing: &Listing, name: &str) -> bool {
    let in_folder = |name: &str| listing.has(&format!("{KUBERNETES}/pki/{name}"));
    let elsewhere = name == "etcd/ca.key" && listing.has(EtcdLayout::Service.ca_key());
    in_folder(name) || (elsewhere && in_folder("etcd/ca.crt"))
}

fn has_member(listing: &Listing, etcd: EtcdLayout) -> bool {
    listing.has(&format!("{}/member", etcd.data_folder()))
}

fn owned<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(str::to_owned).collect()
}

fn identity(text: &str) -> Result<ClusterIdentity, FactError> {
    toml::from_str(text).map_err(|error| {
        FactError::new(IDENTITY, error.message())
            .hint("the file was not written by this program, or by a newer one; look at it on the node")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(paths: &[&str]) -> Kubernetes {
        parse(&Texts::default(), &paths.iter().copied().collect()).expect("read")
    }

    #[test]
    fn a_bare_machine() {
        let seen = listed(&[]);
        assert_eq!(seen, Kubernetes::default());
        assert!(!seen.has_state());
    }

    #[test]
    fn a_control_plane() {
        let seen = listed(&[
            "/etc/kubernetes",
            "/etc/kubernetes/kubelet.conf",
            "/etc/kubernetes/admin.conf",
            "/etc/kubernetes/tmp",
            "/etc/kubernetes/manifests",
            "/etc/kubernetes/manifests/etcd.yaml",
            "/etc/kubernetes/manifests/.kube-apiserver.yaml.new",
            "/etc/kubernetes/pki",
            "/etc/kubernetes/pki/ca.crt",
            "/etc/kubernetes/pki/apiserver.crt",
            "/etc/kubernetes/pki/etcd",
            "/etc/kubernetes/pki/etcd/ca.key",
            "/var/lib/etcd",
            "/var/lib/etcd/member",
        ]);
        assert_eq!(seen.configs, ["admin.conf", "kubelet.conf"]);
        assert_eq!(seen.manifests, ["etcd.yaml"]);
        assert_eq!(seen.shared_pki, ["ca.crt", "etcd/ca.key"]);
        assert!(seen.etcd_data && seen.has_state());
    }

    #[test]
    fn the_key_of_etcds_authority_lies_where_the_layout_has_it_beside_its_certificate() {
        let (key, crt) = (EtcdLayout::Service.ca_key(), "/etc/kubernetes/pki/etcd/ca.crt");
        assert_eq!(listed(&[key, crt]).shared_pki, ["etcd/ca.crt", "etcd/ca.key"]);
        assert!(listed(&[key]).shared_pki.is_empty());
    }

    #[test]
    fn a_control_plane_whose_member_is_being_taken_over() {
        let seen = listed(&["/etc/kubernetes/etcd.yaml.kbootstrap", "/var/lib/kbootstrap/etcd/member"]);
        assert!(seen.etcd_taken && seen.etcd_service && !seen.etcd_data);
    }

    #[test]
    fn the_identity_must_be_ours() {
        let read = |text| parse(&Texts::of([(IDENTITY, text)]), &Listing::default());
        let seen = read("id = \"ab\"\nname = \"demo\"\nca_sha256 = \"cd\"\n").expect("read");
        assert_eq!(seen.identity.map(|identity| identity.name).as_deref(), Some("demo"));
        assert!(read("id = 1\n").is_err());
    }
}
