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
/// The section of contents, one after the other.
pub const CONTENTS: &str = "contents";

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
    // Digests are listed in the order of the arguments, so the first argument left belongs to each line, and the files to
    // be sent queue behind it. sha256sum marks a line whose name it had to escape with a backslash.
    format!(
        r#"_r {NAME} find {paths} -maxdepth 0 -printf '%y\0%m\0%u\0%g\0%s\0%l\0%p\0'
set --
for _p in {paths}; do
[ -L "$_p" ] || [ ! -f "$_p" ] || set -- "$@" "$_p"
done
if [ $# -gt 0 ]; then
_d=$(sha256sum -- "$@" 2>&1); _c=$?
printf '%s' "$_d"; _s {DIGESTS} $_c
if [ $_c = 0 ]; then
set -f; IFS='
'
for _l in $_d; do
_p=$1; shift
_h=${{_l#\\}}; _h=${{_h%% *}}; _w=
case $_p in
{wishes}esac
[ "$_w" = never ] || [ "$_w" = "$_h" ] || set -- "$@" "$_p"
done
set +f; unset IFS
[ $# = 0 ] || _r {CONTENTS} head -q -c {most} -- "$@"
fi
fi"#,
        most = CONTENT_LIMIT + 1,
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
    let listing = String::from_utf8_lossy(section.out);
    let words: Vec<&str> = listing.split_terminator('\0').collect();
    let records: Vec<Record<'_>> = words.chunks(7).map(Record::of).collect::<Result<_, _>>()?;
    let mut contents = contents(sections, wanted, &records)?;
    let mut seen = BTreeMap::new();
    for Record { kind, mode, owner, group, target, path, .. } in records {
        let (owner, group) = (owner.to_owned(), group.to_owned());
        let file = match kind {
            "f" => {
                let (sha256, content) = contents.remove(path).ok_or_else(|| changed(path))?;
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

fn changed(path: &str) -> FactError {
    FactError::new(path, "it changed while it was read").hint("run again; something else is at work on the node")
}

/// What `find` says of one path.
struct Record<'a> {
    kind: &'a str,
    mode: u32,
    owner: &'a str,
    group: &'a str,
    size: usize,
    target: &'a str,
    path: &'a str,
}

impl<'a> Record<'a> {
    fn of(words: &[&'a str]) -> Result<Self, FactError> {
        let &[kind, mode, owner, group, size, target, path] = words else {
            return Err(FactError::new("files", "the answer of `find` was cut off"));
        };
        let nonsense = |word| FactError::new(path, format!("`{word}` makes no sense"));
        let mode = u32::from_str_radix(mode, 8).map_err(|_| nonsense(mode))?;
        let size = size.parse().map_err(|_| nonsense(size))?;
        Ok(Self { kind, mode, owner, group, size, target, path })
    }
}

/// Digest and content of every regular file.
type Contents = BTreeMap<String, (String, Option<Vec<u8>>)>;

/// Contents come in one piece, cut by the sizes; the digests prove that they were cut rightly.
fn contents(sections: &Sections<'_>, wanted: &Wanted, records: &[Record<'_>]) -> Result<Contents, FactError> {
    let Some(section) = sections.get(DIGESTS) else {
        return Ok(Contents::new());
    };
    if section.code != 0 {
        return Err(FactError::new("files", String::from_utf8_lossy(section.out).trim()));
    }
    let mut rest = match sections.get(CONTENTS) {
        Some(section) => section.succeeded("files")?,
        None => &[],
    };
    let listing = String::from_utf8_lossy(section.out);
    let mut contents = Contents::new();
    for line in listing.lines() {
        let (path, digest) =
            digest_line(line).ok_or_else(|| FactError::new("files", format!("`{line}` is no digest")))?;
        let sent = match wanted.get(&path) {
            Some(ContentRead::Always) => true,
            Some(ContentRead::Unless(wish)) => *wish != digest,
            Some(ContentRead::Never) | None => false,
        };
        let mut content = None;
        if sent {
            let record = records.iter().find(|record| record.path == path).ok_or_else(|| changed(&path))?;
            let size = record.size.min(CONTENT_LIMIT + 1);
            let (own, others) = rest.split_at_checked(size).ok_or_else(|| changed(&path))?;
            rest = others;
            if size <= CONTENT_LIMIT {
                if hex(&Sha256::digest(own)) != digest {
                    return Err(changed(&path));
                }
                content = Some(own.to_vec());
            }
        }
        contents.insert(path, (digest, content));
    }
    match rest {
        [] => Ok(contents),
        _ => Err(FactError::new("files", "more was sent than was asked for").hint("run again")),
    }
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

/// What needs a shell is tested in `gather`.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_wishes_the_one_that_brings_more_is_granted() {
        use ContentRead::{Always, Never};
        let unless = |digest: &str| ContentRead::Unless(digest.into());
        let merged = |first: &ContentRead, second: &ContentRead| {
            let mut wanted = Wanted::new();
            want(&mut wanted, "/a", first);
            want(&mut wanted, "/a", second);
            wanted["/a"].clone()
        };
        assert_eq!(merged(&Never, &unless("x")), unless("x"));
        assert_eq!(merged(&unless("x"), &Never), unless("x"));
        assert_eq!(merged(&unless("x"), &unless("x")), unless("x"));
        assert_eq!(merged(&unless("x"), &unless("y")), Always);
        assert_eq!(merged(&Always, &unless("x")), Always);
        assert_eq!(merged(&Never, &Always), Always);
    }

    /// A node's answer for one file of four bytes, with these sent as its content.
    fn read(sent: &str) -> Result<FileSeen, FactError> {
        let digest = hex(&Sha256::digest("text"));
        let stream = format!(
            "f\0644\0root\0root\x004\0\0/a\0\nN files 0\n{digest}  /a\nN digests 0\n{sent}\nN contents 0\n\nN end 0\n"
        );
        let wanted = Wanted::from([("/a".to_owned(), ContentRead::Always)]);
        let mut seen = parse(&Sections::split(stream.as_bytes(), "N")?, &wanted)?;
        Ok(seen.remove("/a").expect("asked"))
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_unknown() {
        assert!(matches!(read("text"), Ok(FileSeen::File { content: Some(content), .. }) if content == b"text"));
        for other in ["", "tex", "texts", "TEXT"] {
            assert!(read(other).is_err(), "{other}");
        }
    }
}
