//! A member of etcd on its way from a static pod of kubeadm's to a service of its own: the same member, with its name, its
//! addresses and its data, so that nothing of etcd's membership changes.

use super::{
    super::{op, write},
    Context, etcd_member, etcd_membership, pki, static_pods,
};
use crate::{
    model::{cluster::ClusterSpec, etcd::EtcdLayout, facts::Facts, name::NodeName, op::Op},
    pki::SharedPath,
    render::{etcd, static_pods::Component},
    shell::{Until, quote},
};

/// Why everything else waits, and the way out.
pub const UNDER_WAY: (&str, &str) = (
    "etcd is being converted to a service, and that has not come to its end",
    "kbootstrap etcd convert goes on with it from what is there",
);

/// kubelet sees within moments that a manifest is gone, and gives a pod 30 s to end.
const END_S: u32 = 90;
/// A member reads all of its data first.
const START_S: u32 = 180;
/// An API server begins anew, and is ready some seconds after etcd.
const SERVER_S: u32 = 120;
/// Data that lie on another disk are copied in between.
const TAKEOVER_S: u32 = 1200;

/// What only the static pod showed and was asked with. The API server's own certificate for etcd stays.
const OF_THE_POD: [&str; 3] = ["server", "peer", "healthcheck-client"];

/// How far a control plane's member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It was begun, and has not come to its end.
    Between,
    Service,
    Pod,
}

/// Whether a conversion has begun on any control plane and has not come to its end: told by what lies on the machines, since
/// the cluster's own word changes last.
pub fn is_under_way<'a>(spec: &ClusterSpec, facts: impl Fn(&NodeName) -> Option<&'a Facts>) -> bool {
    let begun = |facts: &Facts| {
        let there = &facts.kubernetes;
        there.etcd_taken || (spec.etcd == EtcdLayout::Stacked && there.etcd_service)
    };
    spec.control_planes().filter_map(|node| facts(&node.name)).any(begun)
}

/// Tells the stage of a control plane; the context's cluster is the one that is wanted, with etcd as a service.
pub fn stage(context: &Context<'_>) -> Stage {
    let there = &context.seen.facts.kubernetes;
    match (there.etcd_taken, has_pod(context), there.etcd_service) {
        (false, true, false) => Stage::Pod,
        (false, false, true) if etcd_member::stands(context) => Stage::Service,
        _ => Stage::Between,
    }
}

/// Why a member can't be taken over, and the way out: what lies on the machine is nothing that this makes.
pub fn refusal(context: &Context<'_>) -> Option<(String, String)> {
    let (name, there) = (&context.node.name, &context.seen.facts.kubernetes);
    let service = EtcdLayout::Service.data_folder();
    match (there.etcd_taken, has_pod(context), there.etcd_service) {
        (_, true, true) => Some((
            format!("{name} has a static pod of etcd, and data of a service in {service}, too"),
            format!("which of them counts is for you to say: move {service}/member away, or the manifest"),
        )),
        (false, false, false) => Some((
            format!("{name} lacks {}", EtcdLayout::Stacked.manifest().unwrap_or_default()),
            "put it back from a backup, or remove this control plane and join it anew".to_owned(),
        )),
        _ => None,
    }
}

fn has_pod(context: &Context<'_>) -> bool {
    context.seen.facts.kubernetes.manifests.iter().any(|name| name == "etcd.yaml")
}

/// What can be brought beforehand, disturbing nobody: user, programs, and a certificate by the authority of now, whatever an
/// earlier attempt left.
pub fn install(context: &Context<'_>) -> Vec<Op> {
    let script = format!(
        "[ -e {}/member ] || rm -f {}/member.key",
        EtcdLayout::Service.data_folder(),
        EtcdLayout::SERVICE_FOLDER
    );
    let what = "forget a certificate of an earlier attempt";
    vec![op::node("etcd.forget", what, script, op::QUICK_S), etcd_member::install(context)]
}

/// Takes the member over, from wherever an earlier attempt left it. `lives`: all other members shall be well after it, too.
///
/// Until its data are the service's, a failure puts the static pod's manifest back; from then on there is one way only, and
/// the same text goes it. The manifest lies beside its folder until the member is well.
pub fn takeover(context: &Context<'_>, lives: bool) -> Op {
    let members = quote(&etcd::initial_cluster(context.spec.members()));
    let script = format!(
        r#"{functions}{ready}{moved}kb_unit=$(cat {unit_path} 2> /dev/null) || :
{unit}
if [ "$kb_unit" != "$(cat {unit_path})" ] || ! systemctl -q is-active {service}; then systemctl restart --no-block {service}; fi
{healthy}{settle}{tidy}{server}"#,
        functions = etcd_membership::functions(context),
        ready = ready(context),
        moved = moved(),
        unit = etcd_member::put_unit(context, Some((&members, "existing"))),
        unit_path = etcd::UNIT_PATH,
        service = EtcdLayout::UNIT,
        healthy = etcd_member::until_healthy(START_S, "etcd does not come up as a service"),
        settle = if lives { "kb_settle || exit 1\n" } else { "" },
        tidy = tidy(),
        server = if lives { String::new() } else { await_server() },
    );
    op::node("etcd.takeover", "end etcd's static pod, and start the service with its data", script, TAKEOVER_S)
}

