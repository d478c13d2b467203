//! Small text files, those of `/proc` and `/sys` included: all that any domain needs, read by one `grep`.

use std::collections::BTreeMap;

use super::{error::FactError, section::Section};
use crate::shell;

/// The section's name.
pub const NAME: &str = "texts";

/// Reads every file of the list, each a path without pattern characters.
pub fn command<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    // An empty pattern prints every line; -Z ends the file's name with a NUL, so that no name is mistaken.
    format!("_r {NAME} grep -aHZ '' {}", shell::words(paths))
}

/// Texts of one node by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    found: BTreeMap<String, String>,
    /// What `grep` said of a path where it was not "no such file".
    failed: BTreeMap<String, String>,
}

impl Texts {
    /// Texts that were there, for tests of the domains.
    #[cfg(test)]
    pub fn of<const N: usize>(texts: [(&str, &str); N]) -> Self {
        let found = texts.map(|(path, text)| (path.to_owned(), text.to_owned()));
        Self { found: found.into(), failed: BTreeMap::new() }
    }

    /// Sorts the lines of `grep` by file.
    ///
    /// # Errors
    /// `grep` did not run, or complained of something that is not one of the files.
    pub fn parse(section: &Section<'_>) -> Result<Self, FactError> {
        let mut texts = Self::default();
        // 0 and 1 tell whether anything matched, 2 that a file could not be read.
        if section.code > 2 {
            return Err(section.failure("small files"));
        }
        for line in String::from_utf8_lossy(section.err).lines() {
            let named = line.strip_prefix("grep: ").and_then(|said| said.rsplit_once(": "));
            let Some((path, words)) = named else {
                return Err(FactError::new("small files", line));
            };
            if !["No such file or directory", "Not a directory"].contains(&words) {
                texts.failed.insert(path.to_owned(), words.to_owned());
            }
        }
        let mut rest = section.out;
        while let Some(nul) = rest.iter().position(|&byte| byte == 0) {
            let (path, tail) = (&rest[..nul], &rest[nul + 1..]);
            let end = tail.iter().position(|&byte| byte == b'\n').map_or(tail.len(), |at| at + 1);
            let path = String::from_utf8_lossy(path).into_owned();
            let text = texts.found.entry(path).or_default();
            text.push_str(&String::from_utf8_lossy(&tail[..end]));
            rest = &tail[end..];
        }
        Ok(texts)
    }

    /// The file's text, each line ended by a newline; `None` where there is no such file or nothing in it.
    ///
    /// # Errors
    /// It is there and could not be read.
    pub fn get(&self, path: &str) -> Result<Option<&str>, FactError> {
        if let Some(words) = self.failed.get(path) {
            return Err(FactError::new(path, words));
        }
        Ok(self.found.get(path).map(String::as_str))
    }

    /// The text of a file that every node has.
    ///
    /// # Errors
    /// It is not there, is empty or could not be read.
    pub fn need(&self, path: &str) -> Result<&str, FactError> {
        self.get(path)?.ok_or_else(|| FactError::new(path, "it is missing or empty"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sorted_by_file() {
        let section = Section {
            code: 2,
            out: b"/etc/hostname\0cp1\n/etc/fstab\0# a: b\n/etc/fstab\0\n/etc/fstab\0/dev/vda1 / ext4\n",
            err: b"grep: /etc/none: No such file or directory\ngrep: /sys/x: Permission denied",
        };
        let texts = Texts::parse(&section).expect("read");
        assert_eq!(texts.need("/etc/hostname"), Ok("cp1\n"));
        assert_eq!(texts.need("/etc/fstab"), Ok("# a: b\n\n/dev/vda1 / ext4\n"));
        assert_eq!(texts.get("/etc/none"), Ok(None));
        assert_eq!(texts.get("/sys/x"), Err(FactError::new("/sys/x", "Permission denied")));
    }

    #[test]
    fn a_grep_that_did_not_run_is_an_error() {
        let section = Section { code: 127, out: b"", err: b"sh: 1: grep: not found" };
        assert!(Texts::parse(&section).is_err());
    }
}
