//! How a command fails.

use crate::diag::Problems;
use crate::error::{Error, ExitStatus};
use crate::inventory::Refusal;

/// Why a command ended without a result.
#[derive(Debug)]
pub enum Failure {
    /// Something was attempted and failed.
    Error(Error),
    /// A file has problems; nothing was attempted.
    Problems(Box<Problems>),
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
            Refusal::Invalid(problems) => Self::Problems(problems),
        }
    }
}