/// POSIX text: names, and what must be there before anything is touched.
fn ready(context: &Context<'_>) -> String {
    format!(
        r#"kb_old={old} kb_new={new} kb_manifest={manifest} kb_kept={kept}
if [ -e "$kb_manifest" ] && [ -e "$kb_new/member" ]; then
  echo "a static pod of etcd is here, and $kb_new has a member's data, too; nothing was changed" >&2
  exit 1
fi
if [ ! -e "$kb_new/member" ] && [ ! -e "$kb_old/member" ]; then
  echo "neither $kb_old nor $kb_new has a member's data; nothing was changed" >&2
  exit 1
fi
kb_as="setpriv --reuid={user} --regid={user} --clear-groups --"
$kb_as {programs}/etcd --version > /dev/null
$kb_as test -r {folder}/member.key || {{ echo 'etcd could not read its key as a service; nothing was changed' >&2; exit 1; }}
"#,
        old = EtcdLayout::Stacked.data_folder(),
        new = EtcdLayout::Service.data_folder(),
        manifest = EtcdLayout::Stacked.manifest().unwrap_or_default(),
        kept = EtcdLayout::KEPT_MANIFEST,
        user = etcd::USER,
        programs = quote(&etcd::programs(context.spec)),
        folder = EtcdLayout::SERVICE_FOLDER,
    )
}

/// POSIX text: the static pod ends, and its data become the service's. By one rename where both folders are on one disk; else
/// by a copy, which counts once it is whole.
fn moved() -> String {
    let ended = Until {
        holds: r#"kb_there=$(crictl ps -q --label io.kubernetes.pod.namespace=kube-system --name '^etcd$') && [ -z "$kb_there" ]"#,
        seconds: END_S,
        pause: "1",
        otherwise: "echo 'the static pod of etcd does not end: does kubelet run?' >&2\n    exit 1",
    };
    format!(
        r#"if [ ! -e "$kb_new/member" ]; then
  kb_undo() {{
    kb_code=$?
    if [ ! -e "$kb_new/member" ] && [ -e "$kb_kept" ] && [ ! -e "$kb_manifest" ]; then
      rm -rf "$kb_new/member.part"
      mv -fT "$kb_kept" "$kb_manifest"
      echo 'etcd goes on here as a static pod, as before' >&2
    fi
    exit "$kb_code"
  }}
  trap kb_undo EXIT
  if [ -e "$kb_manifest" ]; then mv -fT "$kb_manifest" "$kb_kept"; fi
{ended}
  rm -rf "$kb_new/member.part"
  if [ "$(stat -L -c '%d %m' "$kb_old")" = "$(stat -L -c '%d %m' "$kb_new")" ]; then
    mv -T "$kb_old/member" "$kb_new/member"
  else
    cp -a "$kb_old/member" "$kb_new/member.part"
    diff -r "$kb_old/member" "$kb_new/member.part" > /dev/null || {{ echo "the copy of $kb_old is not like it" >&2; exit 1; }}
    sync -f "$kb_new"
    mv -T "$kb_new/member.part" "$kb_new/member"
  fi
  sync -f "$kb_new"
  trap - EXIT
fi
chown -R {user}:{user} "$kb_new"
chmod 700 "$kb_new"
"#,
        ended = ended.text(),
        user = etcd::USER,
    )
}

/// POSIX text, once the member is well: what the static pod left goes aside, its manifest last, since that tells that there is
/// something to be done. An API server that found no etcd is started again only after some minutes, unless by a kubelet that
/// has just started.
fn tidy() -> String {
    format!(
        r#"[ -n "$(crictl ps -q --name '^kube-apiserver$')" ] || systemctl restart kubelet.service
kb_aside={aside}/$(date -u +%Y%m%dT%H%M%SZ)-etcd
mkdir -p {aside}
mkdir -p -m 700 "$kb_aside"
rm -rf "$kb_old/member"
rmdir "$kb_old" 2> /dev/null || :
for kb_file in {files}; do
  for kb_part in crt key; do
    if [ -e "{pki}/etcd/$kb_file.$kb_part" ]; then mv "{pki}/etcd/$kb_file.$kb_part" "$kb_aside/"; fi
  done
done
{key}
if [ -e "$kb_kept" ]; then mv "$kb_kept" "$kb_aside/etcd.yaml"; fi
rmdir "$kb_aside" 2> /dev/null || :"#,
        aside = write::ASIDE,
        files = OF_THE_POD.join(" "),
        pki = SharedPath::FOLDER,
        key = pki::moves_etcd_key(EtcdLayout::Stacked.ca_key(), EtcdLayout::Service),
    )
}

/// POSIX text by which an API server that was away has some time to be back. Whether it is, is seen by the next look.
fn await_server() -> String {
    let well = static_pods::well(Component::ApiServer);
    format!("\n{}", Until { holds: &well, seconds: SERVER_S, pause: "1", otherwise: "break" }.text())
}

#[cfg(test)]
mod tests;
