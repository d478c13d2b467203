//! Errors of the program: what was attempted on what, the cause once, and a hint that names a command.

mod exit;

use std::error::Error as StdError;
use std::fmt;

pub use exit::ExitStatus;

/// A failure as a person needs it.
///
/// Shown as one sentence, then the last lines that the other side said, then the hint:
///
/// ```text
/// cp1: install.packages: could not install kubelet: exit status 100
///   E: Unable to locate package kubelet
///   hint: …
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

/// Boxed: it is large, and every result that may fail would be as large.
#[derive(Debug)]
struct Inner {
    attempted: String,
    node: Option<String>,
    step: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    details: Vec<String>,
    hint: Option<String>,
    exit: ExitStatus,
}

impl Error {
    /// A failed attempt, in words that follow "could not": `read inventory.toml`, `connect to 10.0.0.1 port 22`.
    pub fn new(attempted: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            attempted: attempted.into(),
            node: None,
            step: None,
            cause: None,
            details: Vec::new(),
            hint: None,
            exit: ExitStatus::Failed,
        }))
    }

    /// The same with the node that it was attempted on.
    #[must_use]
    pub fn node(mut self, node: impl fmt::Display) -> Self {
        self.0.node = Some(node.to_string());
        self
    }

    /// The same with the step that it belonged to.
    #[must_use]
    pub fn step(mut self, step: impl fmt::Display) -> Self {
        self.0.step = Some(step.to_string());
        self
    }

    /// The same with its cause: an error, or words.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same with the last lines of what the other side said. Secrets must be gone from them, control characters
    /// are escaped here.
    #[must_use]
    pub fn details(mut self, lines: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.0.details = lines.into_iter().map(|line| escaped(line.as_ref())).collect();
        self
    }

    /// The same with the way out, which names a command or a key where it can.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same with another exit status than [`ExitStatus::Failed`].
    #[must_use]
    pub fn exit(mut self, exit: ExitStatus) -> Self {
        self.0.exit = exit;
        self
    }

    /// The status that the program ends with because of it.
    pub fn exit_status(&self) -> ExitStatus {
        self.0.exit
    }

    /// The way out, absent where none is known.
    pub fn way_out(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    /// The sentence alone: where, what, why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in [&self.0.node, &self.0.step].into_iter().flatten() {
            write!(f, "{place}: ")?;
        }
        write!(f, "could not {}", self.0.attempted)?;
        let mut said = self.0.attempted.clone();
        let mut next: Option<&(dyn StdError + 'static)> = self.0.cause.as_deref().map(|cause| cause as _);
        while let Some(cause) = next {
            // Many errors repeat their source in their own message: each cause is told once.
            let words = cause.to_string();
            if !words.is_empty() && !said.contains(&words) {
                write!(f, ": {words}")?;
                said.push_str(&words);
            }
            next = cause.source();
        }
        Ok(())
    }
}

/// The cause is part of what is displayed, so it is not given as a source once more.
impl StdError for Error {}

impl Error {
    /// The whole report in lines: the sentence, the details and the hint, without a final newline.
    pub fn report(&self) -> String {
        let mut report = self.to_string();
        for line in &self.0.details {
            report.push_str("\n  ");
            report.push_str(line);
        }
        if let Some(hint) = &self.0.hint {
            report.push_str("\n  hint: ");
            report.push_str(hint);
        }
        report
    }
}

/// The line with control characters escaped, so that what a node says never moves the cursor.
fn escaped(line: &str) -> String {
    line.chars()
        .flat_map(|c| if c.is_control() && c != '\t' { c.escape_default().collect() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {0}")]
    struct Repeating(#[source] std::io::Error);

    #[test]
    fn says_where_what_and_why_once() {
        let cause = Repeating(std::io::Error::other("refused"));
        let error = Error::new("connect to 10.0.0.1 port 22")
            .node("cp1")
            .step("preflight.ssh")
            .cause(cause)
            .details(["tail\x1b[2J"])
            .hint("is sshd running there?");
        assert_eq!(
            error.report(),
            "cp1: preflight.ssh: could not connect to 10.0.0.1 port 22: outer: refused\n  tail\\u{1b}[2J\n  hint: is sshd running there?"
        );
        assert_eq!(error.exit_status(), ExitStatus::Failed);
    }
}
