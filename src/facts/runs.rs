//! Work of ours that is on the node now: batches that go on, and who holds the node's lock.

use std::collections::BTreeMap;

use super::{error::FactError, section::Section, texts::Texts};
use crate::model::{facts::Runs, observe::UnitSeen};

/// Batches are units `kbootstrap-batch-*.service`.
pub const BATCH_PREFIX: &str = "kbootstrap-batch-";

/// The file that a run locks while it works on the node; it holds who that is.
const LOCK: &str = "/run/kbootstrap/lock";

/// The section's name: whether the lock could be shared.
pub const NAME: &str = "lock";

/// Small texts that [`parse`] needs.
pub const TEXTS: &[&str] = &[LOCK];

/// Whoever lets go empties the file, so that mostly nothing needs to be tried. While somebody holds the lock a try
/// disturbs nobody; only where a killed holder left its words is it shared for a moment. The kernel's own table of locks
/// would not even do that, but it halts all file locks for 15 ms, and in a container lacks those whose taker has ended.
pub fn command() -> String {
    format!("[ ! -s {LOCK} ] || _r {NAME} flock -n -s {LOCK} true")
}

/// # Errors
/// The lock's file is there and could not be tried or read.
pub fn parse(
    texts: &Texts,
    section: Option<&Section<'_>>,
    units: &BTreeMap<String, UnitSeen>,
) -> Result<Runs, FactError> {
    let lock_holder = match section {
        None => None,
        Some(Section { code: 0, .. }) => None,
        // Described only after the small texts were read.
        Some(Section { code: 1, err: b"", .. }) => Some(texts.get(LOCK)?.unwrap_or("another run").trim().to_owned()),
        Some(section) => return Err(section.failure("the lock")),
    };
    let goes_on = |seen: &UnitSeen| !["inactive", "failed"].contains(&seen.active.as_str());
    let batches = units.iter().filter(|(name, seen)| name.starts_with(BATCH_PREFIX) && goes_on(seen));
    Ok(Runs { active_batches: batches.map(|(name, _)| name.clone()).collect(), lock_holder })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_names_its_holder() {
        let texts = Texts::of([(LOCK, "alice@desk: kbootstrap up\n")]);
        let tried = |code, err| {
            let section = Section { code, out: b"", err };
            parse(&texts, Some(&section), &BTreeMap::new()).map(|runs| runs.lock_holder)
        };
        assert_eq!(tried(1, b""), Ok(Some("alice@desk: kbootstrap up".to_owned())));
        assert_eq!(tried(0, b""), Ok(None), "a killed holder's words");
        assert!(tried(1, b"flock: cannot open lock file").is_err());
        assert!(tried(127, b"").is_err());
        assert_eq!(parse(&texts, None, &BTreeMap::new()), Ok(Runs::default()));
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
        let runs = parse(&Texts::default(), None, &units).expect("read");
        assert_eq!(runs.active_batches, ["kbootstrap-batch-a-1.service", "kbootstrap-batch-a-2.service"]);
    }
}
