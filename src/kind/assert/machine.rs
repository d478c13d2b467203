//! What a machine must be and have.

use super::{super::op, Context, skip_hint};
use crate::model::plan::Verdict;

/// Systems that the program is tried on: id and version.
const KNOWN: [(&str, &str); 4] = [("debian", "12"), ("debian", "13"), ("ubuntu", "22.04"), ("ubuntu", "24.04")];
const ARCHES: [&str; 2] = ["amd64", "arm64"];

/// `systemctl show --value` and transient units with files for their output.
const OLDEST_SYSTEMD: u32 = 240;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

pub fn os(context: &Context<'_>) -> Verdict {
    let os = &context.seen.facts.os;
    if !KNOWN.contains(&(os.id.as_str(), os.version.as_str())) {
        let known: Vec<String> = KNOWN.iter().map(|(id, version)| format!("{id} {version}")).collect();
        return op::refused(
            format!("{} is none of {}", if os.pretty.is_empty() { &os.id } else { &os.pretty }, known.join(", ")),
            skip_hint("preflight.os"),
        );
    }
    if !ARCHES.contains(&os.arch.as_str()) {
        return op::refused(format!("architecture {} is neither amd64 nor arm64", os.arch), skip_hint("preflight.os"));
    }
    Verdict::Satisfied
}

pub fn systemd(context: &Context<'_>) -> Verdict {
    match context.seen.facts.os.systemd {
        Some(version) if version >= OLDEST_SYSTEMD => Verdict::Satisfied,
        Some(version) => op::refused(
            format!("systemd {version} is older than {OLDEST_SYSTEMD}"),
            "use a machine with a newer Debian or Ubuntu",
        ),
        None => op::refused(
            "the first process is not systemd, so there is nobody to keep services",
            "use a machine (or a container) that runs systemd",
        ),
    }
}

pub fn memory(context: &Context<'_>) -> Verdict {
    if context.has_joined() {
        return Verdict::Satisfied;
    }
    // kubeadm's own bound for control planes. A worker's is what its own programs take, and some pods.
    let least = if context.node.is_control_plane() { 1700 * MIB } else { 700 * MIB };
    let there = context.seen.facts.hardware.memory_bytes;
    if there >= least {
        return Verdict::Satisfied;
    }
    op::refused(
        format!("{} MiB of memory; a {} needs {} MiB", there / MIB, context.node.role, least / MIB),
        "give the machine more memory",
    )
}

pub fn cpus(context: &Context<'_>) -> Verdict {
    let least = if context.node.is_control_plane() { 2 } else { 1 };
    let there = context.seen.facts.hardware.cpus;
    if there >= least || context.has_joined() {
        return Verdict::Satisfied;
    }
    op::refused(
        format!("{there} processor; a {} needs {least}", context.node.role),
        "give the machine another processor",
    )
}

pub fn disk(context: &Context<'_>) -> Verdict {
    if context.has_joined() {
        return Verdict::Satisfied;
    }
    // Packages and images take about 2 GiB on a control plane, and kubelet evicts below 15 % of the disk.
    let least = if context.node.is_control_plane() { 4 * GIB } else { 3 * GIB };
    let disks = &context.seen.facts.disks;
    let Some((mount, disk)) = disks.get_key_value("/var/lib").or_else(|| disks.get_key_value("/")) else {
        return Verdict::Unknown("the disk of /var/lib was not looked at".to_owned());
    };
    if disk.free_bytes >= least {
        return Verdict::Satisfied;
    }
    op::refused(
        format!(
            "{} MiB are free for {mount}; a {} needs {} MiB",
            disk.free_bytes / MIB,
            context.node.role,
            least / MIB
        ),
        "make room, or give the machine a larger disk",
    )
}
