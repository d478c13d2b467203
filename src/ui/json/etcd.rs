//! `kbootstrap.etcd-members/v1`: members of etcd.

use serde::Serialize;

use crate::ui::EtcdMemberRow;

/// The whole document.
#[derive(Serialize)]
pub struct Members<'a> {
    schema: &'static str,
    members: Vec<Member<'a>>,
}

#[derive(Serialize)]
struct Member<'a> {
    /// Empty until it has started.
    name: &'a str,
    id: &'a str,
    peer: &'a str,
    learner: bool,
    answers: bool,
    leader: bool,
    quorum: bool,
    /// Null where it does not answer, like the next two.
    db_bytes: Option<u64>,
    db_in_use_bytes: Option<u64>,
    version: Option<&'a str>,
    alarms: &'a [String],
}

pub fn etcd_members(rows: &[EtcdMemberRow]) -> Members<'_> {
    Members { schema: "kbootstrap.etcd-members/v1", members: rows.iter().map(of).collect() }
}

fn of(row: &EtcdMemberRow) -> Member<'_> {
    Member {
        name: &row.name,
        id: &row.id,
        peer: &row.peer,
        learner: row.learner,
        answers: row.answers,
        leader: row.leader,
        quorum: row.has_leader,
        db_bytes: row.db_bytes,
        db_in_use_bytes: row.db_in_use_bytes,
        version: row.version.as_deref(),
        alarms: &row.alarms,
    }
}
