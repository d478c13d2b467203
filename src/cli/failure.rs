//! How a command fails.

use crate::diag::Problems;
use crate::error::{Error, ExitStatus};
use crate::inventory::Refusal;
use crate::playbook::LoadError;

/// Why a command ended without a result.
#[derive(Debug)]
pub enum Failure {
    /// Something was attempted and failed.
    Error(Error),
    /// Files have problems; nothing was attempted.
    Problems(Vec<Problems>),
}

impl Failure {
    /// The status that the program ends with.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Error(error) => error.exit_status(),
            Self::Problems(_) => ExitStatus::Usage,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unreadable(error) => Self::Error(error),
            Refusal::Invalid(problems) => Self::Problems(vec![*problems]),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Read(error) => Self::Error(error.exit(ExitStatus::Usage)),
            LoadError::Problems(problems) => Self::Problems(problems),
        }
    }
}
