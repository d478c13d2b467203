//! Asking members of etcd, and moving the leadership, over SSH to a control plane and loopback from there.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ActionError;
use super::session::Session;
use crate::facts::control_plane;
use crate::facts::section::Section;
use crate::model::etcd::{EtcdLayout, Voters};
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
    call_through(session, node, path, request, "").await
}

/// The same, the answer going through a filter (`| sed …`) on the node. A failed call may then look like an empty answer.
pub(super) async fn call_through(
    session: &Session,
    node: &NodeName,
    path: &str,
    request: &str,
    filter: &str,
) -> Result<String, String> {
    let script = format!(
        "{credentials}\ncurl -q -sS --fail-with-body --noproxy '*' --max-time 10 --cacert \"$kb_etcd_ca\" \
         --cert \"$kb_etcd_cert\" --key \"$kb_etcd_key\" -d {request} https://127.0.0.1:{port}{path}{filter}",
        credentials = EtcdLayout::credentials(),
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
    if !etcd.leads() {
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

/// Takes a member out, asked of another one, and sees by the list that it is gone.
pub(super) async fn remove_member(
    session: &Session,
    node: &NodeName,
    peer: &str,
    until: Instant,
) -> Result<Vec<String>, ActionError> {
    let what = format!("take the member of {node} out of etcd");
    let mut pause = Duration::from_millis(250);
    let mut removed = false;
    loop {
        let error = match remove_once(session, node, peer).await {
            Ok(Removal::Asked) => {
                removed = true;
                "it is still listed".to_owned()
            }
            Ok(Removal::Gone { left }) => {
                let verb = if removed { "removed" } else { "was not there" };
                return Ok(vec![format!("member of {node} {verb}; {left} are left")]);
            }
            Ok(Removal::Refused(why)) => {
                let hint = "bring the other members back first: `kbootstrap status` shows them";
                return Err(ActionError::new(what, why).hint(hint));
            }
            Err(error) => error,
        };
        if Instant::now() + pause > until {
            return Err(ActionError::new(what, error));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

enum Removal {
    Asked,
    Gone { left: usize },
    Refused(String),
}

async fn remove_once(session: &Session, node: &NodeName, peer: &str) -> Result<Removal, String> {
    let mut silent = Vec::new();
    for via in session.link.nodes().iter().filter(|via| *via != node) {
        let etcd = match ask(session, via).await {
            Ok(etcd) if etcd.leader.is_some() => etcd,
            Ok(_) => {
                silent.push(format!("the member on {via} knows no leader"));
                continue;
            }
            Err(error) => {
                silent.push(error);
                continue;
            }
        };
        let Some(member) = of(&etcd, node, peer) else { return Ok(Removal::Gone { left: etcd.members.len() }) };
        if !member.learner && !member.name.is_empty() {
            let voters: Vec<&EtcdMember> = etcd.members.iter().filter(|member| !member.learner).collect();
            let healthy = healthy(session, via, &voters).await?;
            let its = healthy.contains(&member.id);
            let voters = Voters { total: voters.len(), healthy: healthy.len() };
            if let Err(why) = voters.without(node, its) {
                return Ok(Removal::Refused(why));
            }
        }
        let id = decimal(&member.id).ok_or_else(|| format!("member id {} is no number", member.id))?;
        call(session, via, "/v3/cluster/member/remove", &format!(r#"{{"ID":"{id}"}}"#)).await?;
        return Ok(Removal::Asked);
    }
    Err(if silent.is_empty() { "there is no other member to ask".to_owned() } else { silent.join("; ") })
}

/// A node's member: by its peer URL, or by its name where it was started under another address.
fn of<'a>(etcd: &'a Etcd, node: &NodeName, peer: &str) -> Option<&'a EtcdMember> {
    let by_address = etcd.members.iter().find(|member| member.peer_urls.iter().any(|url| url == peer));
    by_address.or_else(|| etcd.members.iter().find(|member| member.name == node.as_str()))
}

/// The ids of those that say of themselves that they are healthy, asked from one control plane.
async fn healthy(session: &Session, via: &NodeName, voters: &[&EtcdMember]) -> Result<Vec<String>, String> {
    let urls = voters.iter().filter_map(|voter| Some((voter.id.as_str(), client_url(voter.peer_urls.first()?)?)));
    let asked: Vec<String> = urls
        .map(|(id, url)| {
            format!(
                "case $(curl -q -s --noproxy '*' --max-time 3 --cacert \"$kb_etcd_ca\" --cert \"$kb_etcd_cert\" \
                 --key \"$kb_etcd_key\" {url}/health) in *'\"health\":\"true\"'*) echo {id} ;; esac",
                url = quote(&url),
                id = quote(id),
            )
        })
        .collect();
    let script = Script::new(wrap(&format!("{}\n{}", EtcdLayout::credentials(), asked.join("\n"))));
    let output = session.link.look(via, &script, Limits::within(LIMIT)).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(String::from).collect())
}

/// Where a member serves clients: its peer URL with the other port.
fn client_url(peer: &str) -> Option<String> {
    let host = peer.strip_suffix(&format!(":{}", EtcdLayout::PEER_PORT))?;
    Some(format!("{host}:{}", EtcdLayout::CLIENT_PORT))
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
    fn members_are_known_by_address_then_by_name() {
        let with =
            |id: &str, name: &str, url: &str| EtcdMember { peer_urls: vec![url.into()], ..member(id, name, false) };
        let etcd = Etcd {
            members: vec![with("a", "cp1", "https://10.0.0.11:2380"), with("b", "", "https://10.0.0.12:2380")],
            ..Etcd::default()
        };
        let id = |name: &str, peer: &str| of(&etcd, &name.parse().unwrap(), peer).map(|member| member.id.as_str());
        assert_eq!(id("cp2", "https://10.0.0.12:2380"), Some("b"), "it never started");
        assert_eq!(id("cp1", "https://10.0.0.99:2380"), Some("a"), "its address changed");
        assert_eq!(id("cp3", "https://10.0.0.13:2380"), None);
        assert_eq!(client_url("https://[fd00::1]:2380").as_deref(), Some("https://[fd00::1]:2379"));
        assert_eq!(client_url("http://x"), None);
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
