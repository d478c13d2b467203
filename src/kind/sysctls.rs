//! Kernel parameters: right now, and after a reboot.

use super::{Context, diff, file::sha256, op, write};
use crate::{
    model::{
        mode::Mode,
        observe::{ContentRead, FileSeen, Read},
        op::Op,
        plan::Verdict,
        step::Sysctls,
    },
    shell::{quote, words},
};

/// Read last of all (`99-sysctl.conf`, which is `/etc/sysctl.conf`, sorts before it): these values must hold.
const EXACT: &str = "/etc/sysctl.d/99-zz-kbootstrap.conf";
/// Read first: whoever gives the machine more has the last word.
const AT_LEAST: &str = "/etc/sysctl.d/10-kbootstrap.conf";

pub fn reads(sysctls: &Sysctls) -> Vec<Read> {
    let mut reads: Vec<Read> = names(sysctls).map(|name| Read::Sysctl(name.to_owned())).collect();
    for (path, text) in files(sysctls) {
        reads.push(Read::File { path: path.into(), content: ContentRead::Unless(sha256(text.as_bytes())) });
    }
    reads.push(locked_read(sysctls));
    reads
}

pub fn judge(sysctls: &Sysctls, context: &Context<'_>) -> Verdict {
    let locked = locked(sysctls, context);
    let value = |name: &String| context.seen.sysctls.get(name).cloned().flatten();
    let (mut diff, mut set) = (Vec::new(), Vec::new());
    for (name, wanted) in &sysctls.exact {
        let there = value(name);
        if there.as_deref().is_some_and(|there| same(there, wanted)) {
            continue;
        }
        if locked.contains(&name.as_str()) {
            return op::refused(
                format!("{name} cannot be written on this machine (a container?)"),
                format!("set {name}={wanted} on the machine's host"),
            );
        }
        diff.push(diff::value(name, there.as_deref().unwrap_or("absent"), wanted));
        set.push((name.clone(), wanted.clone()));
    }
    for (name, wanted) in &sysctls.at_least {
        let there = value(name);
        let number = there.as_deref().and_then(|there| there.trim().parse::<u64>().ok());
        // A value that the machine cannot set is its host's: it was given what it was given.
        if number.is_some_and(|number| number >= *wanted) || locked.contains(&name.as_str()) {
            continue;
        }
        diff.push(diff::value(name, there.as_deref().unwrap_or("absent"), &format!("{wanted} (at least)")));
        set.push((name.clone(), wanted.to_string()));
    }
    let mut ops = Vec::new();
    for (path, text) in files(sysctls) {
        let there = match context.seen.files.get(path) {
            Some(FileSeen::File { sha256: digest, .. }) if *digest == sha256(text.as_bytes()) => continue,
            Some(FileSeen::File { content: Some(there), .. }) => String::from_utf8_lossy(there).into_owned(),
            _ => String::new(),
        };
        diff.extend(diff::lines(&there, &text));
        let script = write::put(path, write::Source::Text(&text), Mode::PUBLIC, write::ROOT);
        ops.push(op::node("file.write", format!("write {path}"), script, op::QUICK_S));
    }
    if !set.is_empty() {
        ops.push(set_op(&set));
    }
    if diff.is_empty() { Verdict::Satisfied } else { op::change(diff, ops) }
}

fn names(sysctls: &Sysctls) -> impl Iterator<Item = &str> {
    let exact = sysctls.exact.iter().map(|(name, _)| name.as_str());
    exact.chain(sysctls.at_least.iter().map(|(name, _)| name.as_str()))
}

/// The files with what they shall hold; none for an empty list.
fn files(sysctls: &Sysctls) -> Vec<(&'static str, String)> {
    let text = |lines: Vec<String>| format!("# Written by kbootstrap.\n{}\n", lines.join("\n"));
    let mut files = Vec::new();
    if !sysctls.at_least.is_empty() {
        let lines = sysctls.at_least.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        files.push((AT_LEAST, text(lines)));
    }
    if !sysctls.exact.is_empty() {
        let lines = sysctls.exact.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        files.push((EXACT, text(lines)));
    }
    files
}

/// Where the kernel keeps a parameter. A dot is a step down, and a slash stands for a dot in a name (`eth0/1` is the
/// link `eth0.1`), as in sysctl.d.
fn proc_path(name: &str) -> String {
    let swapped: String = name
        .chars()
        .map(|c| {
            if c == '.' {
                '/'
            } else if c == '/' {
                '.'
            } else {
                c
            }
        })
        .collect();
    format!("/proc/sys/{swapped}")
}

/// Several numbers in one value are parted by tabs in the kernel's answer.
fn same(there: &str, wanted: &str) -> bool {
    there.split_whitespace().eq(wanted.split_whitespace())
}

