//! What is run on a node, and what comes back.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use zeroize::Zeroizing;

/// POSIX shell text, fed on standard input to `sh -s` as root.
///
/// It may hold secrets: it never appears in arguments or environment of any process, is overwritten when dropped and not
/// printed by `Debug`. The shell reads ahead in its standard input, so commands in it need `</dev/null`. Wrapping the whole
/// in one function that is called on the last line, so that a script cut off runs nothing, is the caller's duty.
#[derive(Clone)]
pub struct Script(Zeroizing<String>);

impl Script {
    /// Takes shell text as it is; a final newline is added where it is missing.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = Zeroizing::new(text.into());
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Self(text)
    }

    /// The shell text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The shell text as bytes that are overwritten when dropped, too.
    pub(super) fn bytes(&self) -> Bytes {
        Bytes::from_owner(self.0.clone())
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({} bytes)", self.0.len())
    }
}

/// How much a script may answer and how long it may run. What exceeds a limit is an error that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of standard output. Default 16 MiB.
    pub stdout: usize,
    /// Bytes of standard error. Default 1 MiB.
    pub stderr: usize,
    /// From asking for a channel to the end of the script. Default 60 s.
    pub timeout: Duration,
}

impl Limits {
    /// Default sizes, and this much time.
    pub fn within(timeout: Duration) -> Self {
        Self { timeout, ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { stdout: 16 << 20, stderr: 1 << 20, timeout: Duration::from_secs(60) }
    }
}

/// How a script ended. A script of which that is not known did not end: that is [`Cause::Lost`](super::Cause::Lost).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status, 0 to 255.
    Code(u32),
    /// A signal ended it.
    Signal {
        /// Name without `SIG`, such as `KILL`.
        name: String,
        /// What the server says about it; often empty.
        message: String,
    },
}

impl Exit {
    /// Whether it exited with status 0.
    pub fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal { name, .. } => write!(f, "killed by signal {name}"),
        }
    }
}

/// All that a finished script answered. Noise of login shells before the script started is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output, at most [`Limits::stdout`] bytes.
    pub stdout: Vec<u8>,
    /// Standard error, at most [`Limits::stderr`] bytes.
    pub stderr: Vec<u8>,
    /// How it ended; a status other than 0 is no error of the transport.
    pub exit: Exit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_not_printed_and_ends_in_a_newline() {
        let script = Script::new("echo secret");
        assert_eq!(format!("{script:?}"), "Script(12 bytes)");
        assert_eq!(script.expose(), "echo secret\n");
        assert_eq!(Script::new("a\n").expose(), "a\n");
    }
}
