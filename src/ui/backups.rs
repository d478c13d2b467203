//! Archives, and what control planes say of the backups that they take by themselves.

use std::{collections::BTreeMap, fmt::Write};

use time::{OffsetDateTime, macros::format_description};

use super::{Paint, table};
use crate::model::{
    backup::{Kept, Schedule},
    name::NodeName,
};

/// One archive.
#[derive(Clone, Debug)]
pub struct BackupRow {
    /// When it was written.
    pub at: OffsetDateTime,
    pub bytes: u64,
    /// The control plane that has it; absent of one in a folder of this machine.
    pub node: Option<String>,
    /// Its path here, or its name there.
    pub path: String,
}

/// A line for each.
pub fn backups(rows: &[BackupRow]) -> String {
    let when = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    let line = |row: &BackupRow| {
        let at = row.at.format(when).unwrap_or_default();
        let node = row.node.as_ref().map(|node| format!("{node}  ")).unwrap_or_default();
        format!("{at}  {:>8} KiB  {node}{}\n", row.bytes.div_ceil(1024), row.path)
    };
    rows.iter().map(line).collect()
}

/// The schedule for a person. `health` is its judgement, `now` Unix time, and `age` says seconds as a person counts them.
pub fn backup_schedule(
    schedule: Option<&Schedule>,
    all: &BTreeMap<NodeName, Kept>,
    health: Option<&(bool, String)>,
    now: i64,
    age: impl Fn(i64) -> String,
    paint: Paint,
) -> String {
    let mut text = match schedule {
        Some(schedule) => format!("{}, {} kept on each control plane\n\n", schedule.calendar, schedule.keep),
        None => "none scheduled\n\n".to_owned(),
    };
    let mut line = |line: String| writeln!(text, "{line}").expect("a String takes all");
    let none = || "-".to_owned();
    let rows: Vec<[String; 5]> = all
        .iter()
        .map(|(node, kept)| {
            let state = match kept {
                Kept { busy: true, .. } => "at work",
                Kept { failure: Some(_), .. } => "failed",
                Kept { timer: true, .. } => "waits",
                _ => "no timer",
            };
            [
                node.to_string(),
                state.to_owned(),
                kept.good.as_ref().map_or_else(none, |good| format!("{} ago", age(now - good.at))),
                kept.next.map_or_else(none, |next| format!("in {}", age(next - now))),
                kept.archives.len().to_string(),
            ]
        })
        .collect();
    let (head, lines) = table::lines(["NODE", "STATE", "LAST GOOD", "NEXT", "KEPT"], &rows);
    line(paint.dim(head));
    for (row, kept) in lines.into_iter().zip(all.values()) {
        line(if kept.failure.is_some() { paint.red(row) } else { row });
        if let Some(failure) = &kept.failure {
            line(format!("  {} ago: {}", age(now - failure.at), failure.why));
        }
    }
    if let Some((holds, detail)) = health {
        let mark = if *holds { paint.green("ok  ") } else { paint.red("FAIL") };
        line(format!("\n{mark}  {detail}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backup::{Archive, Failed, Good};

    #[test]
    fn a_schedule_with_what_became_of_it() {
        let schedule = Schedule { calendar: "daily".parse().unwrap(), keep: 7 };
        let good = Good { at: 100, name: "lab-1.backup.age".into(), revision: 5, keys: 3 };
        let archive = Archive { name: good.name.clone(), bytes: 4096, at: 100 };
        let well = Kept { timer: true, next: Some(900), good: Some(good), archives: vec![archive], ..Kept::default() };
        let failed = Kept { failure: Some(Failed { at: 130, why: "no room".into() }), ..well.clone() };
        let all = [("cp1", well), ("cp2", failed), ("cp3", Kept::default())];
        let all = all.into_iter().map(|(name, kept)| (name.parse().unwrap(), kept)).collect();
        let health = (false, "the last good one is 60 s old, on cp1; cp2 failed 30 s ago: no room".to_owned());
        let said = |seconds: i64| format!("{seconds} s");
        let paint = Paint { colour: false };
        insta::assert_snapshot!(backup_schedule(Some(&schedule), &all, Some(&health), 160, said, paint));
        insta::assert_snapshot!(backup_schedule(None, &BTreeMap::new(), None, 160, said, paint));
    }
}
