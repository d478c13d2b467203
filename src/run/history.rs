//! Runs of the past, as their journals tell them. Whatever lies in the folder is read with care: a journal may have been cut
//! off in the midst of a line, or be no journal at all.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use crate::model::event::Stamped;

/// Longest line that is read, in bytes: an event carries at most the last 4 KiB of an op's output.
const LONGEST_LINE: u64 = 256 * 1024;

/// Most events that are kept of one run: a thousand nodes with a hundred events each.
const MOST_EVENTS: usize = 200_000;

/// The journal's file name ends so.
pub const SUFFIX: &str = ".jsonl";

/// Ids of the runs that a folder has journals of, newest first. None where there is no such folder.
///
/// # Errors
/// The folder can't be read.
pub fn runs(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut runs = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if let Some(run) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) {
            runs.push(run.to_owned());
        }
    }
    // An id begins with its moment.
    runs.sort_unstable_by(|a, b| b.cmp(a));
    Ok(runs)
}

/// The events of a run, in their order. Lines that are no event are passed over: the last one of a run that died may be
/// half a line.
///
/// # Errors
/// There is no such journal, or it can't be read.
pub fn read(folder: &Path, run: &str) -> io::Result<Vec<Stamped>> {
    events(File::open(folder.join(format!("{run}{SUFFIX}")))?)
}

fn events(file: impl Read) -> io::Result<Vec<Stamped>> {
    let mut reader = BufReader::new(file);
    let mut events = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if read == 0 || events.len() == MOST_EVENTS {
            return Ok(events);
        }
        // A piece of a line that is too long is no JSON, nor is what follows it.
        if let Ok(event) = serde_json::from_slice(&line) {
            events.push(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Event, Outcome};

    const LINE: &str = r#"{"at":1.5,"event":"run-finished","outcome":"changed","seconds":1.5}"#;

    #[test]
    fn what_is_no_event_is_passed_over() {
        let long = "x".repeat(LONGEST_LINE as usize + 10);
        let text = format!("{LINE}\nnoise\n\n{long}\n{{\"at\":2}}\n{LINE}\n{{\"at\":1.5,\"eve");
        let events = events(text.as_bytes()).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].event, Event::RunFinished { outcome: Outcome::Changed, seconds: 1.5 });
    }

    #[test]
    fn the_newest_run_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(runs(&folder.path().join("none")).unwrap(), Vec::<String>::new());
        for name in ["20260102-000000-aa.jsonl", "20260103-000000-bb.jsonl", "20260103-000000-bb.plan.json"] {
            std::fs::write(folder.path().join(name), LINE).unwrap();
        }
        assert_eq!(runs(folder.path()).unwrap(), ["20260103-000000-bb", "20260102-000000-aa"]);
        assert_eq!(read(folder.path(), "20260102-000000-aa").unwrap().len(), 1);
        assert!(read(folder.path(), "other").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_journal_panics(bytes: Vec<u8>) {
            let _ = events(bytes.as_slice());
            let mut journal = LINE.as_bytes().to_vec();
            journal.extend(bytes);
            let _ = events(journal.as_slice());
        }
    }
}
