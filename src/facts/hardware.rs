//! Processors, memory and swap.

use super::{error::FactError, texts::Texts};
use crate::model::facts::Hardware;

const ONLINE: &str = "/sys/devices/system/cpu/online";
const STATUS: &str = "/proc/self/status";

/// Small texts that [`parse`] needs.
pub const TEXTS: &[&str] = &["/etc/fstab", "/proc/meminfo", STATUS, "/proc/swaps", ONLINE];

/// # Errors
/// Processors or memory could not be told.
pub fn parse(texts: &Texts) -> Result<Hardware, FactError> {
    let nonsense = |path: &str| FactError::new(path, "its text makes no sense");
    // What kubeadm counts: processors that are online and that we may run on.
    let online = ranges(texts.need(ONLINE)?).ok_or_else(|| nonsense(ONLINE))?;
    let allowed = field(texts.need(STATUS)?, "Cpus_allowed_list:").and_then(ranges);
    let allowed = allowed.ok_or_else(|| nonsense(STATUS))?;
    let memory = field(texts.need("/proc/meminfo")?, "MemTotal:");
    let memory_kib: u64 = memory
        .and_then(|value| value.strip_suffix("kB")?.trim().parse().ok())
        .ok_or_else(|| nonsense("/proc/meminfo"))?;
    Ok(Hardware {
        cpus: online
            .iter()
            .flat_map(|range| range.clone())
            .filter(|cpu| allowed.iter().any(|range| range.contains(cpu)))
            .count()
            .try_into()
            .unwrap_or(u32::MAX),
        memory_bytes: memory_kib * 1024,
        swaps: active_swaps(texts.get("/proc/swaps")?.unwrap_or_default()),
        fstab_swaps: fstab_swaps(texts.get("/etc/fstab")?.unwrap_or_default()),
    })
}

fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
}

/// The kernel's list of processors: `0-3,8`.
fn ranges(list: &str) -> Option<Vec<std::ops::RangeInclusive<u32>>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').map(range).collect()
}

/// First column of `/proc/swaps`, without its heading.
fn active_swaps(table: &str) -> Vec<String> {
    let device = |line: &str| line.split_whitespace().next().map(str::to_owned);
    table.lines().skip(1).filter_map(device).collect()
}

/// Lines of `/etc/fstab` that bring swap back at the next boot.
fn fstab_swaps(fstab: &str) -> Vec<String> {
    let is_swap = |line: &&str| {
        let mut fields = line.split_whitespace();
        let first = fields.next().is_some_and(|device| !device.starts_with('#'));
        first && fields.nth(1) == Some("swap")
    };
    fstab.lines().filter(is_swap).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Captured on Debian 12, shortened; the swap lines are those of Ubuntu's server installer.
    fn texts(online: &str, allowed: &str) -> Texts {
        Texts::of([
            (ONLINE, online),
            (STATUS, &format!("Name:\tgrep\nCpus_allowed:\t3\nCpus_allowed_list:\t{allowed}\n")),
            ("/proc/meminfo", "MemTotal:       24638204 kB\nMemFree:        10330964 kB\n"),
            (
                "/proc/swaps",
                "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/swap.img                               file\t\t4194300\t\t0\t\t-2\n",
            ),
            (
                "/etc/fstab",
                "# /etc/fstab: swap\n/dev/disk/by-uuid/1 / ext4 defaults 0 1\n#/old none swap sw 0 0\n/swap.img\tnone\tswap\tsw\t0\t0\n",
            ),
        ])
    }

    #[test]
    fn a_server_with_a_swap_file() {
        let hardware = parse(&texts("0-1\n", "0-127")).expect("read");
        assert_eq!((hardware.cpus, hardware.memory_bytes), (2, 24_638_204 * 1024));
        assert_eq!(hardware.swaps, ["/swap.img"]);
        assert_eq!(hardware.fstab_swaps, ["/swap.img\tnone\tswap\tsw\t0\t0"]);
    }

    #[test]
    fn processors_taken_away_do_not_count() {
        assert_eq!(parse(&texts("0-3,6\n", "1-2,6")).expect("read").cpus, 3);
        assert!(parse(&texts("what\n", "1")).is_err());
    }
}
