//! What a node asks of the cluster's etcd on its way in and out: who its members are, whether all are well, another leader.

use super::{super::op, Context};
use crate::{
    model::{etcd::EtcdLayout, op::Op},
    shell::{Until, quote},
};

const SETTLE_S: u32 = 150;

/// What etcd says of this node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Member {
    Unknown,
    None,
    /// A learner, or one that was added and never started.
    Learns,
    Votes,
}

/// This node's member of etcd, by what any control plane's etcd says; members are known by their peer address, since
/// one that has not started has no name.
pub fn member(context: &Context<'_>) -> Member {
    let own = format!("https://{}", peer_address(context));
    let answers: Vec<_> = context.facts.values().filter_map(|facts| facts.kubernetes.etcd.as_ref()).collect();
    match answers.iter().flat_map(|etcd| &etcd.members).find(|member| member.peer_urls.contains(&own)) {
        _ if answers.is_empty() => Member::Unknown,
        None => Member::None,
        Some(member) if member.learner || member.name.is_empty() => Member::Learns,
        Some(_) => Member::Votes,
    }
}

pub fn peer_address(context: &Context<'_>) -> String {
    std::net::SocketAddr::new(context.node.node_ip(), EtcdLayout::PEER_PORT).to_string()
}

/// Waits until every member of etcd votes and is healthy.
pub fn settle_op(context: &Context<'_>) -> Op {
    let script = format!("{}kb_healthcheck\nkb_settle || exit 1", functions(context));
    op::node("etcd.settle", "wait until every member of etcd votes and is healthy", script, SETTLE_S)
}

/// POSIX text that moves etcd's leadership to another member, where this node has it and there is one.
pub fn step_down(context: &Context<'_>) -> String {
    format!(
        r#"{functions}kb_healthcheck
kb_here=https://127.0.0.1:{port}
kb_status=$(kb_curl -d '{{}}' "$kb_here/v3/maintenance/status") || kb_status=
kb_id=$(printf '%s\n' "$kb_status" | sed -n 's/.*"member_id":"\([0-9]*\)".*/\1/p')
case $kb_status in
  *"\"leader\":\"$kb_id\""*)
    kb_other=$(kb_members | grep -v '"isLearner":true' | grep -v "\"ID\":\"$kb_id\"" | head -n 1 | sed 's/^{{"ID":"\([0-9]*\)".*/\1/') || :
    if [ -n "$kb_other" ]; then
      kb_curl -d "{{\"targetID\":\"$kb_other\"}}" "$kb_here/v3/maintenance/transfer-leadership" > /dev/null || :
    fi ;;
esac
"#,
        functions = functions(context),
        port = EtcdLayout::CLIENT_PORT,
    )
}

/// Asking the leader's etcd over the network, with a certificate that this node signs itself: it has the authority.
///
/// `kb_settle` waits a minute until every member is started, votes and is healthy: etcd takes one learner at a time, and
/// refuses a new member while one is unwell.
pub fn functions(context: &Context<'_>) -> String {
    let leader = context.spec.node(context.leader).map_or_else(|| context.node.node_ip(), |node| node.node_ip());
    let (certificate, key) = context.spec.etcd.client_certificate();
    let settled = Until {
        holds: r#"kb_settled 2> "$KB_IN/etcd.log""#,
        seconds: 60,
        pause: "0.5",
        otherwise: r#"echo 'etcd does not settle: a member has not started, has no vote, or is not healthy' >&2
    cat "$KB_IN/etcd.log" >&2
    printf '%s\n' "${kb_list:-}" >&2
    return 1"#,
    };
    format!(
        r#"kb_url=https://{leader}
kb_healthcheck() {{
  {skip}[ -s {certificate} ] || kubeadm init phase certs etcd-healthcheck-client --cert-dir {folder} --kubernetes-version {version} > /dev/null
}}
kb_curl() {{ curl -fsS --max-time 5 --noproxy '*' --cacert {ca} --cert {certificate} --key {key} "$@"; }}
kb_members() {{ kb_curl -d '{{}}' "$kb_url/v3/cluster/member/list" | sed 's/{{"ID"/\n&/g' | grep '^{{"ID"'; }}
kb_settled() {{
  kb_list=$(kb_members) || return 1
  case $kb_list in *'"isLearner":true'*) return 1 ;; esac
  if printf '%s\n' "$kb_list" | grep -qv '"name":"..*"clientURLs"'; then return 1; fi
  for kb_member in $(printf '%s\n' "$kb_list" | sed 's/.*"clientURLs":\["\([^"]*\)".*/\1/'); do
    case $(kb_curl "$kb_member/health") in *'"health":"true"'*) ;; *) return 1 ;; esac
  done
}}
kb_settle() {{
{settled}
}}
kb_drop_learner() {{
  kb_own=$(kb_members | grep -F {own}) || return 0
  case $kb_own in
    *'"isLearner":true'*) ;;
    *'"clientURLs"'*) echo 'etcd counts on a member at the address of this machine; nothing was changed' >&2; exit 1 ;;
  esac
  kb_id=${{kb_own#'{{"ID":"'}}
  kb_curl -d "{{\"ID\":\"${{kb_id%%\"*}}\"}}" "$kb_url/v3/cluster/member/remove" > /dev/null
}}
"#,
        leader = std::net::SocketAddr::new(leader, EtcdLayout::CLIENT_PORT),
        folder = crate::pki::SharedPath::FOLDER,
        settled = settled.text(),
        version = context.spec.kubernetes().tag(),
        // A member as a service has its own certificate, from before.
        skip = if context.spec.etcd == EtcdLayout::Service { "return 0\n  " } else { "" },
        ca = context.spec.etcd.ca_certificate(),
        own = quote(&format!("\"https://{}\"", peer_address(context))),
    )
}
