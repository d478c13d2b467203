//! Files: one `find` for what they are, one `sha256sum` for what is in them, contents only as asked.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{error::FactError, section::Sections};
use crate::model::observe::{ContentRead, FileSeen};
use crate::shell;

/// The section of what the paths are.
pub const NAME: &str = "files";
/// The section of digests.
pub const DIGESTS: &str = "digests";

/// The largest content that is brought along.
pub const CONTENT_LIMIT: usize = 256 * 1024;

/// Paths with what of their content is wanted.
pub type Wanted = BTreeMap<String, ContentRead>;

/// Adds a wish to others for the same path: the one that brings more.
pub fn want(wanted: &mut Wanted, path: &str, content: &ContentRead) {
    use ContentRead::{Always, Never, Unless};
    let merged = match (wanted.get(path), content) {
        (None | Some(Never), wish) => wish.clone(),
        (Some(kept), Never) => kept.clone(),
        (Some(Unless(a)), Unless(b)) if a == b => content.clone(),
        // One of two different digests is never met.
        (Some(Always | Unless(_)), _) => Always,
    };
    wanted.insert(path.to_owned(), merged);
}

/// Empty where nothing is wanted.
pub fn command(wanted: &Wanted) -> String {
    if wanted.is_empty() {
        return String::new();
    }
    // A path that is not absolute could be an option of find; `parse` refuses it.
    let paths = shell::words(wanted.keys().filter(|path| path.starts_with('/')));
    let mut wishes = String::new();
    for (path, content) in wanted {
        let wish = match content {
            ContentRead::Always => continue,
            ContentRead::Never => "never",
            ContentRead::Unless(digest) => digest,
        };
        wishes.push_str(&format!("{}) _w={};;\n", shell::quote(path), shell::quote(wish)));
    }
    // Digests are listed in the order of the arguments, so the first argument left belongs to each line. sha256sum marks
    // a line whose name it had to escape with a backslash.
    format!(
        r#"_r {NAME} find {paths} -maxdepth 0 -printf '%y\0%m\0%u\0%g\0%l\0%p\0'
set --
for _p in {paths}; do
[ -L "$_p" ] || [ ! -f "$_p" ] || set -- "$@" "$_p"
done
if [ $# -gt 0 ]; then
_d=$(sha256sum -- "$@" 2>&1); _c=$?
printf '%s' "$_d"; _s {DIGESTS} $_c
if [ $_c = 0 ]; then
_i=0; set -f; IFS='
'
for _l in $_d; do
_p=$1; shift
_h=${{_l#\\}}; _h=${{_h%% *}}; _w=
case $_p in
{wishes}esac
[ "$_w" = never ] || [ "$_w" = "$_h" ] || {{ head -c {limit} -- "$_p"; _s content.$_i $?; }}
_i=$((_i+1))
done
set +f; unset IFS
fi
fi"#,
        limit = CONTENT_LIMIT + 1,
    )
}

/// # Errors
/// Anything could not be told of any path, or a path is not absolute.
pub fn parse(sections: &Sections<'_>, wanted: &Wanted) -> Result<BTreeMap<String, FileSeen>, FactError> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    if let Some(path) = wanted.keys().find(|path| !path.starts_with('/')) {
        return Err(FactError::new(path, "the path is not absolute"));
    }
    let section = sections.need(NAME)?;
    let missing = section.missing("files")?;
    let mut contents = contents(sections)?;
    let listing = String::from_utf8_lossy(section.out);
    let words: Vec<&str> = listing.split_terminator('\0').collect();
    let mut seen = BTreeMap::new();
    for record in words.chunks(6) {
        let &[kind, mode, owner, group, target, path] = record else {
            return Err(FactError::new("files", "the answer of `find` was cut off"));
        };
        let mode = u32::from_str_radix(mode, 8).map_err(|_| FactError::new(path, format!("`{mode}` is no mode")))?;
        let (owner, group) = (owner.to_owned(), group.to_owned());
        let file = match kind {
            "f" => {
                let (sha256, content) =
                    contents.remove(path).ok_or_else(|| FactError::new(path, "it changed while it was read"))?;
                FileSeen::File { mode, owner, group, sha256, content }
            }
            "d" => FileSeen::Directory { mode, owner, group },
            "l" => FileSeen::Link { target: target.to_owned() },
            _ => FileSeen::Other,
        };
        seen.insert(path.to_owned(), file);
    }
    let absent: Vec<&String> = wanted.keys().filter(|path| !seen.contains_key(*path)).collect();
    if absent.len() != missing {
        return Err(FactError::new("files", "not every path was answered for"));
    }
    let absent: Vec<String> = absent.into_iter().cloned().collect();
    seen.extend(absent.into_iter().map(|path| (path, FileSeen::Absent)));
    Ok(seen)
}

/// Digest and content of every regular file.
type Contents = BTreeMap<String, (String, Option<Vec<u8>>)>;

fn contents(sections: &Sections<'_>) -> Result<Contents, FactError> {
    let Some(section) = sections.get(DIGESTS) else {
        return Ok(Contents::new());
    };
    if section.code != 0 {
        return Err(FactError::new("files", String::from_utf8_lossy(section.out).trim()));
    }
    let listing = String::from_utf8_lossy(section.out);
    let mut contents = Contents::new();
    for (index, line) in listing.lines().enumerate() {
        let (path, digest) =
            digest_line(line).ok_or_else(|| FactError::new("files", format!("`{line}` is no digest")))?;
        let content = sections.get(&format!("content.{index}"));
        let found = match content {
            None => (digest, None),
            Some(content) => {
                let content = content.succeeded(&path)?;
                // Of two readings the later counts, so that digest and content belong together.
                match content.len() <= CONTENT_LIMIT {
                    true => (hex(&Sha256::digest(content)), Some(content.to_vec())),
                    false => (digest, None),
                }
            }
        };
        contents.insert(path, found);
    }
    Ok(contents)
}

fn digest_line(line: &str) -> Option<(String, String)> {
    let (escaped, line) = match line.strip_prefix('\\') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (digest, path) = line.split_once(' ')?;
    // A second space, or an asterisk for binary mode.
    let path = path.get(1..)?;
    let path = match escaped {
        true => unescaped(path),
        false => path.to_owned(),
    };
    (digest.len() == 64).then(|| (path, digest.to_owned()))
}

fn unescaped(name: &str) -> String {
    let mut chars = name.chars();
    let mut text = String::new();
    while let Some(char) = chars.next() {
        text.push(match char {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                other => other.unwrap_or('\\'),
            },
            char => char,
        });
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
