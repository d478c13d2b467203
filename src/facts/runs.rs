//! Work of ours that is on the node now: batches that go on, and who holds the node's lock.

use std::collections::BTreeMap;

use super::{error::FactError, section::Section, texts::Texts};
use crate::model::{facts::Runs, observe::UnitSeen};

/// The section's name: device and inode of the lock's file.
pub const NAME: &str = "lock";

/// Batches are units `kbootstrap-batch-*.service`.
pub const BATCH_PREFIX: &str = "kbootstrap-batch-";

const LOCK: &str = "/run/kbootstrap/lock";
const LOCKS: &str = "/proc/locks";

/// Small texts that [`parse`] needs.
pub const TEXTS: &[&str] = &[LOCK, LOCKS];

/// Tells the lock's file apart in the kernel's table of locks. Trying the lock instead would take it for a moment, and a run
/// that begins just then would find it taken.
pub fn command() -> String {
    format!("_r {NAME} stat -c '%d %i' {LOCK}")
}

/// # Errors
/// The lock's file is there and could not be read.
pub fn parse(texts: &Texts, section: &Section<'_>, units: &BTreeMap<String, UnitSeen>) -> Result<Runs, FactError> {
    let missing = section.missing("the lock")? > 0;
    let held = !missing && is_held(section, texts)?;
    let lock_holder = match texts.get(LOCK)? {
        _ if !held => None,
        // Taken, and not described yet: between a holder's two system calls.
        None => Some("another run".to_owned()),
        Some(text) => Some(text.trim().to_owned()),
    };
    let goes_on = |seen: &UnitSeen| !["inactive", "failed"].contains(&seen.active.as_str());
    let batches = units.iter().filter(|(name, seen)| name.starts_with(BATCH_PREFIX) && goes_on(seen));
    Ok(Runs { active_batches: batches.map(|(name, _)| name.clone()).collect(), lock_holder })
}

/// Whether the kernel's table has a `flock` on the file.
fn is_held(section: &Section<'_>, texts: &Texts) -> Result<bool, FactError> {
    let text = section.text("the lock")?;
    let numbers = text.trim().split_once(' ');
    let numbers = numbers.and_then(|(device, inode)| Some((device.parse::<u64>().ok()?, inode)));
    let (device, inode) = numbers.ok_or_else(|| FactError::new("the lock", format!("`{text}` makes no sense")))?;
    // The table names a file as MAJOR:MINOR:INODE, the first two in hex; stat's device number is the C library's.
    let major = (device >> 8) & 0xfff | (device >> 32) & !0xfff;
    let minor = device & 0xff | (device >> 12) & !0xff;
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    let table = texts.get(LOCKS)?.unwrap_or_default();
    Ok(table.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // `->` marks one who waits for the lock.
        words.get(1) == Some(&"FLOCK") && words.contains(&file.as_str())
    }))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, process::Command};

    use super::*;

    fn section(out: &str) -> Section<'_> {
        Section { code: 0, out: out.as_bytes(), err: b"" }
    }

    // Captured on Debian 12: device 0:23.
    const TABLE: &str = "1: POSIX  ADVISORY  WRITE 310 00:17:700 0 EOF\n2: FLOCK  ADVISORY  WRITE 1234 00:17:836 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 1240 00:17:840 0 EOF\n";

    #[test]
    fn a_held_lock_names_its_holder() {
        let texts = Texts::of([(LOCKS, TABLE), (LOCK, "alice@desk: kbootstrap up\n")]);
        let none = BTreeMap::new();
        let holder = |out: &str| parse(&texts, &section(out), &none).expect("read").lock_holder;
        assert_eq!(holder("23 836\n").as_deref(), Some("alice@desk: kbootstrap up"));
        assert_eq!(holder("23 840\n"), None, "somebody waits; nobody holds");
        assert_eq!(holder("24 836\n"), None);
        assert_eq!(holder("23 700\n"), None, "not a flock");
    }

    #[test]
    fn no_lock_file_is_a_free_lock_and_an_unreadable_one_is_unknown() {
        let err = b"stat: cannot statx '/run/kbootstrap/lock': No such file or directory";
        let gone = Section { code: 1, out: b"", err };
        assert_eq!(parse(&Texts::default(), &gone, &BTreeMap::new()), Ok(Runs::default()));
        let denied =
            Section { code: 1, out: b"", err: b"stat: cannot statx '/run/kbootstrap/lock': Input/output error" };
        assert!(parse(&Texts::default(), &denied, &BTreeMap::new()).is_err());
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
        let gone = Section { code: 1, out: b"", err: b"stat: x: No such file or directory" };
        let runs = parse(&Texts::default(), &gone, &units).expect("read");
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
        let stat = Command::new("stat").args(["-c", "%d %i"]).arg(&path).output().expect("stat runs");
        let said = String::from_utf8(stat.stdout).expect("text");
        let table = || std::fs::read_to_string(LOCKS).expect("read");
        assert!(!is_held(&section(&said), &Texts::of([(LOCKS, &table())])).expect("read"));
        file.lock().expect("locked");
        assert!(is_held(&section(&said), &Texts::of([(LOCKS, &table())])).expect("read"));
    }
}
