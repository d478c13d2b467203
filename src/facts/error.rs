//! Why a node's answer is not understood.

/// Something on a node could not be read, or its answer makes no sense. Nothing of the answer is used then.
///
/// Remote text in it is as the node wrote it: escape it before it is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("can't read {domain}: {problem}")]
pub struct FactError {
    /// What was to be read: `packages`, `links` …
    pub domain: String,
    /// The cause, in the words of the program that failed where it had some.
    pub problem: String,
    /// What the operator can do about it.
    pub hint: Option<String>,
}

impl FactError {
    /// An error without a hint.
    pub fn new(domain: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { domain: domain.into(), problem: problem.into(), hint: None }
    }

    /// The same error with a way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
