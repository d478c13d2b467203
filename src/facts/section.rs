//! The stream that an observing script writes: sections, each ended by a line that no program on the node can forge,
//! since it begins with the script's random nonce.
//!
//! A section's bytes come first and its trailer after them, because only then is the exit status known:
//! `…bytes…`, a newline, `NONCE NAME CODE`, a newline. The stream is complete if its last trailer is named `end`.

use std::collections::BTreeMap;

use super::error::FactError;
use crate::shell;

/// Functions that the pieces use: `_s NAME CODE` ends a section; `_r NAME COMMAND…` runs a command into a section of
/// that name, its standard error into one named `NAME.err`.
///
/// Needs `3>&1`; the nonce must be a plain word.
pub fn prelude(nonce: &str) -> String {
    let nonce = shell::quote(nonce);
    format!(
        r#"_s() {{ printf '\n%s %s %s\n' {nonce} "$1" "$2"; }}
_r() {{
_q=$1; shift
_e=$("$@" 2>&1 >&3 3>&-); _c=$?
_s "$_q" $_c
printf %s "$_e"; _s "$_q.err" 0
}}"#
    )
}

/// The name of the trailer that ends a complete stream.
pub const END: &str = "end";

/// What one command of a script answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    pub code: u32,
    pub out: &'a [u8],
    /// Its standard error; empty where it was not asked for.
    pub err: &'a [u8],
}

/// All sections of one script's stream by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections<'a>(BTreeMap<&'a str, Section<'a>>);

impl<'a> Sections<'a> {
    /// Cuts a stream at its trailers.
    ///
    /// # Errors
    /// The stream does not end with the trailer `end`, a trailer is malformed or a name comes twice: nothing of it is
    /// to be believed then.
    pub fn split(stream: &'a [u8], nonce: &str) -> Result<Self, FactError> {
        let broken = |problem: &str| FactError::new("the node's answer", problem);
        let mark = format!("\n{nonce} ").into_bytes();
        let mut raw: BTreeMap<&str, (u32, &[u8])> = BTreeMap::new();
        let mut rest = stream;
        let mut ended = false;
        while let Some(at) = find(rest, &mark) {
            if ended {
                return Err(broken("it goes on after its end"));
            }
            let (out, tail) = (&rest[..at], &rest[at + mark.len()..]);
            let line_end = find(tail, b"\n").ok_or_else(|| broken("it was cut off"))?;
            let trailer = std::str::from_utf8(&tail[..line_end])
                .ok()
                .and_then(|line| line.split_once(' '))
                .and_then(|(name, code)| Some((name, code.parse().ok()?)));
            let (name, code) = trailer.ok_or_else(|| broken("a trailer in it is malformed"))?;
            if raw.insert(name, (code, out)).is_some() {
                return Err(broken("a part comes twice in it"));
            }
            ended = name == END;
            rest = &tail[line_end + 1..];
        }
        if !ended || !rest.is_empty() {
            return Err(broken("it was cut off"));
        }
        let sections = raw
            .iter()
            .filter(|(name, _)| !name.ends_with(".err"))
            .map(|(&name, &(code, out))| {
                let err = raw.get(format!("{name}.err").as_str()).map_or(&[][..], |found| found.1);
                (name, Section { code, out, err })
            })
            .collect();
        Ok(Self(sections))
    }

    /// A section that may be missing.
    pub fn get(&self, name: &str) -> Option<&Section<'a>> {
        self.0.get(name)
    }

    /// A section that the script always writes.
    ///
    /// # Errors
    /// It is not there.
    pub fn need(&self, name: &str) -> Result<&Section<'a>, FactError> {
        self.get(name).ok_or_else(|| FactError::new(name, "the node's answer has no such part"))
    }
}

impl<'a> Section<'a> {
    /// The output of a command that must have succeeded.
    ///
    /// # Errors
    /// Its exit status is not 0; `domain` names what was to be read.
    pub fn succeeded(&self, domain: &str) -> Result<&'a [u8], FactError> {
        if self.code == 0 {
            return Ok(self.out);
        }
        Err(self.failure(domain))
    }

    /// The output as text.
    ///
    /// # Errors
    /// As [`Section::succeeded`], or it is no UTF-8.
    pub fn text(&self, domain: &str) -> Result<&'a str, FactError> {
        std::str::from_utf8(self.succeeded(domain)?).map_err(|_| FactError::new(domain, "the answer is not UTF-8"))
    }

    /// The error that says how the command failed.
    pub fn failure(&self, domain: &str) -> FactError {
        let said = String::from_utf8_lossy(self.err);
        let said = match said.trim() {
            "" => String::new(),
            said => format!(": {said}"),
        };
        FactError::new(domain, format!("exit status {}{said}", self.code))
    }

    /// How many paths the command called missing.
    ///
    /// # Errors
    /// It complained of anything else.
    pub fn missing(&self, domain: &str) -> Result<usize, FactError> {
        const MISSING: [&str; 2] = [": No such file or directory", ": Not a directory"];
        let said = String::from_utf8_lossy(self.err);
        let lines = said.lines().filter(|line| !line.is_empty());
        let mut count = 0;
        for line in lines {
            if !MISSING.iter().any(|words| line.ends_with(words)) {
                return Err(FactError::new(domain, line));
            }
            count += 1;
        }
        if self.code != 0 && count == 0 {
            return Err(self.failure(domain));
        }
        Ok(count)
    }
}

/// Where `needle` first begins in `hay`.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|part| part == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"a\nb\nN one 0\n\nN two 3\nsad\nN two.err 0\n\0\xff\n\nN three 0\n\nN end 0\n";

    #[test]
    fn bytes_come_back_as_they_were() {
        let sections = Sections::split(STREAM, "N").expect("complete");
        let one = sections.need("one").expect("there");
        assert_eq!((one.code, one.out), (0, &b"a\nb"[..]));
        let two = sections.need("two").expect("there");
        assert_eq!((two.code, two.out, two.err), (3, &b""[..], &b"sad"[..]));
        assert_eq!(sections.need("three").expect("there").out, b"\0\xff\n");
        assert!(sections.need("four").is_err());
    }

    #[test]
    fn a_stream_cut_off_anywhere_is_refused() {
        for end in 0..STREAM.len() {
            assert!(Sections::split(&STREAM[..end], "N").is_err(), "cut at {end}");
        }
        assert!(Sections::split(&[STREAM, b"x"].concat(), "N").is_err());
    }

    #[test]
    fn only_missing_paths_count_as_missing() {
        let section = |code, err| Section { code, out: b"", err };
        let gone = b"find: '/a': No such file or directory\nfind: '/etc/x/y': Not a directory";
        assert_eq!(section(1, gone).missing("files"), Ok(2));
        assert_eq!(section(0, b"").missing("files"), Ok(0));
        let denied = b"find: '/a': Permission denied";
        assert!(section(1, denied).missing("files").is_err());
        assert!(section(127, b"").missing("files").is_err());
    }
}
