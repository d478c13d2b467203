//! Writing files on a node: whole, or not at all.

use crate::{model::mode::Mode, shell::quote};

/// Where the content of a file comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    Text(&'a str),
    /// A late input: a path below `$KB_IN`.
    Input(&'a str),
    /// What a shell command prints.
    Output(&'a str),
}

/// POSIX text that puts a file in its place: written beside it under a name that daemons which read folders pass
/// over, given its owner and mode, and renamed. Folders above it are made where they are missing.
///
/// The text is a subshell: it leaves no variable and no umask behind. With `set -e` it ends what it stands in.
pub fn put(path: &str, source: Source<'_>, mode: Mode, owner: &str) -> String {
    let content = match source {
        Source::Text(text) => format!("printf %s {}", quote(text)),
        Source::Input(name) => format!("cat \"$KB_IN\"/{}", quote(name)),
        Source::Output(command) => command.to_owned(),
    };
    let (folder, name) = match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => (".", path),
    };
    let folder_q = quote(folder);
    let draft = quote(&format!("{}/.{name}.kbootstrap", folder.trim_end_matches('/')));
    let path = quote(path);
    let owner = quote(owner);
    format!(
        "(\n[ -d {folder_q} ] || mkdir -p {folder_q}\numask 077\n{content} > {draft}\nchmod {mode} {draft}\nchown {owner} {draft}\nmv -fT {draft} {path}\n)"
    )
}

/// The folder where data that gave way is kept, never deleted.
pub const ASIDE: &str = "/var/lib/kbootstrap/aside";
/// The folder of what services were last restarted with, and the like.
pub const STAMPS: &str = "/var/lib/kbootstrap/stamps";
/// The owner of nearly everything.
pub const ROOT: &str = "root:root";
