//! Why authorities could not be made or taken over.

use super::{Authority, SharedPath};

/// A problem with the authorities. None of the messages holds anything of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PkiError {
    /// Key or certificate could not be made.
    #[error("cannot make {authority}: {reason}")]
    Generate { authority: Authority, reason: String },
    /// A file of the eight was not among those given.
    #[error("{0} is missing")]
    Missing(SharedPath),
    /// The text is not what its name promises.
    #[error("{path} cannot be read: {reason}")]
    Unreadable { path: SharedPath, reason: String },
    /// A certificate without `CA:TRUE`, or one that may not sign certificates.
    #[error("{0} is not the certificate of an authority")]
    NotAnAuthority(SharedPath),
    /// A component would find this out only when it starts.
    #[error("{key} is not the key of {public}")]
    Mismatch { key: SharedPath, public: SharedPath },
    /// Clocks of nodes and of the operator's machine may differ; `at` is the operator's.
    #[error("{path} is valid from {from} to {until}, not at {at}")]
    NotValid { path: SharedPath, from: String, until: String, at: String },
}
