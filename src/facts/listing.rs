//! What lies in the folders of Kubernetes and etcd: listed by one `find`.

use std::collections::BTreeSet;

use super::{error::FactError, section::Section};
use crate::model::etcd::EtcdLayout;

/// The section's name.
pub const NAME: &str = "listing";

/// The folder of Kubernetes' configuration.
pub const KUBERNETES: &str = "/etc/kubernetes";

/// Where a restore lays the snapshot that init begins from.
pub const RESTORE: &str = "/var/lib/kbootstrap/restore";

/// `find` tells what is missing from what can't be read; a pattern of the shell would take both for empty.
pub fn command() -> String {
    let [stacked, service] = [EtcdLayout::Stacked.data_folder(), EtcdLayout::Service.data_folder()];
    let authority = EtcdLayout::AUTHORITY_FOLDER;
    // -H: a folder of data may be a link to another disk. kubeadm's backups and etcd's own files are nobody's business.
    format!(
        r"_r {NAME} find -H {KUBERNETES} {stacked} {service} {authority} {RESTORE} -maxdepth 3 -printf '%p\0' \( -path {KUBERNETES}/tmp -o -name member \) -prune"
    )
}

/// Every path that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(BTreeSet<String>);

impl Listing {
    /// # Errors
    /// Something is there and could not be read.
    pub fn parse(section: &Section<'_>) -> Result<Self, FactError> {
        section.missing("the folders of Kubernetes")?;
        let listing = String::from_utf8_lossy(section.out);
        Ok(Self::from_iter(listing.split_terminator('\0')))
    }

    /// Whether a path is there.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    /// Names in a folder, sorted.
    pub fn names(&self, folder: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(move |path| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            (!name.contains('/')).then_some(name)
        })
    }
}

impl<'a> FromIterator<&'a str> for Listing {
    fn from_iter<I: IntoIterator<Item = &'a str>>(paths: I) -> Self {
        Self(paths.into_iter().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_not_there() {
        let section = Section {
            code: 1,
            out: b"/etc/kubernetes\0/etc/kubernetes/a file.conf\0",
            err: b"find: '/var/lib/etcd': No such file or directory",
        };
        let listing = Listing::parse(&section).expect("read");
        assert_eq!(listing.names(KUBERNETES).collect::<Vec<_>>(), ["a file.conf"]);
        assert!(listing.has("/etc/kubernetes") && !listing.has("/var/lib/etcd"));
    }

    #[test]
    fn an_unreadable_folder_is_not_an_empty_one() {
        let err = b"find: '/etc/kubernetes/manifests': Input/output error";
        assert!(Listing::parse(&Section { code: 1, out: b"", err }).is_err());
        assert!(Listing::parse(&Section { code: 127, out: b"", err: b"" }).is_err());
    }
}
