//! How a command ended.

use std::fmt::{self, Display};
use std::process::{Command, Stdio};

/// A command that has ended, with what it wrote.
pub struct Outcome {
    command: String,
    /// `None`: ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Runs it to its end, with an empty standard input.
    pub fn of(mut command: Command) -> Outcome {
        let output = command.stdin(Stdio::null()).output();
        let command = format!("{command:?}");
        let output = output.unwrap_or_else(|error| panic!("{command}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Outcome { command, code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output without the line end.
    ///
    /// # Panics
    /// With all that the command wrote, if it failed.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.ok(), "{self}");
        self.stdout.trim_end().to_string()
    }

    /// Standard error of a command that must have ended with `code`.
    ///
    /// # Panics
    /// With all that the command wrote, if it ended otherwise.
    #[track_caller]
    pub fn failure(self, code: i32) -> String {
        assert!(self.code == Some(code), "wanted exit code {code}: {self}");
        self.stderr.trim_end().to_string()
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { command, code, stdout, stderr } = self;
        write!(f, "{command} ended with {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
