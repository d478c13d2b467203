//! What a control plane keeps of itself before it is changed: a snapshot of etcd and `/etc/kubernetes`.

use super::{super::super::op, Context};
use crate::model::{etcd::EtcdLayout, op::Op, version::KubeVersion};

const BACKUP_S: u32 = 600;

/// Where backups are kept, root's alone.
pub const FOLDER: &str = "/var/lib/kbootstrap/backup";

/// Takes a snapshot through the member on this node, checks it, and keeps it with `/etc/kubernetes`. It replaces one that
/// was taken for the same upgrade; the old one stays until the new one is whole.
///
/// The image of etcd has no shell, and sees of the node only its data and its certificates: so the snapshot is written
/// beside the data, and moved away. A snapshot's last 32 bytes are the SHA-256 of all before them.
pub fn backup(from: KubeVersion, to: KubeVersion, context: &Context<'_>) -> Op {
    let etcd = context.spec.etcd;
    let (certificate, key) = etcd.client_certificate();
    let folder = format!("{FOLDER}/upgrade-{from}-{to}");
    let script = format!(
        r#"umask 077
kb_new={folder}.new
kb_draft={data}/kbootstrap-snapshot.db
rm -rf "$kb_new" "$kb_draft" "$kb_draft.part"
mkdir -p {FOLDER} "$kb_new"
chmod 700 {FOLDER}
trap 'rm -rf "$kb_new" "$kb_draft" "$kb_draft.part"' EXIT
kb_member=$(crictl ps -q --state Running --name '^etcd$' | head -n 1)
[ -n "$kb_member" ] || {{ echo 'no member of etcd runs on this node' >&2; exit 1; }}
crictl exec -s "$kb_member" etcdctl --endpoints https://127.0.0.1:{port} --cacert {ca} --cert {certificate} --key {key} \
  snapshot save "$kb_draft" > "$kb_new/log" 2>&1 || {{ cat "$kb_new/log" >&2; exit 1; }}
rm "$kb_new/log"
mv "$kb_draft" "$kb_new/etcd.db"
kb_size=$(stat -c %s "$kb_new/etcd.db")
kb_sum=$(head -c $((kb_size - 32)) "$kb_new/etcd.db" | sha256sum)
kb_end=$(tail -c 32 "$kb_new/etcd.db" | od -An -v -tx1 | tr -d ' \n')
[ "${{kb_sum%% *}}" = "$kb_end" ] || {{ echo 'the snapshot of etcd does not fit its own digest' >&2; exit 1; }}
tar -C / -czf "$kb_new/kubernetes.tar.gz" --exclude=etc/kubernetes/tmp etc/kubernetes
sync -f "$kb_new/etcd.db"
rm -rf {folder}
mv -T "$kb_new" {folder}"#,
        data = etcd.data_folder(),
        ca = etcd.ca_certificate(),
        port = EtcdLayout::CLIENT_PORT,
    );
    op::node("backup.take", format!("keep etcd and /etc/kubernetes under {folder}"), script, BACKUP_S)
}
