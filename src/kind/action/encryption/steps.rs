//! The ops by which a control plane's file of keys comes, goes from one first provider to another, and is seen to be loaded.

use super::super::{
    super::{op, write},
    Context, upgrade,
};
use crate::{
    model::{
        encryption::{FOLDER, PATH, PENDING, Phase},
        mode::Mode,
        op::{Keys, Late, Op},
        plan::{Change, Verdict},
    },
    shell::{Until, quote},
};

/// API servers look at the file each minute; one that may not have done so is started anew.
const LOAD_S: u32 = 330;

/// What the text that a control plane's API server was last seen to have loaded has as SHA-256.
fn stamp() -> String {
    format!("{}/encryption", write::STAMPS)
}

/// The keys that the other control planes have, before this one joins them.
pub fn bring() -> Op {
    let what = "write the keys that Secrets are encrypted with";
    op::node_with("encryption.write", what, bring_script(), op::QUICK_S, vec![Late::Encryption(Keys::Present)])
}

pub(super) fn bring_script() -> String {
    format!("mkdir -p -m 700 {FOLDER}\n{}", put("config"))
}

fn put(name: &str) -> String {
    write::put(PATH, write::Source::Input(&format!("encryption/{name}.yaml")), Mode::PRIVATE, write::ROOT)
}

/// Puts back what the other control planes have, by its digest.
pub(super) fn mend(right: &str) -> Op {
    let script = format!(
        r#"if [ "$(sha256sum < "$KB_IN"/encryption/config.yaml | cut -d ' ' -f 1)" != {right} ]; then
  echo 'the other control planes have other keys now than when this was planned; nothing was changed' >&2
  exit 1
fi
{}
{}"#,
        bring_script(),
        loaded(),
        right = quote(right),
    );
    let what = format!("write {PATH} as the other control planes have it");
    op::node_with("encryption.write", what, script, LOAD_S, vec![Late::Encryption(Keys::Present)])
}

/// One step of a sequence of files: `at` is its place among `names`. A node that is there already is not taken back, and one
/// that is not at the step before is not touched. With `load`, its API server is waited for until it has read it.
pub(super) fn step(names: &[&str], at: usize, load: bool, keys: Keys) -> Op {
    let script = format!(
        r#"kb_at=-2 kb_place=-1
if [ ! -e {PATH} ]; then kb_at={absent}; fi
for kb_name in {names}; do
  kb_place=$((kb_place + 1))
  if [ -e {PATH} ] && cmp -s "$KB_IN/encryption/$kb_name.yaml" {PATH}; then kb_at=$kb_place; fi
done
if [ "$kb_at" = {before} ]; then
  mkdir -p -m 700 {FOLDER}
  {put}
elif [ "$kb_at" -lt {at} ]; then
  echo '{PATH} is none of those that come before this step; nothing was changed' >&2
  exit 1
fi
if [ "$kb_at" -gt {at} ]; then exit 0; fi
{load}"#,
        // A cluster that had no key begins with none.
        absent = if names[0] == "second" { -1 } else { -2 },
        names = names.join(" "),
        before = at as isize - 1,
        put = put(names[at]),
        load = if load { loaded() } else { String::new() },
    );
    let what = match names[at] {
        "second" => "let this API server read what the new key writes",
        "first" => "let this API server write with the new key",
        _ => "take the old key away",
    };
    op::node_with("encryption.step", what, script, LOAD_S, vec![Late::Encryption(keys)])
}

/// The steps of a rotation, and of turning on, by their files.
pub(super) fn names(keys: Keys) -> &'static [&'static str] {
    match keys {
        Keys::First => &["second", "first"],
        Keys::Present | Keys::Next => &["before", "second", "first", "only"],
    }
}

/// The step of a phase.
pub fn phase(phase: Phase, keys: Keys) -> Op {
    let name = match phase {
        Phase::Second => "second",
        Phase::First => "first",
        Phase::Only => "only",
    };
    let names = names(keys);
    step(names, names.iter().position(|other| *other == name).expect("a step of this sequence"), true, keys)
}

