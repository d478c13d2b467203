//! Directories.

use super::{Context, diff, op};
use crate::{
    model::{
        observe::{ContentRead, FileSeen, Read},
        plan::Verdict,
        step::Directory,
    },
    shell::quote,
};

pub fn reads(directory: &Directory) -> Vec<Read> {
    vec![Read::File { path: directory.path.clone(), content: ContentRead::Never }]
}

pub fn judge(directory: &Directory, context: &Context<'_>) -> Verdict {
    let Directory { path, mode, owner } = directory;
    let diff = match context.seen.files.get(path) {
        None => return Verdict::Unknown(format!("{path} was not looked at")),
        Some(FileSeen::Absent) => vec![format!("+ {path}/ ({mode} {owner})")],
        Some(FileSeen::Directory { mode: its_mode, owner: user, group }) => {
            let mut diff = Vec::new();
            if *its_mode != u32::from(mode.bits()) {
                diff.push(diff::value("mode", &format!("{its_mode:04o}"), &mode.to_string()));
            }
            let its_owner = format!("{user}:{group}");
            if its_owner != *owner {
                diff.push(diff::value("owner", &its_owner, owner));
            }
            diff
        }
        Some(FileSeen::File { .. } | FileSeen::Link { .. } | FileSeen::Other) => {
            return op::refused(
                format!("{path} is there, and is not a directory"),
                "look at what it is, and move it away if nobody needs it",
            );
        }
    };
    if diff.is_empty() {
        return Verdict::Satisfied;
    }
    let (quoted, owner) = (quote(path), quote(owner));
    let script = format!("mkdir -p {quoted}\nchown {owner} {quoted}\nchmod {mode} {quoted}");
    op::change(diff, vec![op::node("directory.make", format!("make {path}/"), script, op::QUICK_S)])
}
