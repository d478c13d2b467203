//! Putting a file in place: what is told to the node, and what its answer means.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::model::mode::Mode;
use crate::shell::escape::escape_untrusted;
use crate::transport::{Cause, Limits, Output};

/// The slowest line that an upload is given time for, in bytes per second.
const SLOWEST: u64 = 100_000;

/// The lines before the content: path, then mode, size and checksum.
pub(super) fn header(path: &str, mode: Mode, content: &[u8]) -> Result<Bytes, Cause> {
    let is_file = path.starts_with('/') && !path.ends_with('/') && !path.contains(['\n', '\0']);
    if !is_file {
        return Err(refused(path, "the path must be absolute, in one line, and name a file"));
    }
    let mut sum = String::with_capacity(64);
    for byte in Sha256::digest(content) {
        // Writing to a String can't fail.
        let _ = write!(sum, "{byte:02x}");
    }
    Ok(Bytes::from(format!("{path}\n{mode} {} {sum}\n", content.len())))
}

/// A minute, and what the slowest line takes.
pub(super) fn limits(size: usize) -> Limits {
    Limits { stdout: 4096, stderr: 64 << 10, timeout: Duration::from_secs(60 + size as u64 / SLOWEST) }
}

/// Whether the file is in place.
pub(super) fn check(path: &str, output: &Output) -> Result<(), Cause> {
    if output.exit.is_success() {
        return Ok(());
    }
    let words = escape_untrusted(output.stderr.trim_ascii());
    Err(refused(path, if words.is_empty() { output.exit.to_string() } else { words }))
}

fn refused(path: &str, message: impl Into<String>) -> Cause {
    Cause::Upload { path: escape_untrusted(path.as_bytes()), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_describes_the_content() {
        let header = header("/etc/a b", Mode::PRIVATE, b"abc").unwrap();
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(header, format!("/etc/a b\n0600 3 {sum}\n"));
    }

    #[test]
    fn paths_that_a_line_can_not_hold_are_refused() {
        for path in ["", "etc/x", "/etc/", "/a\nb", "/a\0b"] {
            assert!(header(path, Mode::PUBLIC, b"").is_err(), "{path:?}");
        }
    }
}
