//! Asking members of etcd, and moving the leadership, over SSH to a control plane and loopback from there.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ActionError;
use super::session::Session;
use crate::facts::control_plane;
use crate::facts::section::Section;
use crate::model::etcd::EtcdLayout;
use crate::model::facts::{Etcd, EtcdMember};
use crate::model::name::NodeName;
use crate::shell::{quote, wrap};
use crate::transport::{Limits, Script};

const LIMIT: Duration = Duration::from_secs(15);

/// What the member on a control plane says.
pub(super) async fn ask(session: &Session, node: &NodeName) -> Result<Etcd, String> {
    let script = Script::new(wrap(&control_plane::command()));
    let output = session.link.look(node, &script, Limits::within(LIMIT)).await.map_err(|error| error.to_string())?;
    let section = Section { code: 0, out: &output.stdout, err: &output.stderr };
    control_plane::parse(Some(&section)).0.ok_or_else(|| format!("the member on {node} does not answer"))
}

/// Calls a member by its gateway on loopback; gives its answer.
pub(super) async fn call(session: &Session, node: &NodeName, path: &str, request: &str) -> Result<String, String> {
    let (certificate, key) = EtcdLayout::Stacked.client_certificate();
    let script = format!(
        "curl -q -sS --fail-with-body --noproxy '*' --max-time 10 --cacert {ca} --cert {certificate} --key {key} -d {request} \
         https://127.0.0.1:{port}{path}",
        ca = EtcdLayout::Stacked.ca_certificate(),
        request = quote(request),
        port = EtcdLayout::CLIENT_PORT,
    );
    let script = Script::new(wrap(&script));
    let output = session.link.run(node, &script, Limits::within(LIMIT)).await.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.exit.is_success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{} {}", text(&output.stdout), text(&output.stderr)).trim().to_owned())
}

/// Gives the leadership to another voter, if the member of this node has it, and sees that it was taken.
pub(super) async fn move_leader(
    session: &Session,
    from: &NodeName,
    until: Instant,
) -> Result<Vec<String>, ActionError> {
    let what = format!("move etcd's leadership away from {from}");
    let mut tried = 0;
    let mut pause = Duration::from_millis(250);
    loop {
        let outcome = match ask(session, from).await {
            Ok(etcd) => match heir(&etcd, tried) {
                Heir::NotNeeded if tried == 0 => return Ok(Vec::new()),
                Heir::NotNeeded => return Ok(vec![format!("etcd is led by {}", leader(&etcd))]),
                Heir::None => {
                    let hint = "it is the only voter, or the others have not started";
                    return Err(ActionError::new(what, "no other voter can take it").hint(hint));
                }
                Heir::Voter(heir) => {
                    tried += 1;
                    transfer(session, from, heir).await
                }
            },
            Err(error) => Err(error),
        };
        if let Err(error) = outcome
            && Instant::now() + pause > until
        {
            return Err(ActionError::new(what, error));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Who leads next.
#[derive(Debug, PartialEq, Eq)]
enum Heir<'a> {
    /// The member that was asked does not lead.
    NotNeeded,
    None,
    Voter(&'a EtcdMember),
}

/// The next voter in turn, as the member that was asked knows them.
fn heir(etcd: &Etcd, turn: usize) -> Heir<'_> {
    if etcd.leader.as_ref() != Some(&etcd.member) {
        return Heir::NotNeeded;
    }
    let able = |member: &&EtcdMember| member.id != etcd.member && !member.learner && !member.name.is_empty();
    let voters: Vec<&EtcdMember> = etcd.members.iter().filter(able).collect();
    match voters.len() {
        0 => Heir::None,
        count => Heir::Voter(voters[turn % count]),
    }
}

fn leader(etcd: &Etcd) -> &str {
    let leads = |member: &&EtcdMember| etcd.leader.as_ref() == Some(&member.id);
    etcd.members.iter().find(leads).map_or("nobody yet", |member| &member.name)
}

async fn transfer(session: &Session, from: &NodeName, to: &EtcdMember) -> Result<(), String> {
    let id = decimal(&to.id).ok_or_else(|| format!("member id {} is no number", to.id))?;
    let request = format!(r#"{{"targetID":"{id}"}}"#);
    call(session, from, "/v3/maintenance/transfer-leadership", &request).await.map(drop)
}

/// An id as etcd's JSON writes it, of one as etcdctl prints it.
pub(super) fn decimal(hex: &str) -> Option<u64> {
    u64::from_str_radix(hex, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, name: &str, learner: bool) -> EtcdMember {
        EtcdMember { id: id.into(), name: name.into(), peer_urls: vec![], learner }
    }

    #[test]
    fn voters_inherit_in_turn() {
        let mut etcd = Etcd {
            members: vec![
                member("a", "cp1", false),
                member("b", "cp2", false),
                member("c", "", false),
                member("d", "cp4", true),
                member("e", "cp3", false),
            ],
            leader: Some("a".into()),
            member: "a".into(),
            ..Etcd::default()
        };
        let name = |heir: Heir<'_>| match heir {
            Heir::Voter(member) => member.name.clone(),
            other => format!("{other:?}"),
        };
        assert_eq!([0, 1, 2].map(|turn| name(heir(&etcd, turn))), ["cp2", "cp3", "cp2"]);
        etcd.leader = Some("e".into());
        assert_eq!(heir(&etcd, 0), Heir::NotNeeded);
        assert_eq!(leader(&etcd), "cp3");
        etcd.leader = Some("a".into());
        etcd.members.truncate(1);
        assert_eq!(heir(&etcd, 0), Heir::None);
        assert_eq!(decimal("8e9e05c52164694d"), Some(10_276_657_743_932_975_437));
    }
}
