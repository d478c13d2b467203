//! Work of ours that is on the node now: batches that go on, and who holds the node's lock.

use std::collections::BTreeMap;

use super::{
    error::FactError,
    listing::{FileId, LOCK, Listing},
    section::Section,
    texts::Texts,
};
use crate::model::{facts::Runs, observe::UnitSeen};

/// Batches are units `kbootstrap-batch-*.service`.
pub const BATCH_PREFIX: &str = "kbootstrap-batch-";

const LOCKS: &str = "/proc/locks";

/// The section's name: the kernel's table of locks.
pub const NAME: &str = "locks";

/// Small texts that [`parse`] needs.
pub const TEXTS: &[&str] = &[LOCK];

/// Whether the lock is held is told by the kernel's table. Trying it instead would take it for a moment, and a run that
/// begins just then would find it taken.
///
/// Whoever lets go empties the file, and the table (for which the kernel halts all file locks, some 15 ms) is not needed
/// then: only a holder that was killed leaves its words.
pub fn command() -> String {
    format!("[ ! -s {LOCK} ] || _r {NAME} cat {LOCKS}")
}

/// # Errors
/// The lock's file or the table of locks could not be read.
pub fn parse(
    texts: &Texts,
    listing: &Listing,
    section: Option<&Section<'_>>,
    units: &BTreeMap<String, UnitSeen>,
) -> Result<Runs, FactError> {
    let held = match (listing.get(LOCK), section) {
        (Some(file), Some(section)) => is_held(file, section.text("the lock")?),
        _ => false,
    };
    let lock_holder = match texts.get(LOCK)? {
        _ if !held => None,
        // Described only after the small texts were read.
        None => Some("another run".to_owned()),
        Some(text) => Some(text.trim().to_owned()),
    };
    let goes_on = |seen: &UnitSeen| !["inactive", "failed"].contains(&seen.active.as_str());
    let batches = units.iter().filter(|(name, seen)| name.starts_with(BATCH_PREFIX) && goes_on(seen));
    Ok(Runs { active_batches: batches.map(|(name, _)| name.clone()).collect(), lock_holder })
}

/// Whether the table has a `flock` on the file.
fn is_held(file: FileId, table: &str) -> bool {
    // The table names a file as MAJOR:MINOR:INODE, the first two in hex; the device's number is the C library's.
    let device = file.device;
    let major = (device >> 8) & 0xfff | (device >> 32) & !0xfff;
    let minor = device & 0xff | (device >> 12) & !0xff;
    let file = format!("{major:02x}:{minor:02x}:{}", file.inode);
    table.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // `->` marks one who waits for the lock.
        words.get(1) == Some(&"FLOCK") && words.contains(&file.as_str())
    })
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::MetadataExt};

    use super::*;

    // Captured on Debian 12: device 0:23.
    const TABLE: &str = "1: POSIX  ADVISORY  WRITE 310 00:17:700 0 EOF\n2: FLOCK  ADVISORY  WRITE 1234 00:17:836 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 1240 00:17:840 0 EOF\n";

    #[test]
    fn a_held_lock_names_its_holder() {
        let texts = Texts::of([(LOCK, "alice@desk: kbootstrap up\n")]);
        let table = Section { code: 0, out: TABLE.as_bytes(), err: b"" };
        let none = BTreeMap::new();
        let holder = |device, inode| {
            let listing = Listing::of(&[(LOCK, FileId { device, inode })]);
            parse(&texts, &listing, Some(&table), &none).expect("read").lock_holder
        };
        assert_eq!(holder(23, 836).as_deref(), Some("alice@desk: kbootstrap up"));
        assert_eq!(holder(23, 840), None, "somebody waits; nobody holds");
        assert_eq!(holder(24, 836), None);
        assert_eq!(holder(23, 700), None, "not a flock");
    }

    #[test]
    fn no_lock_file_is_a_free_lock() {
        assert_eq!(parse(&Texts::default(), &Listing::default(), None, &BTreeMap::new()), Ok(Runs::default()));
    }

    #[test]
    fn batches_that_go_on_are_told() {
        let seen = |active: &str| UnitSeen { active: active.to_owned(), ..UnitSeen::default() };
        let units = BTreeMap::from([
            ("kbootstrap-batch-a-1.service".to_owned(), seen("active")),
            ("kbootstrap-batch-a-2.service".to_owned(), seen("deactivating")),
            ("kbootstrap-batch-a-0.service".to_owned(), seen("failed")),
            ("kubelet.service".to_owned(), seen("active")),
        ]);
        let runs = parse(&Texts::default(), &Listing::default(), None, &units).expect("read");
        assert_eq!(runs.active_batches, ["kbootstrap-batch-a-1.service", "kbootstrap-batch-a-2.service"]);
    }

    /// The arithmetic of device numbers, against the kernel here. On file systems whose files have another device than
    /// their mount (btrfs, overlay) the table differs; /run is always a tmpfs.
    #[test]
    fn a_real_lock_is_seen() {
        let shm = std::path::Path::new("/dev/shm");
        if !shm.is_dir() {
            return;
        }
        let folder = tempfile::tempdir_in(shm).expect("made");
        let path = folder.path().join("lock");
        let file = File::create(&path).expect("made");
        let meta = file.metadata().expect("read");
        let id = FileId { device: meta.dev(), inode: meta.ino() };
        let table = || std::fs::read_to_string(LOCKS).expect("read");
        assert!(!is_held(id, &table()));
        file.lock().expect("locked");
        assert!(is_held(id, &table()));
    }
}
