//! Frames: the lines by which a batch tells how far it is.
//!
//! ```text
//! NONCE start 0
//! NONCE done 0 0 1.2
//! NONCE start 1
//! NONCE done 1 100 3.4 BASE64-OF-THE-LAST-LINES
//! NONCE stopped 2
//! NONCE end success exited 0
//! ```
//! Only the runner script and systemd's `ExecStopPost` write to the file, so an op's output can't forge one; the
//! nonce guards against whatever a login prints in front.

use base64::{Engine, prelude::BASE64_STANDARD};

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// The op of this index has begun.
    Start(usize),
    /// It ended: exit status, and the last lines of what it printed where that is not 0.
    Done { op: usize, code: i32, tail: String },
    /// The stop file was found before this op.
    Stopped(usize),
    /// The batch did not begin: the run's lock was gone, another batch is at work, or its files were altered.
    Refused(String),
    /// The unit ended, in systemd's words: `$SERVICE_RESULT`, `$EXIT_CODE`, `$EXIT_STATUS`.
    End { result: String, code: String, status: String },
    /// The node has no trace of the batch's files though it was started: it was rebooted.
    Gone,
}

/// Reads one line. `None` for anything that is not a frame of this nonce (banners, noise).
pub fn parse(nonce: &str, line: &str) -> Option<Frame> {
    let rest = line.strip_prefix(nonce)?.strip_prefix(' ')?;
    let mut words = rest.trim_end().split(' ');
    let frame = match words.next()? {
        "start" => Frame::Start(words.next()?.parse().ok()?),
        "done" => {
            let op = words.next()?.parse().ok()?;
            let code = words.next()?.parse().ok()?;
            let tail = words.next().and_then(|text| BASE64_STANDARD.decode(text).ok()).unwrap_or_default();
            Frame::Done { op, code, tail: String::from_utf8_lossy(&tail).into_owned() }
        }
        "stopped" => Frame::Stopped(words.next()?.parse().ok()?),
        "refused" => Frame::Refused(words.collect::<Vec<_>>().join(" ")),
        "end" => Frame::End {
            result: words.next().unwrap_or_default().to_owned(),
            code: words.next().unwrap_or_default().to_owned(),
            status: words.next().unwrap_or_default().to_owned(),
        },
        "gone" => Frame::Gone,
        _ => return None,
    };
    Some(frame)
}

/// Collects bytes into lines; what has no end yet waits, and a line longer than the bound is dropped whole.
#[derive(Default)]
pub struct Lines {
    rest: Vec<u8>,
    /// Whether we are inside a line that was too long.
    skipping: bool,
}

/// No frame is longer: the tail is at most 4 KiB before base64.
const LONGEST: usize = 16 * 1024;

impl Lines {
    /// Takes a chunk and gives every line that it completes, without the newline, and each one's length in bytes with it.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<(String, usize)> {
        let mut lines = Vec::new();
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            if !self.skipping {
                self.rest.extend_from_slice(piece);
            }
            if self.rest.len() > LONGEST {
                self.rest.clear();
                self.skipping = true;
            }
            if piece.ends_with(b"\n") {
                if !self.skipping {
                    let line = std::mem::take(&mut self.rest);
                    lines.push((String::from_utf8_lossy(&line[..line.len() - 1]).into_owned(), line.len()));
                }
                self.skipping = false;
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_and_noise_is_not() {
        assert_eq!(parse("n1", "n1 start 3"), Some(Frame::Start(3)));
        assert_eq!(parse("n1", "n1 done 3 0 "), Some(Frame::Done { op: 3, code: 0, tail: String::new() }));
        assert_eq!(
            parse("n1", "n1 done 3 100 RTogbm8K"),
            Some(Frame::Done { op: 3, code: 100, tail: "E: no\n".into() })
        );
        assert_eq!(
            parse("n1", "n1 end oom-kill killed KILL"),
            Some(Frame::End { result: "oom-kill".into(), code: "killed".into(), status: "KILL".into() })
        );
        for noise in ["", "n1", "n1 ", "n1 start", "n1 start x", "n2 start 3", "Welcome to Ubuntu"] {
            assert_eq!(parse("n1", noise), None, "{noise:?}");
        }
    }

    #[test]
    fn lines_come_whole_from_any_chunks() {
        let mut lines = Lines::default();
        assert!(lines.push(b"ab").is_empty());
        assert_eq!(lines.push(b"c\nd\ne"), [("abc".to_owned(), 4), ("d".to_owned(), 2)]);
        assert!(lines.push(&vec![b'x'; LONGEST + 1]).is_empty());
        assert_eq!(lines.push(b"xx\nf\n"), [("f".to_owned(), 2)]);
    }

    /// Whatever a node sends, no more than one line is kept, and lengths add up to what was taken.
    #[test]
    fn noise_takes_no_memory() {
        let mut lines = Lines::default();
        let noise = vec![b'x'; 1 << 20];
        for _ in 0..64 {
            assert!(lines.push(&noise).is_empty());
            assert!(lines.rest.capacity() <= 4 << 20, "{}", lines.rest.capacity());
        }
        assert!(lines.push(b"\n").is_empty());
        assert_eq!(lines.push(b"n1 start 0\n"), [("n1 start 0".to_owned(), 11)]);
    }

    proptest::proptest! {
        #[test]
        fn no_chunks_panic(chunks in proptest::collection::vec(proptest::collection::vec(0_u8.., 0..64), 0..32)) {
            let mut lines = Lines::default();
            for chunk in &chunks {
                for (line, _) in lines.push(chunk) {
                    parse("n1", &line);
                }
            }
        }

        #[test]
        fn no_line_panics(line in ".*") {
            parse("n1", &line);
            parse("n1", &format!("n1 {line}"));
        }
    }
}
