//! How the program ends.

use std::process::ExitCode;

/// The exit status of every command: a public contract for scripts and CI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExitStatus {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: wrong usage or configuration; nothing was attempted.
    Usage,
    /// 3: changes are pending, said by `plan --exit-code`.
    Pending,
    /// 4: some nodes failed or could not be reached.
    Partial,
    /// 130: interrupted.
    Interrupted,
}

impl ExitStatus {
    /// The number that the operating system gets.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Pending => 3,
            Self::Partial => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