/// Keeps a snapshot of etcd with the keys on this node, and sees that the keys are in it.
pub fn backup(generation: u32, context: &Context<'_>) -> Op {
    let proof = format!(
        r#"kb_key=$(sha256sum < {PATH})
[ "$(tar -xzOf "$kb_new/kubernetes.tar.gz" {inside} | sha256sum)" = "$kb_key" ] || {{ echo 'the keys are not in the backup' >&2; exit 1; }}"#,
        inside = PATH.trim_start_matches('/'),
    );
    upgrade::keep(&format!("encryption-key{generation}"), &proof, context)
}

/// Remembers that Secrets of before are not written anew yet.
pub fn mark() -> Op {
    let what = "remember that Secrets of before are plain";
    op::node("encryption.mark", what, format!(": > {PENDING}"), op::QUICK_S)
}

/// Forgets it.
pub fn unmark() -> Op {
    let what = "forget that Secrets of before were plain";
    op::node("encryption.unmark", what, format!("rm -f {PENDING}"), op::QUICK_S)
}

/// POSIX text that waits until this control plane's API server has loaded the file as it is now. It says when it last loaded one,
/// and when it began, and that must be after the file's last change; or nothing was loaded since this very text was seen to be,
/// which is remembered by its digest. It looks each minute, and says nothing where the file is as it was: then it is started
/// anew.
fn loaded() -> String {
    let otherwise = format!(
        r#"kb_server=$(crictl ps -q --name '^kube-apiserver$' --state Running | head -n 1)
    if [ -n "$kb_restarted" ] || [ -z "$kb_server" ]; then
      echo 'the API server does not load {PATH}:' >&2
      crictl logs --tail 15 "$(crictl ps -a -q --name '^kube-apiserver$' | head -n 1)" 2>&1 | grep -i encrypt >&2 || :
      exit 1
    fi
    crictl stop -t 30 "$kb_server" > /dev/null
    kb_restarted=1
    {more}"#,
        more = Until::anew(120),
    );
    format!(
        r#"kb_sum=$(sha256sum < {PATH} | cut -d ' ' -f 1)
kb_written=$(stat -c %.Y {PATH}) kb_seen=0
if [ "$(cat {stamp} 2> /dev/null)" = "$kb_sum" ]; then kb_seen=$(stat -c %.Y {stamp}); fi
kb_loaded() {{
  curl -s -k --max-time 10 --noproxy '*' --cert /etc/kubernetes/pki/apiserver-kubelet-client.crt \
    --key /etc/kubernetes/pki/apiserver-kubelet-client.key https://127.0.0.1:6443/metrics | awk -v written="$kb_written" -v seen="$kb_seen" '
    /^process_start_time_seconds / {{ began = $2 + 0 }}
    /^apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds\{{.*status="success"/ {{ last = $NF + 0 }}
    END {{ exit !(began > 0 && (began > written + 2 || last > written + 0 || (began < seen + 0 && last < seen + 0))) }}'
}}
kb_restarted=
{loaded}
{remember}"#,
        loaded = Until { holds: "kb_loaded", seconds: 100, pause: "2", otherwise: &otherwise }.text(),
        stamp = stamp(),
        remember = write::put(&stamp(), write::Source::Output("printf '%s\\n' \"$kb_sum\""), Mode::PUBLIC, write::ROOT),
    )
}

/// Sees that the API server has loaded the file, whatever it is.
pub fn load(keys: Keys) -> Op {
    let mut op = step(names(keys), 0, true, keys);
    op.what = "see that this API server reads what the new key writes".to_owned();
    op
}

/// A change of the keys with these ops.
pub fn change(diff: &str, ops: Vec<Op>, disrupts: Option<&str>) -> Verdict {
    Verdict::Change(Change { diff: vec![diff.to_owned()], ops, disrupts: disrupts.map(str::to_owned) })
}
