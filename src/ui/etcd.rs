//! Members of etcd as a table.

use std::fmt::Write;

use super::{Paint, table};

/// A member of etcd: what the others know of it, and what it says itself where it answers.
#[derive(Clone, Debug, Default)]
pub struct EtcdMemberRow {
    /// Empty until it has started.
    pub name: String,
    pub id: String,
    /// Its addresses among members.
    pub peer: String,
    pub learner: bool,
    pub answers: bool,
    pub leader: bool,
    /// Whether it knows a leader: it has a quorum.
    pub has_leader: bool,
    pub db_bytes: Option<u64>,
    pub db_in_use_bytes: Option<u64>,
    pub version: Option<String>,
    pub alarms: Vec<String>,
}

/// The table for a person.
pub fn etcd_members(rows: &[EtcdMemberRow], paint: Paint) -> String {
    let cells: Vec<[String; 8]> = rows.iter().map(cells).collect();
    let (head, lines) = table::lines(["MEMBER", "ROLE", "ID", "PEER", "VERSION", "SIZE", "IN USE", "ALARMS"], &cells);
    let mut text = format!("{}\n", paint.dim(head));
    for (row, line) in rows.iter().zip(lines) {
        let well = row.has_leader && row.alarms.is_empty();
        writeln!(text, "{}", if well { line } else { paint.red(line) }).expect("a String takes all");
    }
    text
}

fn cells(row: &EtcdMemberRow) -> [String; 8] {
    let role = match row {
        EtcdMemberRow { answers: false, .. } => "no answer",
        EtcdMemberRow { learner: true, .. } => "learner",
        EtcdMemberRow { has_leader: false, .. } => "no quorum",
        EtcdMemberRow { leader: true, .. } => "leader",
        _ => "voter",
    };
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), table::mib);
    [
        if row.name.is_empty() { "(not started)".to_owned() } else { row.name.clone() },
        role.to_owned(),
        row.id.clone(),
        row.peer.clone(),
        row.version.clone().unwrap_or_else(|| "-".to_owned()),
        size(row.db_bytes),
        size(row.db_in_use_bytes),
        if row.alarms.is_empty() { "-".to_owned() } else { row.alarms.join(", ") },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_each() {
        let member = |name: &str, answers, leader| EtcdMemberRow {
            name: name.into(),
            id: "8e9e05c52164694d".into(),
            peer: "https://10.0.0.11:2380".into(),
            answers,
            leader,
            has_leader: answers,
            db_bytes: answers.then_some(5 << 20),
            db_in_use_bytes: answers.then_some(3 << 20),
            version: answers.then(|| "3.5.15".into()),
            ..EtcdMemberRow::default()
        };
        let full = EtcdMemberRow { alarms: vec!["nospace".into()], ..member("cp2", true, false) };
        let joining = EtcdMemberRow { name: String::new(), learner: true, ..member("", false, false) };
        let rows = [member("cp1", true, true), full, member("cp3", false, false), joining];
        insta::assert_snapshot!(etcd_members(&rows, Paint { colour: false }));
    }
}
