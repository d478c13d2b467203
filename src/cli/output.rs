//! Where words go: results to standard output, everything else to standard error.

use std::io::{IsTerminal, Write, stderr, stdout};

use serde::Serialize;

use super::{Failure, Format, Global};
use crate::error::{Error, ExitStatus};

/// The two ways out of the program.
#[derive(Debug, Clone)]
pub struct Output {
    format: Format,
    quiet: bool,
    colour_out: bool,
    colour_err: bool,
}

impl Output {
    /// The ways out as the options have them. `NO_COLOR` (any value but an empty one) turns colour off, as does
    /// whatever is no terminal.
    pub fn new(global: &Global) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            format: global.output,
            quiet: global.quiet,
            colour_out: wanted && stdout().is_terminal(),
            colour_err: wanted && stderr().is_terminal(),
        }
    }

    /// For whom results are printed.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether results may be coloured.
    pub fn colour(&self) -> bool {
        self.colour_out
    }

    /// Whether talk may be coloured.
    pub fn colour_talk(&self) -> bool {
        self.colour_err
    }

    /// Whether only results and errors are wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Prints a result for a person.
    ///
    /// # Errors
    /// Where standard output takes nothing more, except that a reader who went away (`| head`) is no error.
    pub fn result(&self, text: &str) -> Result<(), Failure> {
        let written = stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush());
        match written {
            Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Error::new("write to standard output").cause(why).into())
            }
            _ => Ok(()),
        }
    }

    /// Prints a result for programs, one document with a final newline.
    ///
    /// # Errors
    /// As [`Output::result`].
    pub fn document(&self, document: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(document).map_err(|why| Error::new("write JSON").cause(why))?;
        self.result(&format!("{text}\n"))
    }

    /// Says something beside the result, unless told to be quiet.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            Self::talk(line);
        }
    }

    /// Tells of a failure, quiet or not.
    pub fn failure(&self, failure: &Failure) {
        let (on, off) = if self.colour_err { ("\u{1b}[1m\u{1b}[91m", "\u{1b}[0m") } else { ("", "") };
        match failure {
            // What was interrupted is no error, and the person who did it knows.
            Failure::Error(error) if error.exit_status() == ExitStatus::Interrupted => Self::talk(&error.report()),
            Failure::Error(error) => Self::talk(&format!("{on}error{off}: {}", error.report())),
            Failure::Problems(files) => {
                for problems in files {
                    let (count, file) = (problems.count_in_words(), problems.file());
                    Self::talk(&format!("{}\n\n{on}error{off}: {count} in {file}", problems.render(self.colour_err)));
                }
            }
        }
    }

    fn talk(line: &str) {
        // Where standard error is closed, nobody is left to be told.
        let _ = writeln!(stderr(), "{line}");
    }
}
