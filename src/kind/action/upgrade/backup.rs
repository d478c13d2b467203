//! What a control plane keeps of itself before it is changed: a snapshot of etcd and `/etc/kubernetes`.

use super::{super::super::op, Context};
use crate::{
    model::{etcd::EtcdLayout, op::Op, version::KubeVersion},
    render::snapshot,
};

const BACKUP_S: u32 = 600;

/// Where backups are kept, root's alone.
pub const FOLDER: &str = "/var/lib/kbootstrap/backup";

/// Takes a snapshot through the member on this node, checks it, and keeps it with `/etc/kubernetes`. It replaces one that
/// was taken for the same upgrade; the old one stays until the new one is whole.
pub fn backup(from: KubeVersion, to: KubeVersion, context: &Context<'_>) -> Op {
    keep(&format!("upgrade-{from}-{to}"), "", context)
}

/// The same under this name. `proof` is POSIX text that must succeed on what is in `$kb_new` before it is kept.
pub fn keep(name: &str, proof: &str, context: &Context<'_>) -> Op {
    let folder = format!("{FOLDER}/{name}");
    let script = format!(
        r#"umask 077
kb_new={folder}.new
rm -rf "$kb_new"
mkdir -p {FOLDER} "$kb_new"
chmod 700 {FOLDER}
{snapshot}
kb_more=
if [ -d /{authority} ]; then kb_more={authority}; fi
tar -C / -czf "$kb_new/kubernetes.tar.gz" --exclude=etc/kubernetes/tmp etc/kubernetes $kb_more
{proof}
sync -f "$kb_new/etcd.db"
rm -rf {folder}
mv -T "$kb_new" {folder}"#,
        authority = EtcdLayout::AUTHORITY_FOLDER.trim_start_matches('/'),
        snapshot = snapshot::take(context.spec.etcd),
    );
    op::node("backup.take", format!("keep etcd and /etc/kubernetes under {folder}"), script, BACKUP_S)
}
