//! What control planes say of the backups that they take by themselves, judged together; and fetching one of them.

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _, path::Path, time::Duration};

use sha2::{Digest, Sha256};

use super::{BackupError, archive::hex, part, take::run};
use crate::{
    facts::backups,
    model::{
        backup::{Archive, Kept},
        name::NodeName,
        observe::Read,
    },
    render::schedule,
    shell::quote,
    transport::Effect,
};

/// Bytes of one fetch.
const CHUNK: u64 = 8 << 20;
const WITHIN: Duration = Duration::from_secs(120);

/// What is to be read on a control plane to know its backups.
pub fn read() -> Read {
    backups::read(schedule::FOLDER, schedule::GOOD, &schedule::FAILURES, schedule::TIMER, schedule::SERVICE)
}

/// Whether backups are taken as they shall be, and how old the newest is, in a line. `now` is Unix time.
///
/// One good backup is enough to come back from, but a control plane whose last attempt failed, or whose timer does not
/// run, is not well: it may be the one that is left.
pub fn health(all: &BTreeMap<NodeName, Kept>, now: i64) -> (bool, String) {
    let mut wrong = Vec::new();
    for (node, kept) in all {
        if !kept.timer {
            wrong.push(format!("{node}: its timer does not run (`kbootstrap up` starts it)"));
        } else if let Some(failure) = &kept.failure {
            wrong.push(format!("{node} failed {} ago: {}", age(now - failure.at), failure.why));
        }
    }
    let newest =
        all.iter().filter_map(|(node, kept)| Some((kept.good.as_ref()?, node))).max_by_key(|(good, _)| good.at);
    let mut said = match newest {
        Some((good, node)) => format!("the last good one is {} old, on {node}", age(now - good.at)),
        None => {
            let next = all.values().filter_map(|kept| kept.next).min();
            let due = next.map(|next| format!("; the first is due in {}", age(next - now))).unwrap_or_default();
            format!("none yet{due}")
        }
    };
    for line in &wrong {
        write!(said, "; {line}").expect("a String takes all");
    }
    (wrong.is_empty(), said)
}

/// Seconds as a person counts them: `12 min`, `3 h`, `5 days`.
pub fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86400),
    }
}

/// Brings an archive from a control plane into `path`, which must not exist: as it lies there, encrypted. `told` hears how
/// many bytes of how many are here.
///
/// # Errors
/// With what the node said, or why it could not be written.
pub async fn fetch(
    connection: &dyn Effect,
    archive: &Archive,
    path: &Path,
    mut told: impl FnMut(u64, u64),
) -> Result<(), BackupError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let there = quote(&format!("{}/{}", schedule::FOLDER, archive.name));
    let failed = format!("write {}", path.display());
    let mut file = part::begin(folder)?;
    let mut digest = Sha256::new();
    let mut here = 0;
    while here < archive.bytes {
        let bytes = run(connection, &format!("tail -c +{} {there} | head -c {CHUNK}", here + 1), WITHIN).await?;
        if bytes.is_empty() {
            return Err(BackupError(format!("{} ended early on the node", archive.name)));
        }
        file.write_all(&bytes).map_err(BackupError::of(&failed))?;
        digest.update(&bytes);
        here += bytes.len() as u64;
        told(here, archive.bytes);
    }
    let said = run(connection, &format!("sha256sum {there}"), WITHIN).await?;
    if !String::from_utf8_lossy(&said).trim_start_matches('\\').starts_with(&hex(&digest.finalize())) {
        return Err(BackupError(format!("{} did not arrive as it is on the node", archive.name)));
    }
    part::end(file, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backup::{Failed, Good};

    const NOW: i64 = 1_795_305_600;

    fn node(good: Option<i64>, failed: Option<i64>) -> Kept {
        let good = good.map(|ago| Good { at: NOW - ago, name: String::new(), revision: 1, keys: 1 });
        let failure = failed.map(|ago| Failed { at: NOW - ago, why: "no room".into() });
        Kept { timer: true, next: Some(NOW + 3 * 3600), good, failure, ..Kept::default() }
    }

    fn said(all: [(&str, Kept); 2]) -> (bool, String) {
        health(&all.into_iter().map(|(name, kept)| (name.parse().unwrap(), kept)).collect(), NOW)
    }

    #[test]
    fn the_newest_good_one_counts_and_every_failure_is_told() {
        let well = said([("cp1", node(Some(90_000), None)), ("cp2", node(Some(600), None))]);
        assert_eq!(well, (true, "the last good one is 10 min old, on cp2".into()));
        let failed = said([("cp1", node(Some(600), None)), ("cp2", node(Some(180_000), Some(60)))]);
        assert_eq!(failed, (false, "the last good one is 10 min old, on cp1; cp2 failed 60 s ago: no room".into()));
        let none = said([("cp1", node(None, None)), ("cp2", node(None, None))]);
        assert_eq!(none, (true, "none yet; the first is due in 3 h".into()));
        let stopped = said([("cp1", Kept { timer: false, ..node(Some(1), None) }), ("cp2", node(None, None))]);
        assert!(!stopped.0 && stopped.1.contains("cp1: its timer does not run"), "{}", stopped.1);
    }

    #[test]
    fn ages_are_round() {
        let all = [(-5, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days")];
        all.into_iter().for_each(|(seconds, text)| assert_eq!(age(seconds), text));
    }
}
