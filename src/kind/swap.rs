//! No swap, for good: none active, none in fstab, and no unit that brings it back. A kubelet refuses to start with it.

use super::{Context, op, write};
use crate::{
    model::{
        observe::{ContentRead, FileSeen, Read},
        plan::Verdict,
    },
    shell::quote,
};

const FSTAB: &str = "/etc/fstab";
/// Every swap unit hangs on it, those that generators find in partition tables included.
const TARGET: &str = "swap.target";
/// Services that make compressed swap in memory by themselves: Debian's zram-tools, Ubuntu's zram-config.
const ZRAM: [&str; 2] = ["zramswap.service", "zram-config.service"];

pub fn reads() -> Vec<Read> {
    let units = [TARGET].into_iter().chain(ZRAM).map(|unit| Read::Unit(unit.to_owned()));
    units.chain([Read::File { path: FSTAB.into(), content: ContentRead::Always }]).collect()
}

pub fn judge(context: &Context<'_>) -> Verdict {
    let seen = context.seen;
    let (mut diff, mut ops) = (Vec::new(), Vec::new());
    if let Some(FileSeen::File { content: Some(fstab), .. }) = seen.files.get(FSTAB) {
        let fstab = String::from_utf8_lossy(fstab);
        let lines: Vec<&str> = fstab.lines().filter(|line| is_swap(line)).collect();
        if !lines.is_empty() {
            diff.extend(lines.iter().map(|line| format!("- {line}")));
            let what = "take swap out of /etc/fstab";
            ops.push(op::node("swap.fstab", what, fstab_script(FSTAB, write::ASIDE), op::QUICK_S));
        }
    }
    let unit = |name: &str| seen.units.get(name);
    let zram: Vec<&str> =
        ZRAM.into_iter().filter(|name| unit(name).is_some_and(|unit| unit.enabled == "enabled")).collect();
    if !zram.is_empty() {
        diff.extend(zram.iter().map(|name| format!("- {name}")));
        let script = format!("systemctl -q disable --now -- {}", zram.join(" "));
        ops.push(op::node("service.disable", format!("disable {}", zram.join(", ")), script, 120));
    }
    if unit(TARGET).is_none_or(|unit| unit.enabled != "masked") {
        diff.push(format!("~ {TARGET}: masked"));
        let script = format!("systemctl -q mask -- {TARGET}");
        ops.push(op::node("service.mask", format!("mask {TARGET}"), script, op::QUICK_S));
    }
    let active = &seen.facts.hardware.swaps;
    if !active.is_empty() {
        diff.extend(active.iter().map(|swap| format!("- {swap}, active")));
        // What is swapped out is read back, which takes a while; it fails where memory is too small for it.
        ops.push(op::node("swap.off", "switch swap off", "swapoff -a", 600));
    }
    if diff.is_empty() { Verdict::Satisfied } else { op::change(diff, ops) }
}

fn is_swap(line: &str) -> bool {
    !line.trim_start().starts_with('#') && line.split_whitespace().nth(2) == Some("swap")
}

/// Lines become comments; the file as it was is kept.
fn fstab_script(fstab: &str, aside: &str) -> String {
    format!(
        r##"fstab={fstab} aside={aside}
draft=${{fstab%/*}}/.${{fstab##*/}}.kbootstrap
mkdir -p "$aside"
cp -p "$fstab" "$aside/fstab.$(date -u +%Y%m%dT%H%M%SZ)"
cp -p "$fstab" "$draft"
awk '$1 !~ /^#/ && $3 == "swap" {{ print "# off, because kubelets refuse swap: " $0; next }} {{ print }}' "$fstab" > "$draft"
mv -fT "$draft" "$fstab"
systemctl daemon-reload"##,
        fstab = quote(fstab),
        aside = quote(aside),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::sh_with;

    #[test]
    fn fstab_keeps_all_but_swap_and_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink("/bin/true", bin.join("systemctl")).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let (fstab, aside) = (folder.path().join("fstab"), folder.path().join("aside"));
        let was = "# /swap.img none swap\nUUID=1 / ext4 defaults 0 1\n/swap.img\tnone\tswap\tsw\t0\t0\n\n";
        std::fs::write(&fstab, was).unwrap();
        let script = fstab_script(fstab.to_str().unwrap(), aside.to_str().unwrap());
        sh_with(&script, &[("PATH", &path)]).unwrap();
        let now = std::fs::read_to_string(&fstab).unwrap();
        assert_eq!(
            now,
            "# /swap.img none swap\nUUID=1 / ext4 defaults 0 1\n# off, because kubelets refuse swap: /swap.img\tnone\tswap\tsw\t0\t0\n\n"
        );
        assert!(!now.lines().any(is_swap) && was.lines().any(is_swap));
        let copy = std::fs::read_dir(aside).unwrap().next().unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(copy.path()).unwrap(), was);
    }
}
