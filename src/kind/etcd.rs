//! Care of etcd's data on a control plane: what is asked of its own member over loopback.

use super::op;
use crate::model::{etcd::EtcdLayout, op::Op};

/// Files of several GiB on slow disks.
const DEFRAGMENT_S: u32 = 900;
const QUICK_S: u32 = 60;

/// Calls of the member's gateway: `kb_etcd PATH BODY`.
fn functions(etcd: EtcdLayout, seconds: u32) -> String {
    let (certificate, key) = etcd.client_certificate();
    format!(
        "kb_etcd() {{\n  curl -q -sS --fail-with-body --noproxy '*' --max-time {seconds} --cacert {ca} --cert {certificate} \
         --key {key} -d \"$2\" https://127.0.0.1:{port}\"$1\"\n}}\n",
        ca = etcd.ca_certificate(),
        port = EtcdLayout::CLIENT_PORT,
    )
}

/// Gives the unused part of the member's file back to the disk. The member answers nobody meanwhile.
pub fn defragment(etcd: EtcdLayout) -> Op {
    let script = format!("{}kb_etcd /v3/maintenance/defragment '{{}}' > /dev/null", functions(etcd, DEFRAGMENT_S - 30));
    op::node("etcd.defragment", "defragment etcd's file", script, DEFRAGMENT_S)
}

/// Drops every older revision than the present one, as the API server does itself every five minutes for those of five
/// minutes ago; with the alarm NOSPACE it can't.
pub fn compact(etcd: EtcdLayout) -> Op {
    let script = format!(
        "{}kb_revision=$(kb_etcd /v3/kv/range '{{\"key\":\"Lw==\",\"count_only\":true}}' | sed -n 's/.*\"revision\":\"\\([0-9]*\\)\".*/\\1/p')\n\
         [ -n \"$kb_revision\" ]\n\
         kb_said=$(kb_etcd /v3/kv/compaction \"{{\\\"revision\\\":\\\"$kb_revision\\\",\\\"physical\\\":true}}\" 2>&1) || {{\n  \
         case $kb_said in *'has been compacted'*) ;; *) printf '%s\\n' \"$kb_said\" >&2; exit 1 ;; esac\n}}",
        functions(etcd, QUICK_S - 10),
    );
    op::node("etcd.compact", "drop older revisions", script, QUICK_S)
}

/// Ends every alarm, so that etcd takes writes again.
pub fn disarm(etcd: EtcdLayout) -> Op {
    let script = format!(
        "{}kb_etcd /v3/maintenance/alarm '{{\"action\":\"DEACTIVATE\",\"alarm\":\"NOSPACE\"}}' > /dev/null",
        functions(etcd, QUICK_S - 10)
    );
    op::node("etcd.disarm", "end the alarm", script, QUICK_S)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::op::Work, shell::wrap};

    #[test]
    fn the_scripts_are_shell() {
        let stacked = EtcdLayout::Stacked;
        for op in [defragment(stacked), compact(stacked), disarm(stacked)] {
            let Work::Node { script, .. } = &op.work else { panic!("a node's") };
            let checked = std::process::Command::new("/bin/sh").args(["-n", "-c", &wrap(script)]).status();
            assert!(checked.unwrap().success(), "{script}");
        }
    }
}
