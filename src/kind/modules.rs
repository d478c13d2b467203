//! Kernel modules: loaded now, and at every boot.

use super::{Context, diff, file::sha256, op, write};
use crate::{
    model::{
        mode::Mode,
        observe::{ContentRead, FileSeen, Read},
        plan::Verdict,
    },
    shell::words,
};

const FILE: &str = "/etc/modules-load.d/kbootstrap.conf";

fn text(modules: &[String]) -> String {
    format!("# Written by kbootstrap.\n{}\n", modules.join("\n"))
}

pub fn reads(modules: &[String]) -> Vec<Read> {
    let content = ContentRead::Unless(sha256(text(modules).as_bytes()));
    let file = Read::File { path: FILE.into(), content };
    modules.iter().cloned().map(Read::Module).chain([file]).collect()
}

pub fn judge(modules: &[String], context: &Context<'_>) -> Verdict {
    let missing: Vec<&String> =
        modules.iter().filter(|name| !context.seen.modules.get(*name).copied().unwrap_or(false)).collect();
    let text = text(modules);
    let (mut diff, mut ops) = (Vec::new(), Vec::new());
    match context.seen.files.get(FILE) {
        Some(FileSeen::File { sha256: digest, .. }) if *digest == sha256(text.as_bytes()) => {}
        there => {
            let there = match there {
                Some(FileSeen::File { content: Some(there), .. }) => String::from_utf8_lossy(there).into_owned(),
                _ => String::new(),
            };
            diff.push(format!("~ {FILE}"));
            diff.extend(diff::lines(&there, &text));
            let script = write::put(FILE, write::Source::Text(&text), Mode::PUBLIC, write::ROOT);
            ops.push(op::node("file.write", format!("write {FILE}"), script, op::QUICK_S));
        }
    }
    if !missing.is_empty() {
        diff.extend(missing.iter().map(|name| format!("+ {name} loaded")));
        let script = format!(
            "modprobe -a -- {} || {{\n  echo \"this kernel ($(uname -r)) lacks a module; on Ubuntu they may be in \
             linux-modules-extra-$(uname -r)\" >&2\n  exit 1\n}}",
            words(&missing)
        );
        let names: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
        ops.push(op::node("module.load", format!("load {}", names.join(", ")), script, op::QUICK_S));
    }
    if diff.is_empty() { Verdict::Satisfied } else { op::change(diff, ops) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::{World, change, kinds};

    #[test]
    fn modules_are_loaded_now_and_at_every_boot() {
        let modules = ["overlay", "br_netfilter"].map(String::from);
        let mut world = World::bare();
        world.seen.modules.insert("overlay".into(), true);
        let both = change(world.judge("w1", |context| judge(&modules, context)));
        assert_eq!(
            (kinds(&both), both.diff.last().unwrap().as_str()),
            (vec!["file.write", "module.load"], "+ br_netfilter loaded")
        );
        world.file(FILE, &text(&modules));
        world.seen.modules.insert("br_netfilter".into(), true);
        assert!(matches!(world.judge("w1", |context| judge(&modules, context)), Verdict::Satisfied));
    }
}
