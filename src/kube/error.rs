//! What can go wrong between the operator's machine and the Kubernetes API.

use std::error::Error as StdError;
use std::time::Duration;

use ::kube::core::Status;

use crate::model::name::NodeName;

/// A failed call of the API. Text from outside is escaped when it is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubeError {
    /// No API server could be connected to; each control plane that was tried, with the reason.
    #[error("no API server can be reached: {}", list(.tried))]
    Unreachable { tried: Vec<(NodeName, String)> },
    /// The API server answered, and the answer is no.
    #[error("{what}: the API server says: {message} ({code} {reason})")]
    Refused {
        /// What was attempted, such as `read nodes`.
        what: String,
        /// HTTP status.
        code: u16,
        /// One word of Kubernetes: `NotFound`, `Conflict`.
        reason: String,
        message: String,
    },
    /// No answer in time.
    #[error("{what}: no answer within {} s", .after.as_secs_f32())]
    Timeout { what: String, after: Duration },
    /// The connection broke, or the answer is not what the API promises.
    #[error("{what}: {cause}")]
    Broken { what: String, cause: String },
    /// `admin.conf` is not a kubeconfig that can be used.
    #[error("admin.conf cannot be used: {0}")]
    AdminConf(String),
}

impl KubeError {
    /// The error of an attempt, in words that follow it: `read nodes`.
    pub fn new(what: impl Into<String>, error: ::kube::Error) -> Self {
        let what = what.into();
        match error {
            ::kube::Error::Api(status) => Self::refused(what, &status),
            error => {
                let mut next: Option<&(dyn StdError + 'static)> = Some(&error);
                while let Some(cause) = next {
                    if let Some(known) = cause.downcast_ref::<Self>() {
                        return known.clone();
                    }
                    next = cause.source();
                }
                Self::Broken { what, cause: told_once(&error) }
            }
        }
    }

    fn refused(what: String, status: &Status) -> Self {
        Self::Refused { what, code: status.code, reason: status.reason.clone(), message: status.message.clone() }
    }

    /// Whether the API server itself says that the object is not there. The only kind of error that means absence.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// Whether somebody else changed the object meanwhile.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }

    /// Whether the same attempt may succeed when made again, perhaps by another control plane. All of ours may be
    /// repeated: they say what shall be.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Broken { .. } => true,
            // An API server that has just begun answers before it has read its roles: to it an administrator may do nothing.
            Self::Refused { code: 403, message, .. } => message.contains("is forbidden: User "),
            Self::Refused { code, .. } => matches!(code, 409 | 429 | 500..=599),
            Self::AdminConf(_) => false,
        }
    }
}

/// An error and its sources, each told once: many repeat their source in their own words.
fn told_once(error: &dyn StdError) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !told.contains(&words) {
            told = format!("{told}: {words}");
        }
        next = cause.source();
    }
    told
}

fn list(tried: &[(NodeName, String)]) -> String {
    match tried {
        [] => String::from("there is no control plane to ask"),
        tried => tried.iter().map(|(node, reason)| format!("{node}: {reason}")).collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, reason: &str) -> KubeError {
        let status = Status { code, reason: reason.into(), message: "m".into(), ..Status::default() };
        KubeError::new("read x", ::kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn only_the_servers_own_word_means_absence() {
        assert!(refused(404, "NotFound").is_not_found());
        assert!(!KubeError::Unreachable { tried: vec![] }.is_not_found());
        assert!(!refused(403, "Forbidden").is_transient() && refused(503, "").is_transient());
        let message = "nodes is forbidden: User \"kubernetes-admin\" cannot list resource \"nodes\"".into();
        let early = KubeError::Refused { what: String::new(), code: 403, reason: "Forbidden".into(), message };
        assert!(early.is_transient(), "before it has read its roles");
    }

    #[test]
    fn a_known_cause_is_found_below_other_errors() {
        let known = KubeError::Unreachable { tried: vec![(NodeName::new("cp1").unwrap(), "refused".into())] };
        let wrapped = ::kube::Error::Service(Box::new(known.clone()));
        assert_eq!(KubeError::new("read x", wrapped), known);
        assert_eq!(known.to_string(), "no API server can be reached: cp1: refused");
    }
}
