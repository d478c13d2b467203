//! Traces of Kubernetes on a node's disk.

use super::{error::FactError, section::Section, texts::Texts};
use crate::model::{
    etcd::EtcdLayout,
    facts::{ClusterIdentity, Kubernetes},
};

/// The section's name: a listing of the folders of Kubernetes.
pub const NAME: &str = "kubernetes";

const IDENTITY: &str = "/var/lib/kbootstrap/cluster.toml";
const FOLDER: &str = "/etc/kubernetes";
const CA: &str = "/etc/kubernetes/pki/ca.crt";

/// The eight files under `/etc/kubernetes/pki` that all control planes share.
const SHARED_PKI: [&str; 8] =
    ["ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"];

/// Small texts that [`parse`] needs.
pub const TEXTS: &[&str] = &[IDENTITY, CA];

/// Lists what there is, by one process that tells a missing folder from one that can't be read: a pattern of the shell
/// would take both for empty.
pub fn command() -> String {
    let [stacked, service] = data_folders();
    // -H: the data folder may be a link to another disk. kubeadm's backups and etcd's own files are nobody's business.
    format!(
        r"_r {NAME} find -H {FOLDER} {stacked} {service} -maxdepth 3 -printf '%p\0' \( -path {FOLDER}/tmp -o -name member \) -prune"
    )
}

const fn data_folders() -> [&'static str; 2] {
    [EtcdLayout::Stacked.data_folder(), EtcdLayout::Service.data_folder()]
}

/// All but what the control plane's programs say themselves, see [`super::control_plane`].
///
/// # Errors
/// A folder could not be read, or `cluster.toml` is not ours.
pub fn parse(texts: &Texts, section: &Section<'_>) -> Result<Kubernetes, FactError> {
    section.missing("the folders of Kubernetes")?;
    let listing = String::from_utf8_lossy(section.out);
    let paths: Vec<&str> = listing.split_terminator('\0').collect();
    let in_folder = |folder: &str| -> Vec<String> {
        let name = |path: &&str| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            (!name.contains('/')).then(|| name.to_owned())
        };
        let mut names: Vec<String> = paths.iter().filter_map(name).collect();
        names.sort();
        names
    };
    let mut configs = in_folder(FOLDER);
    configs.retain(|name| name.ends_with(".conf"));
    let mut manifests = in_folder(&format!("{FOLDER}/manifests"));
    // kubelet ignores these, and so do we: half-written files of ours and of others.
    manifests.retain(|name| !name.starts_with('.'));
    let shared = SHARED_PKI.into_iter().filter(|name| {
        let path = format!("{FOLDER}/pki/{name}");
        paths.contains(&path.as_str())
    });
    Ok(Kubernetes {
        identity: texts.get(IDENTITY)?.map(identity).transpose()?,
        configs,
        manifests,
        ca_crt: texts.get(CA)?.map(str::to_owned),
        shared_pki: shared.map(str::to_owned).collect(),
        etcd_data: data_folders().iter().any(|folder| paths.contains(&format!("{folder}/member").as_str())),
        etcd: None,
        readyz: None,
    })
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

    fn listed(paths: &[&str], err: &str) -> Result<Kubernetes, FactError> {
        let out = paths.iter().map(|path| format!("{path}\0")).collect::<String>();
        let section = Section { code: 1, out: out.as_bytes(), err: err.as_bytes() };
        parse(&Texts::default(), &section)
    }

    const NO_ETCD: &str = "find: '/var/lib/kbootstrap/etcd': No such file or directory";

    #[test]
    fn a_bare_machine() {
        let err = format!(
            "find: '/etc/kubernetes': No such file or directory\nfind: '/var/lib/etcd': No such file or directory\n{NO_ETCD}"
        );
        let seen = listed(&[], &err).expect("read");
        assert_eq!(seen, Kubernetes::default());
        assert!(!seen.has_state());
    }

    #[test]
    fn a_control_plane() {
        let paths = [
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
        ];
        let seen = listed(&paths, NO_ETCD).expect("read");
        assert_eq!(seen.configs, ["admin.conf", "kubelet.conf"]);
        assert_eq!(seen.manifests, ["etcd.yaml"]);
        assert_eq!(seen.shared_pki, ["ca.crt", "etcd/ca.key"]);
        assert!(seen.etcd_data && seen.has_state());
    }

    #[test]
    fn an_unreadable_folder_is_not_an_empty_one() {
        assert!(listed(&[], "find: '/etc/kubernetes/manifests': Input/output error").is_err());
    }

    #[test]
    fn the_identity_must_be_ours() {
        let section = Section { code: 0, out: b"", err: b"" };
        let read = |text| parse(&Texts::of([(IDENTITY, text)]), &section);
        let seen = read("id = \"ab\"\nname = \"demo\"\nca_sha256 = \"cd\"\n").expect("read");
        assert_eq!(seen.identity.map(|identity| identity.name).as_deref(), Some("demo"));
        assert!(read("id = 1\n").is_err());
    }
}