fn locked_read(sysctls: &Sysctls) -> Read {
    // `test -w` is false for root only where the file system itself is read-only, as in containers.
    let paths = words(names(sysctls).map(proc_path));
    let script =
        format!("for path in {paths}; do\n  if [ -e \"$path\" ] && [ ! -w \"$path\" ]; then echo \"$path\"; fi\ndone");
    // The text is part of the id, because two steps may ask of different parameters.
    Read::Command { id: format!(":sysctls {}", &sha256(script.as_bytes())[..12]), script }
}

/// Names of the parameters that cannot be written on this machine.
fn locked<'a>(sysctls: &'a Sysctls, context: &Context<'_>) -> Vec<&'a str> {
    let Read::Command { id, .. } = locked_read(sysctls) else { return Vec::new() };
    let answer = context.seen.commands.get(&id).map(|command| String::from_utf8_lossy(&command.stdout));
    let answer = answer.unwrap_or_default();
    names(sysctls).filter(|name| answer.lines().any(|path| path == proc_path(name))).collect()
}

fn set_op(set: &[(String, String)]) -> Op {
    let mut script = String::from(
        "kb_set() {\n  [ -e \"$2\" ] || { echo \"the kernel has no parameter $1\" >&2; exit 1; }\n  printf '%s\\n' \"$3\" > \"$2\"\n}\n",
    );
    for (name, value) in set {
        script.push_str(&format!("kb_set {} {} {}\n", quote(name), quote(&proc_path(name)), quote(value)));
    }
    let names: Vec<&str> = set.iter().map(|(name, _)| name.as_str()).collect();
    op::node("sysctl.set", format!("set {}", names.join(", ")), script, op::QUICK_S)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kind::testing::{World, change, kinds, reason, script, sh},
        model::observe::CommandSeen,
    };

    fn sysctls() -> Sysctls {
        Sysctls {
            exact: vec![("net.ipv4.ip_forward".into(), "1".into())],
            at_least: vec![("fs.inotify.max_user_watches".into(), 512)],
        }
    }

    fn world(forward: &str, watches: &str) -> World {
        let mut world = World::bare();
        for (name, value) in [("net.ipv4.ip_forward", forward), ("fs.inotify.max_user_watches", watches)] {
            world.seen.sysctls.insert(name.into(), Some(value.into()));
        }
        for (path, text) in files(&sysctls()) {
            world.file(path, &text);
        }
        world
    }

    fn lock(world: &mut World, path: &str) {
        let Read::Command { id, .. } = locked_read(&sysctls()) else { panic!() };
        world.seen.commands.insert(id, CommandSeen { code: 0, stdout: format!("{path}\n").into_bytes() });
    }

    fn verdict(world: &World) -> Verdict {
        world.judge("w1", |context| judge(&sysctls(), context))
    }

    #[test]
    fn more_is_kept_and_less_is_raised() {
        assert!(matches!(verdict(&world("1", "512")), Verdict::Satisfied));
        assert!(matches!(verdict(&world("1", "100000")), Verdict::Satisfied));
        let less = change(verdict(&world("0", "128")));
        let expected = ["~ net.ipv4.ip_forward: 0 -> 1", "~ fs.inotify.max_user_watches: 128 -> 512 (at least)"];
        assert_eq!((kinds(&less), less.diff.as_slice()), (vec!["sysctl.set"], &expected.map(String::from)[..]));
        assert!(script(&less, 0).contains("kb_set net.ipv4.ip_forward /proc/sys/net/ipv4/ip_forward '1'"));
    }

    #[test]
    fn what_a_container_cannot_set_is_its_hosts() {
        let mut low = world("1", "128");
        lock(&mut low, "/proc/sys/fs/inotify/max_user_watches");
        assert!(matches!(verdict(&low), Verdict::Satisfied));
        let mut off = world("0", "512");
        lock(&mut off, "/proc/sys/net/ipv4/ip_forward");
        assert!(reason(verdict(&off)).starts_with("net.ipv4.ip_forward cannot be written"));
    }

    #[test]
    fn a_lost_file_is_written_again() {
        let mut world = world("1", "512");
        world.seen.files.clear();
        assert_eq!(kinds(&change(verdict(&world))), ["file.write", "file.write"]);
    }

    #[test]
    fn a_parameter_that_is_not_there_is_named() {
        let op = set_op(&[("no.such".into(), "1".into())]);
        let crate::model::op::Work::Node { script, .. } = op.work else { panic!() };
        assert_eq!(sh(&script).unwrap_err(), "the kernel has no parameter no.such\n");
        assert_eq!(proc_path("net.ipv4.conf.eth0/1.rp_filter"), "/proc/sys/net/ipv4/conf/eth0.1/rp_filter");
        assert!(same("4096\t131072\t6291456", "4096 131072 6291456"));
    }
}
