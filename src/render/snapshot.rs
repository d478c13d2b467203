//! The part of shell text that has a control plane's own member write a snapshot of etcd, and checks it.

use crate::model::etcd::EtcdLayout;

/// POSIX text that puts a verified snapshot into `$kb_new/etcd.db`, a folder of root alone on the disk of etcd's data.
///
/// The image of etcd has no shell, and sees of the node only its data and its certificates: so the snapshot is written
/// beside the data, and moved away. A snapshot's last 32 bytes are the SHA-256 of all before them. `$kb_new/etcd.json` gets
/// what etcd says of it: hash, revision, keys.
pub fn take(etcd: EtcdLayout) -> String {
    let (certificate, key) = etcd.client_certificate();
    format!(
        r#"kb_draft={data}/kbootstrap-snapshot.db
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
        data = etcd.data_folder(),
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
