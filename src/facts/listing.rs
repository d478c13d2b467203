//! What lies in the folders of Kubernetes and etcd, and our lock's file: listed by one `find`.

use std::collections::BTreeMap;

use super::{error::FactError, section::Section};
use crate::model::etcd::EtcdLayout;

/// The section's name.
pub const NAME: &str = "listing";

/// The folder of Kubernetes' configuration.
pub const KUBERNETES: &str = "/etc/kubernetes";
/// The file that a run locks while it works on the node; it holds who that is.
pub const LOCK: &str = "/run/kbootstrap/lock";

/// Folders where a member of etcd may keep its data, whatever its layout.
pub const fn etcd_folders() -> [&'static str; 2] {
    [EtcdLayout::Stacked.data_folder(), EtcdLayout::Service.data_folder()]
}

/// `find` tells what is missing from what can't be read; a pattern of the shell would take both for empty.
pub fn command() -> String {
    let [stacked, service] = etcd_folders();
    // -H: a folder of data may be a link to another disk. kubeadm's backups and etcd's own files are nobody's business.
    format!(
        r"_r {NAME} find -H {KUBERNETES} {stacked} {service} {LOCK} -maxdepth 3 -printf '%D %i %p\0' \( -path {KUBERNETES}/tmp -o -name member \) -prune"
    )
}

/// A file's device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// All that is there, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(BTreeMap<String, FileId>);

impl Listing {
    /// # Errors
    /// Something is there and could not be read.
    pub fn parse(section: &Section<'_>) -> Result<Self, FactError> {
        section.missing("the folders of Kubernetes")?;
        let entry = |record: &str| {
            let mut fields = record.splitn(3, ' ');
            let device = fields.next()?.parse().ok()?;
            let inode = fields.next()?.parse().ok()?;
            Some((fields.next()?.to_owned(), FileId { device, inode }))
        };
        let nonsense = |record: &str| FactError::new("the folders of Kubernetes", format!("`{record}` makes no sense"));
        let listing = String::from_utf8_lossy(section.out);
        let records = listing.split_terminator('\0');
        records.map(|record| entry(record).ok_or_else(|| nonsense(record))).collect::<Result<_, _>>().map(Self)
    }

    /// The file at a path.
    pub fn get(&self, path: &str) -> Option<FileId> {
        self.0.get(path).copied()
    }

    /// Whether a path is there.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Names in a folder, sorted.
    pub fn names(&self, folder: &str) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(move |path| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            (!name.contains('/')).then_some(name)
        })
    }
}

#[cfg(test)]
impl Listing {
    /// Files that are there, for tests of the domains.
    pub fn of(files: &[(&str, FileId)]) -> Self {
        Self(files.iter().map(|(path, id)| (path.to_string(), *id)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_not_there() {
        let section = Section {
            code: 1,
            out: b"23 5 /etc/kubernetes\x0023 7 /etc/kubernetes/a file.conf\0",
            err: b"find: '/var/lib/etcd': No such file or directory",
        };
        let listing = Listing::parse(&section).expect("read");
        assert_eq!(listing.names(KUBERNETES).collect::<Vec<_>>(), ["a file.conf"]);
        assert_eq!(listing.get("/etc/kubernetes"), Some(FileId { device: 23, inode: 5 }));
        assert!(!listing.has("/var/lib/etcd"));
    }

    #[test]
    fn an_unreadable_folder_is_not_an_empty_one() {
        let err = b"find: '/etc/kubernetes/manifests': Input/output error";
        assert!(Listing::parse(&Section { code: 1, out: b"", err }).is_err());
        assert!(Listing::parse(&Section { code: 127, out: b"", err: b"" }).is_err());
    }
}
