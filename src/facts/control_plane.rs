//! What a control plane's own programs say: etcd its members, the API server whether it is ready.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::section::Section;
use crate::model::{
    etcd::EtcdLayout,
    facts::{Etcd, EtcdMember},
};

/// The section's name.
pub const NAME: &str = "control-plane";

/// Text of a condition: whether there is anything to be asked. A worker that is no witness never starts a process for this.
pub fn condition() -> String {
    let credentials = EtcdLayout::credentials();
    format!(
        "{{ {{ {credentials}; }} || [ -e /etc/kubernetes/manifests/kube-apiserver.yaml ]; }} && command -v curl >/dev/null"
    )
}

/// Where the API server keeps ConfigMap `kube-system/kubeadm-config`.
const KUBEADM_CONFIG: &str = "/registry/configmaps/kube-system/kubeadm-config";

/// Asks both over loopback with one process; writes each answer, then a line of its own with the HTTP status (000 where
/// nothing answered within two seconds). `-k` only for the API server, which is told nothing and believed nothing.
pub fn command() -> String {
    let etcd = format!("https://127.0.0.1:{}/v3", EtcdLayout::CLIENT_PORT);
    let credentials = EtcdLayout::credentials();
    // -q: not root's own .curlrc; --noproxy: nor a proxy of root's environment.
    let each = r"-q -s --noproxy '*' --max-time 2 -w '\n#%{http_code}\n'";
    let member = format!(r#"{each} --cacert "$kb_etcd_ca" --cert "$kb_etcd_cert" --key "$kb_etcd_key" -d"#);
    let range = format!(r#"{{"key":"{}","count_only":true}}"#, STANDARD.encode(KUBEADM_CONFIG));
    // The list and the status are the member's own and need no quorum; the key does.
    format!(
        "{{ {credentials}; }} || :; curl {member} '{{}}' {etcd}/cluster/member/list {etcd}/maintenance/status --next {member} '{range}' {etcd}/kv/range \
         --next {each} -k -o /dev/null https://127.0.0.1:6443/readyz"
    )
}

/// Components with a health port of their own, on loopback alone unless the inventory says otherwise.
const WORKING: [(&str, u16); 2] = [("kube-controller-manager", 10257), ("kube-scheduler", 10259)];

/// [`command`], and after it those that ask the API: their `/healthz` is for everybody. kubelet calls them ready only ten
/// to twenty seconds after they are, since that long kubeadm's startup probes wait before they ask.
pub fn command_with_components() -> String {
    let each = r"-q -s -k --noproxy '*' --max-time 2 -w '\n#%{http_code}\n' -o /dev/null";
    let asked = WORKING.map(|(_, port)| format!("{each} https://127.0.0.1:{port}/healthz"));
    format!("{}\ncurl {}", command(), asked.join(" --next "))
}

/// What answered [`command_with_components`] that it is well, by the component's name.
pub fn well_components(section: &Section<'_>) -> Vec<&'static str> {
    let answers = answers(section);
    let well = |index: usize| answers.get(4 + index).is_some_and(|(_, code)| *code == 200);
    WORKING.iter().enumerate().filter(|(index, _)| well(*index)).map(|(_, (name, _))| *name).collect()
}

/// Bodies and HTTP statuses, in the order of the questions.
fn answers(section: &Section<'_>) -> Vec<(String, u16)> {
    let text = String::from_utf8_lossy(section.out);
    let mut answers = Vec::new();
    let mut body = String::new();
    for line in text.lines() {
        match line.strip_prefix('#').and_then(|code| code.parse::<u16>().ok()) {
            Some(code) => answers.push((std::mem::take(&mut body), code)),
            None => body.push_str(line),
        }
    }
    answers
}

/// etcd's word and the status of `/readyz`; each absent where it did not answer, which may have any reason.
pub fn parse(section: Option<&Section<'_>>) -> (Option<Etcd>, Option<u16>) {
    let Some(section) = section else {
        return (None, None);
    };
    let answers = answers(section);
    let readyz = answers.get(3).map(|(_, code)| *code).filter(|&code| code != 0);
    let answer = |index: usize| answers.get(index).filter(|(_, code)| *code == 200).map(|(body, _)| body.as_str());
    (etcd(answer(0), answer(1), answer(2)), readyz)
}

/// etcd's JSON writes 64-bit numbers as decimal text and leaves out what is zero, false or empty.
#[derive(Deserialize)]
struct MemberList {
    members: Vec<RawMember>,
}

#[derive(Deserialize)]
struct RawMember {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "peerURLs")]
    peer_urls: Vec<String>,
    /// Told by the member itself when it first starts; its name may be known before, from those it was formed with.
    #[serde(default, rename = "clientURLs")]
    client_urls: Vec<String>,
    #[serde(default, rename = "isLearner")]
    learner: bool,
}

#[derive(Deserialize)]
struct Status {
    header: Header,
    version: String,
    #[serde(default, rename = "dbSize")]
    db_size: String,
    #[serde(default, rename = "dbSizeInUse")]
    db_size_in_use: String,
    #[serde(default)]
    leader: String,
    /// Alarms among others: `memberID:10501334649042878790 alarm:NOSPACE `.
    #[serde(default)]
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct Header {
    member_id: String,
}

/// The answer to a question for the number of keys.
#[derive(Deserialize)]
struct Range {
    /// Always there, so that an answer of something else is not taken for "none".
    #[serde(rename = "header")]
    _header: Header,
    #[serde(default)]
    count: String,
}

fn etcd(members: Option<&str>, status: Option<&str>, range: Option<&str>) -> Option<Etcd> {
    let list: MemberList = serde_json::from_str(members?).ok()?;
    let status: Status = serde_json::from_str(status?).ok()?;
    let range: Option<Range> = range.and_then(|range| serde_json::from_str(range).ok());
    let member = |raw: RawMember| {
        let name = if raw.client_urls.is_empty() { String::new() } else { raw.name };
        Some(EtcdMember { id: hex(&raw.id)?, name, peer_urls: raw.peer_urls, learner: raw.learner })
    };
    let alarm = |error: &String| Some(error.split_once("alarm:")?.1.trim().to_owned());
    Some(Etcd {
        members: list.members.into_iter().map(member).collect::<Option<_>>()?,
        leader: hex(&status.leader).filter(|leader| leader != "0"),
        member: hex(&status.header.member_id)?,
        db_bytes: status.db_size.parse().unwrap_or(0),
        db_in_use_bytes: status.db_size_in_use.parse().unwrap_or(0),
        version: status.version,
        alarms: status.errors.iter().filter_map(alarm).collect(),
        kubeadm_config: range.map(|range| !matches!(range.count.as_str(), "" | "0")),
    })
}

/// As etcdctl prints ids.
fn hex(decimal: &str) -> Option<String> {
    decimal.parse::<u64>().ok().map(|id| format!("{id:x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Composed after etcd 3.5.15's gateway, whose member list and status have these fields.
    const MEMBERS: &str = r#"{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","raft_term":"2"},"members":[{"ID":"10276657743932975437","name":"cp1","peerURLs":["https://10.77.0.11:2380"],"clientURLs":["https://10.77.0.11:2379"]},{"ID":"1234","peerURLs":["https://10.77.0.12:2380"],"isLearner":true}]}"#;
    const STATUS: &str = r#"{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"9","raft_term":"2"},"version":"3.5.15","dbSize":"2740224","leader":"10276657743932975437","raftIndex":"12","raftTerm":"2","raftAppliedIndex":"12","errors":["memberID:10276657743932975437 alarm:NOSPACE "],"dbSizeInUse":"1503232"}"#;

    const HEADER: &str = r#""header":{"cluster_id":"1","member_id":"2","revision":"9","raft_term":"2"}"#;

    fn read(answers: [(&str, u16); 4]) -> (Option<Etcd>, Option<u16>) {
        let text: String = answers.iter().map(|(body, code)| format!("{body}\n#{code:03}\n")).collect();
        parse(Some(&Section { code: 0, out: text.as_bytes(), err: b"" }))
    }

    #[test]
    fn a_member_with_an_alarm_and_a_learner_beside() {
        let found = format!(r#"{{{HEADER},"count":"1"}}"#);
        let (etcd, readyz) = read([(MEMBERS, 200), (STATUS, 200), (&found, 200), ("", 200)]);
        let etcd = etcd.expect("answered");
        assert_eq!(readyz, Some(200));
        assert_eq!((etcd.member.as_str(), etcd.version.as_str()), ("8e9e05c52164694d", "3.5.15"));
        assert_eq!(etcd.leader.as_deref(), Some("8e9e05c52164694d"));
        assert_eq!((etcd.db_bytes, etcd.alarms), (2_740_224, vec!["NOSPACE".to_owned()]));
        assert_eq!((etcd.members[0].name.as_str(), etcd.members[1].learner), ("cp1", true));
        assert_eq!((etcd.members[1].id.as_str(), etcd.members[1].name.as_str()), ("4d2", ""));
        assert_eq!(etcd.kubeadm_config, Some(true));
    }

    #[test]
    fn what_does_not_answer_is_absent() {
        assert_eq!(read([("", 0), ("", 0), ("", 0), ("", 500)]), (None, Some(500)));
        assert_eq!(read([(MEMBERS, 200), ("", 0), ("", 0), ("", 0)]), (None, None));
        assert_eq!(read([("not json", 200), ("neither", 200), ("", 200), ("", 401)]), (None, Some(401)));
        assert_eq!(parse(Some(&Section { code: 0, out: b"", err: b"" })), (None, None));
        assert_eq!(parse(None), (None, None));
    }

    #[test]
    fn components_are_well_by_their_own_word() {
        let well = |codes: [u16; 6]| {
            let text: String = codes.iter().map(|code| format!("{{}}\n#{code:03}\n")).collect();
            well_components(&Section { code: 0, out: text.as_bytes(), err: b"" })
        };
        assert_eq!(well([200, 200, 200, 200, 0, 200]), ["kube-scheduler"]);
        assert_eq!(well([0, 0, 0, 0, 200, 500]), ["kube-controller-manager"]);
        assert!(well_components(&Section { code: 0, out: b"", err: b"" }).is_empty());
    }

    #[test]
    fn only_etcd_itself_says_that_init_did_not_finish() {
        let said = |body: &str, code| read([(MEMBERS, 200), (STATUS, 200), (body, code), ("", 0)]).0;
        let said = |body: &str, code| said(body, code).expect("answered").kubeadm_config;
        assert_eq!(said(&format!("{{{HEADER}}}"), 200), Some(false));
        assert_eq!(said("{}", 200), None, "not an answer of etcd's");
        assert_eq!(said(&format!("{{{HEADER}}}"), 503), None);
        assert_eq!(said("", 0), None, "no quorum");
    }

    #[test]
    fn no_quorum_means_no_leader() {
        let status = STATUS.replace(r#""leader":"10276657743932975437","#, "");
        let (etcd, _) = read([(MEMBERS, 200), (&status, 200), ("", 0), ("", 0)]);
        assert_eq!(etcd.expect("answered").leader, None);
    }
}
