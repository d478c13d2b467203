//! Why an action failed, as a failure of a run tells it.

use std::fmt;

use crate::kube::KubeError;

/// A failed action: what was attempted, the cause once, and what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionError {
    /// In words that follow "could not": `apply flannel`.
    pub what: String,
    pub cause: String,
    /// More lines: the conditions that do not hold, what a script said.
    pub details: Vec<String>,
    pub hint: Option<String>,
}

impl ActionError {
    pub(super) fn new(what: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self { what: what.into(), cause: cause.to_string(), details: Vec::new(), hint: None }
    }

    pub(super) fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details = lines.into_iter().collect();
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error of an API call within an attempt.
    pub(super) fn of(what: impl Into<String>) -> impl FnOnce(KubeError) -> Self {
        let what = what.into();
        move |error| Self::new(what, error)
    }
}

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.what, self.cause)
    }
}

impl std::error::Error for ActionError {}
