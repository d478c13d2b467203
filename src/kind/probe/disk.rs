//! How long the disk of a member of etcd takes until a write is on it: etcd answers nobody before, and a member whose disk is
//! slow loses its leadership over and over, which every other member pays for.

use crate::{
    kind::{Context, op},
    model::{etcd::EtcdLayout, op::Op, plan::Change},
};

/// What begins a line by which a probe that passes says something that is worth knowing.
pub const REMARK: &str = "remark: ";

/// Writes of one probe, each of as many bytes as etcd's own guide has fio write.
const WRITES: u32 = 50;
const BYTES: u32 = 2300;
/// Longer than that on average, and it is told: etcd's guide wants 99 of 100 below it.
const SLOW_MS: u32 = 10;
/// Longer than that, and there will be no leader for long: a heartbeat is due each 100 ms, an election after ten of them.
const HOPELESS_MS: u32 = 250;
/// The longest that all of them may take: more than the worst that is let pass.
const WRITING_S: u32 = 20;
const PROBE_S: u32 = 60;

/// The ops that begin a member of etcd on their node.
const fn beginnings(etcd: EtcdLayout) -> [&'static str; 2] {
    match etcd {
        EtcdLayout::Stacked => ["kubeadm.init", "kubeadm.join"],
        EtcdLayout::Service => ["etcd.start", "etcd.join"],
    }
}

/// Whether a change makes a member of etcd begin on this node.
pub fn begins_member(context: &Context<'_>, change: &Change) -> bool {
    let beginnings = beginnings(context.spec.etcd);
    context.spec.is_member(context.node) && change.ops.iter().any(|op| beginnings.contains(&op.kind))
}

/// Writes where the member's data will be, or in the folder above it that is there, and takes away what it wrote, also what
/// one that was cut off left. A mean is what can be told without a program of its own; some writes are longer.
pub fn probe(etcd: EtcdLayout) -> Op {
    let folder = etcd.data_folder();
    let script = format!(
        r#"kb_at={folder}
until [ -d "$kb_at/" ]; do kb_at=${{kb_at%/*}}; done
rm -rf "$kb_at"/.kbootstrap-disk.*
kb_new=$(mktemp -d -p "$kb_at/" .kbootstrap-disk.XXXXXX)
trap 'rm -rf "$kb_new"' EXIT
kb_began=$(date +%s%N)
timeout {WRITING_S} dd if=/dev/zero of="$kb_new/writes" bs={BYTES} count={WRITES} oflag=dsync 2> "$kb_new/said" || {{
  kb_status=$?
  if [ "$kb_status" = 124 ]; then
    echo "{WRITES} writes under $kb_at were not on its disk after {WRITING_S} s: etcd cannot work there" >&2
  else
    tail -n 3 "$kb_new/said" >&2
  fi
  exit 1
}}
kb_us=$((($(date +%s%N) - kb_began) / {WRITES}000))
kb_ms=$((kb_us / 1000)).$((kb_us / 100 % 10))
if [ "$kb_us" -gt {HOPELESS_MS}000 ]; then
  echo "a write under $kb_at is on its disk after $kb_ms ms on average, and etcd cannot work with more than {HOPELESS_MS}: \
give {folder} a faster disk, or skip this step in a playbook of your own" >&2
  exit 1
fi
if [ "$kb_us" -gt {SLOW_MS}000 ]; then
  echo "{REMARK}a write under $kb_at is on its disk after $kb_ms ms on average, and etcd wants less than {SLOW_MS}: \
expect slow answers, and changes of its leader"
fi"#
    );
    op::node("probe.disk", format!("see how long writes to the disk of {folder} take"), script, PROBE_S)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        kind::testing::{programs, sh_with},
        model::op::Work,
    };

    /// What is said of a disk on which all writes together take so many milliseconds, or never end.
    fn said_of(root: &Path, milliseconds: Option<u32>) -> Result<String, String> {
        let Work::Node { script, .. } = probe(EtcdLayout::Service).work else { panic!() };
        let clock = root.join("clock");
        let _ = std::fs::remove_file(&clock);
        let took = milliseconds.unwrap_or_default();
        let (date, timeout) = (
            format!("if [ -e {0} ]; then echo {1}000000; else : > {0}; echo 1000000; fi", clock.display(), took + 1),
            if milliseconds.is_some() { "shift\nexec \"$@\"" } else { "exit 124" },
        );
        let path = programs(root, &[("date", &date), ("timeout", timeout)]);
        sh_with(&script.replace("/var/lib", &format!("{}/lib", root.display())), &[("PATH", &path)])
    }

    #[test]
    fn a_slow_disk_is_told_and_a_hopeless_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let lib = folder.path().join("lib");
        std::fs::create_dir_all(lib.join(".kbootstrap-disk.cutoff")).unwrap();
        assert_eq!(said_of(folder.path(), Some(400)).unwrap(), "");
        let slow = said_of(folder.path(), Some(600)).unwrap();
        assert!(
            slow.starts_with(&format!("{REMARK}a write under {} is on its disk after 12.0 ms", lib.display())),
            "{slow}"
        );
        let hopeless = said_of(folder.path(), Some(13000)).unwrap_err();
        assert!(hopeless.contains("after 260.0 ms") && hopeless.contains("etcd cannot work"), "{hopeless}");
        assert!(said_of(folder.path(), None).unwrap_err().contains("were not on its disk"));
        assert_eq!(std::fs::read_dir(&lib).unwrap().count(), 0, "nothing of it is left, nor of one that was cut off");
    }

    #[test]
    fn it_writes_to_a_real_disk() {
        let folder = tempfile::tempdir().unwrap();
        let Work::Node { script, .. } = probe(EtcdLayout::Stacked).work else { panic!() };
        std::fs::create_dir_all(folder.path().join("etcd")).unwrap();
        let said = sh_with(&script.replace("/var/lib", folder.path().to_str().unwrap()), &[]);
        assert!(said.is_ok_and(|said| said.is_empty() || said.starts_with(REMARK)));
    }
}
