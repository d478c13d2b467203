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
    // Of the same cluster, with another authority: one is being exchanged for the other.
    let its = context.seen.facts.kubernetes.identity.as_ref().map(|its| &its.id);
    if its.is_some() && its == context.identity.map(|ours| &ours.id) {
        return None;
    }
    let name = context.seen.facts.kubernetes.identity.as_ref().map_or("an unreadable name", |it| it.name.as_str());
    let size = there.map_or(0, <[u8]>::len);
    Some(op::refused(
        format!("this machine belongs to another cluster: {} names {name:?} ({size} bytes)", file.path),
        "take it out of the inventory, or reset the machine first",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kind::testing::{World, change, reason, sh_with, text_file},
        model::{facts::ClusterIdentity, mode::Mode, op::Late},
    };

    fn file(content: Content) -> File {
        File { path: "/etc/x/a.conf".into(), content, mode: Mode::PUBLIC, owner: "root:root".into() }
    }

    #[test]
    fn content_mode_and_owner_are_compared() {
        let file = file(Content::Text("a\nb\n".into()));
        let mut world = World::bare();
        world.file(&file.path, "a\nb\n");
        assert!(matches!(world.judge("w1", |context| judge(&file, context)), Verdict::Satisfied));
        world.file(&file.path, "a\nc\n");
        assert_eq!(change(world.judge("w1", |context| judge(&file, context))).diff, ["- c", "+ b"]);
        let FileSeen::File { sha256, content, .. } = text_file("a\nb\n") else { panic!() };
        let there = FileSeen::File { mode: 0o600, owner: "root".into(), group: "adm".into(), sha256, content };
        world.seen.files.insert(file.path.clone(), there);
        let diff = change(world.judge("w1", |context| judge(&file, context))).diff;
        assert_eq!(diff, ["~ mode: 0600 -> 0644", "~ owner: root:adm -> root:root"]);
        world.seen.files.insert(file.path.clone(), FileSeen::Absent);
        let diff = change(world.judge("w1", |context| judge(&file, context))).diff;
        assert_eq!(diff[0], "+ /etc/x/a.conf (2 lines, 0644 root:root)");
        world.seen.files.insert(file.path.clone(), FileSeen::Other);
        assert!(reason(world.judge("w1", |context| judge(&file, context))).contains("is not a file"));
    }

    #[test]
    fn what_is_known_only_in_the_run_comes_as_an_input_until_it_is_known() {
        let file = file(Content::Late(LateFile::ClusterCa));
        let mut world = World::bare();
        world.seen.files.insert(file.path.clone(), FileSeen::Absent);
        assert_eq!(change(world.judge("w1", |context| judge(&file, context))).late(), [Late::ClusterCa]);
        world.ca_crt = Some("PEM\n".into());
        assert!(change(world.judge("w1", |context| judge(&file, context))).late().is_empty());
        world.file(&file.path, "PEM\n");
        assert!(matches!(world.judge("w1", |context| judge(&file, context)), Verdict::Satisfied));
    }

    #[test]
    fn another_clusters_identity_is_overwritten_only_where_nothing_runs() {
        let file = file(Content::Late(LateFile::Identity));
        let mut world = World::live("w1");
        world.file(&file.path, "id = \"other\"\n");
        world.seen.facts.kubernetes.identity =
            Some(ClusterIdentity { id: "other".into(), name: "old".into(), ca_sha256: String::new() });
        assert!(reason(world.judge("w1", |context| judge(&file, context))).contains("another cluster"));
        // The same cluster, by another authority: one is being exchanged for the other.
        let own = world.seen.facts.kubernetes.identity.replace(world.identity.clone().unwrap());
        change(world.judge("w1", |context| judge(&file, context)));
        world.seen.facts.kubernetes.identity = own;
        world.seen.facts.kubernetes.configs.clear();
        world.seen.facts.kubernetes.manifests.clear();
        change(world.judge("w1", |context| judge(&file, context)));
    }

    #[test]
    fn the_script_leaves_the_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/a.conf");
        let me = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("input"), "late\n").unwrap();
        for (source, expected) in [
            (write::Source::Text("it's\n$(x) `y` \\n %s"), "it's\n$(x) `y` \\n %s"),
            (write::Source::Input("input"), "late\n"),
            (write::Source::Output("echo said"), "said\n"),
        ] {
            // chown to root needs root; the owner is what it is.
            let text = write::put(path.to_str().unwrap(), source, Mode::PRIVATE, "0:0").replace("chown", ": chown");
            sh_with(&text, &[("KB_IN", me)]).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        }
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let folder_mode = std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777;
        assert_eq!(folder_mode & 0o700, 0o700);
    }
}
