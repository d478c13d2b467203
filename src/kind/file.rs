//! Files that are ours as a whole.

use sha2::{Digest, Sha256};

use super::{Context, diff, op, write};
use crate::model::{
    observe::{ContentRead, FileSeen, Read},
    plan::Verdict,
    step::{Content, File, LateFile},
};

/// SHA-256 of a text, hex.
pub fn sha256(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn reads(file: &File) -> Vec<Read> {
    let content = match &file.content {
        Content::Text(text) => ContentRead::Unless(sha256(text.as_bytes())),
        Content::Late(_) => ContentRead::Always,
    };
    vec![Read::File { path: file.path.clone(), content }]
}

pub fn judge(file: &File, context: &Context<'_>) -> Verdict {
    let Some(there) = context.seen.files.get(&file.path) else {
        return Verdict::Unknown(format!("{} was not looked at", file.path));
    };
    let wanted = context.text(&file.content);
    let (user, group) = file.owner.split_once(':').unwrap_or((&file.owner, &file.owner));
    let diff = match there {
        FileSeen::Absent => created(file, wanted.as_deref()),
        FileSeen::File { mode, owner, group: its_group, sha256: digest, content } => {
            let mut diff = match &wanted {
                Some(text) if sha256(text.as_bytes()) == *digest => Vec::new(),
                Some(text) => {
                    if let Some(refusal) = foreign_identity(file, context, content.as_deref()) {
                        return refusal;
                    }
                    changed(&file.path, content.as_deref(), text)
                }
                None => vec![format!("~ {}: written anew, its content is known in the run", file.path)],
            };
            if *mode != u32::from(file.mode.bits()) {
                diff.push(diff::value("mode", &format!("{mode:04o}"), &file.mode.to_string()));
            }
            if (owner.as_str(), its_group.as_str()) != (user, group) {
                diff.push(diff::value("owner", &format!("{owner}:{its_group}"), &file.owner));
            }
            diff
        }
        FileSeen::Link { target } => {
            let mut diff = vec![format!("- a symbolic link to {target}")];
            diff.extend(created(file, wanted.as_deref()));
            diff
        }
        FileSeen::Directory { .. } | FileSeen::Other => {
            return op::refused(
                format!("{} is there, and is not a file", file.path),
                "look at what it is, and move it away if nobody needs it",
            );
        }
    };
    if diff.is_empty() {
        return Verdict::Satisfied;
    }
    op::change(diff, vec![write_op(file, wanted.as_deref())])
}

/// The op that writes the file: its content is in the text where it is known, or comes late.
fn write_op(file: &File, wanted: Option<&str>) -> crate::model::op::Op {
    let (source, inputs) = match (&file.content, wanted) {
        (_, Some(text)) => (write::Source::Text(text), Vec::new()),
        (Content::Late(late), None) => (write::Source::Input(late.name()), vec![late.late()]),
        (Content::Text(text), None) => (write::Source::Text(text), Vec::new()),
    };
    let script = write::put(&file.path, source, file.mode, &file.owner);
    op::node_with("file.write", format!("write {}", file.path), script, op::QUICK_S, inputs)
}

/// The first line stands alone where a screen is short; the content follows it.
fn created(file: &File, wanted: Option<&str>) -> Vec<String> {
    let head = |size: String| format!("+ {} ({size}, {} {})", file.path, file.mode, file.owner);
    match wanted {
        Some(text) => {
            let mut lines = vec![head(format!("{} lines", text.lines().count()))];
            lines.extend(diff::lines("", text));
            lines
        }
        None => vec![head("content known in the run".to_owned())],
    }
}

fn changed(path: &str, there: Option<&[u8]>, wanted: &str) -> Vec<String> {
    match there.map(std::str::from_utf8) {
        Some(Ok(there)) => diff::lines(there, wanted),
        Some(Err(_)) => vec![format!("~ {path}: bytes that are not text -> {} lines", wanted.lines().count())],
        None => vec![format!("~ {path}: another content -> {} lines", wanted.lines().count())],
    }
}

/// A machine that runs Kubernetes under another identity is never given ours.
fn foreign_identity(file: &File, context: &Context<'_>, there: Option<&[u8]>) -> Option<Verdict> {
    let is_identity = file.content == Content::Late(LateFile::Identity);
    if !is_identity || !context.seen.facts.kubernetes.has_state() {
        return None;
    }
    let name = context.seen.facts.kubernetes.identity.as_ref().map_or("an unreadable name", |it| it.name.as_str());
    let size = there.map_or(0, <[u8]>::len);
    Some(op::refused(
        format!("this machine belongs to another cluster: {} names {name:?} ({size} bytes)", file.path),
        "take it out of the inventory, or reset the machine first",
    ))
}
