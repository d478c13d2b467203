//! The parts of shell text that have a control plane's own member write a snapshot of etcd, check it, and put all together
//! that a backup holds.

use crate::model::etcd::EtcdLayout;

/// POSIX text that puts a verified snapshot into `$kb_new/etcd.db`, a folder of root alone on the disk of etcd's data.
///
/// The image of etcd has no shell, and sees of the node only its data and its certificates: so the snapshot is written
/// beside the data, and moved away. A snapshot's last 32 bytes are the SHA-256 of all before them. `$kb_new/etcd.json` gets
/// what etcd says of it: hash, revision, keys. Of two that take one at the same time the second waits (descriptor 9).
pub fn take(etcd: EtcdLayout) -> String {
    let (certificate, key) = etcd.client_certificate();
    format!(
        r#"exec 9> {LOCK}
flock -w 600 9 || {{ echo 'another snapshot of etcd is being taken here' >&2; exit 1; }}
kb_draft={draft}
rm -rf "$kb_draft" "$kb_draft.part"
trap 'rm -rf "$kb_draft" "$kb_draft.part"' EXIT
{etcdctl}
kb_etcdctl --endpoints https://127.0.0.1:{port} --cacert {ca} --cert {certificate} --key {key} \
  snapshot save "$kb_draft" > "$kb_new/log" 2>&1 || {{ cat "$kb_new/log" >&2; exit 1; }}
rm "$kb_new/log"
kb_etcdctl snapshot status "$kb_draft" -w json 2> /dev/null | grep '^{{' > "$kb_new/etcd.json"
mv "$kb_draft" "$kb_new/etcd.db"
kb_size=$(stat -c %s "$kb_new/etcd.db")
kb_sum=$(head -c $((kb_size - 32)) "$kb_new/etcd.db" | sha256sum)
kb_end=$(tail -c 32 "$kb_new/etcd.db" | od -An -v -tx1 | tr -d ' \n')
[ "${{kb_sum%% *}}" = "$kb_end" ] || {{ echo 'the snapshot of etcd does not fit its own digest' >&2; exit 1; }}"#,
        etcdctl = etcdctl(etcd),
        draft = draft(etcd),
        ca = etcd.ca_certificate(),
        port = EtcdLayout::CLIENT_PORT,
    )
}

/// POSIX text that makes `kb_etcdctl` the member's own program: in its container, or beside what its unit runs.
fn etcdctl(etcd: EtcdLayout) -> String {
    match etcd {
        EtcdLayout::Stacked => r#"kb_member=$(crictl ps -q --state Running --name '^etcd$' | head -n 1)
[ -n "$kb_member" ] || { echo 'no member of etcd runs on this node' >&2; exit 1; }
kb_etcdctl() { crictl exec -s "$kb_member" etcdctl "$@"; }"#
            .to_owned(),
        EtcdLayout::Service => format!(
            r#"kb_programs=$(sed -n 's|^ExecStart=\(.*\)/etcd .*|\1|p' {})
[ -n "$kb_programs" ] || {{ echo 'no member of etcd runs on this node' >&2; exit 1; }}
kb_etcdctl() {{ "$kb_programs/etcdctl" "$@"; }}"#,
            super::etcd::UNIT_PATH
        ),
    }
}

/// Who takes a snapshot holds it.
pub const LOCK: &str = "/run/kbootstrap-snapshot.lock";

/// Where a member writes a snapshot: beside its data, which is all that it sees.
pub fn draft(etcd: EtcdLayout) -> String {
    format!("{}/kbootstrap-snapshot.db", etcd.data_folder())
}

/// POSIX text that puts all that a backup holds into `$kb_new`, an empty folder of root alone: `etcd.db` (as [`take`] does),
/// `files.tar`, what etcd says of the snapshot (`etcd.json`), and the parts with their digests (`parts.json`). Refuses to
/// begin without the room for it, for an archive of it beside it, and for the draft beside etcd's data.
pub fn parts(etcd: EtcdLayout) -> String {
    format!(
        r#"kb_need=$(($(stat -c %s {data}/member/snap/db) * 2 / 1024 + 65536))
kb_free=$(df -Pk "$kb_new" {data} | awk 'NR > 1 && (least == "" || $4 < least) {{ least = $4 }} END {{ print least }}')
[ "$kb_free" -gt "$kb_need" ] || {{ echo "$kb_free KiB are free, and a backup needs $kb_need" >&2; exit 1; }}
{snapshot}
[ -s "$kb_new/etcd.json" ] || printf '{{"hash":0,"revision":0,"totalKey":0,"totalSize":0}}' > "$kb_new/etcd.json"
kb_files=
for kb_path in etc/kubernetes etc/kbootstrap var/lib/kbootstrap/cluster.toml; do
  if [ -e "/$kb_path" ]; then kb_files="$kb_files $kb_path"; fi
done
tar -C / -cf "$kb_new/files.tar" --exclude=etc/kubernetes/tmp --exclude={key} $kb_files
{{
  kb_comma=[
  for kb_part in etcd.db files.tar; do
    kb_sum=$(sha256sum "$kb_new/$kb_part")
    printf '%s{{"name":"%s","bytes":%s,"sha256":"%s"}}' "$kb_comma" "$kb_part" "$(stat -c %s "$kb_new/$kb_part")" "${{kb_sum%% *}}"
    kb_comma=,
  done
  printf ']'
}} > "$kb_new/parts.json""#,
        data = etcd.data_folder(),
        // It opens where the archive may lie, and nothing that is restored.
        key = super::s3::KEY_PATH.trim_start_matches('/'),
        snapshot = take(etcd),
    )
}
