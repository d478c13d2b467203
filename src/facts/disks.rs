//! Free space where Kubernetes keeps its data.

use std::collections::BTreeMap;

use super::{error::FactError, section::Section};
use crate::model::{etcd::EtcdLayout, facts::Disk};
use crate::shell;

/// The section's name.
pub const NAME: &str = "disks";

/// Folders whose file systems are asked for; those that do not exist yet are on one of the others.
fn folders() -> [&'static str; 5] {
    let etcd = EtcdLayout::Stacked.data_folder();
    ["/", "/var/lib", "/var/lib/containerd", "/var/lib/kubelet", etcd]
}

/// Asks the file system of each folder and of nothing else: a dead network mount elsewhere can't hang it, as `df` would,
/// and Ubuntu's many loop mounts of snaps are not in the answer.
pub fn command() -> String {
    format!(r"_r {NAME} stat -f --printf '%S %b %a %n\0' {}", shell::words(folders()))
}

/// # Errors
/// A folder is there, and its file system could not be asked.
pub fn parse(section: &Section<'_>) -> Result<BTreeMap<String, Disk>, FactError> {
    let missing = section.missing("disks")?;
    let text = String::from_utf8_lossy(section.out);
    let mut disks = BTreeMap::new();
    for record in text.split_terminator('\0') {
        let mut fields = record.splitn(4, ' ');
        let mut number = || fields.next()?.parse::<u64>().ok();
        let numbers = (number(), number(), number());
        let ((Some(block), Some(total), Some(free)), Some(path)) = (numbers, fields.next()) else {
            return Err(FactError::new("disks", format!("`{record}` makes no sense")));
        };
        let disk = Disk { size_bytes: block.saturating_mul(total), free_bytes: block.saturating_mul(free) };
        disks.insert(path.to_owned(), disk);
    }
    if disks.len() + missing != folders().len() {
        return Err(FactError::new("disks", "not every folder was answered for"));
    }
    Ok(disks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_do_not_exist_yet_are_left_out() {
        // Captured on Debian 12.
        let section = Section {
            code: 1,
            out: b"4096 67036505 48113542 /\x004096 67036505 48113542 /var/lib\0",
            err: b"stat: cannot read file system information for '/var/lib/containerd': No such file or directory\n\
                stat: cannot read file system information for '/var/lib/kubelet': No such file or directory\n\
                stat: cannot read file system information for '/var/lib/etcd': No such file or directory",
        };
        let disks = parse(&section).expect("read");
        assert_eq!(disks.keys().collect::<Vec<_>>(), ["/", "/var/lib"]);
        assert_eq!(disks["/"].free_bytes, 48_113_542 * 4096);
    }

    #[test]
    fn a_broken_disk_is_unknown() {
        let err = b"stat: cannot read file system information for '/var/lib/etcd': Input/output error";
        assert!(parse(&Section { code: 1, out: b"", err }).is_err());
        assert!(parse(&Section { code: 0, out: b"4096 1 1 /\0", err: b"" }).is_err());
    }
}
