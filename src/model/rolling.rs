//! What a roll from node to node asks of the cluster besides its usual view, and what it promises to it.

use std::str::FromStr;

use serde::Serialize;

use super::{
    drain::{DrainPolicy, OnBlocked},
    invalid::Invalid,
    name::NodeName,
    version::KubeVersion,
};

/// The part of a cluster's state that only a roll needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rolling {
    /// Every PodDisruptionBudget that covers a pod.
    pub budgets: Vec<Budget>,
    /// Pods that would lose something if they were evicted: the node, and the pod with what it would lose.
    pub losing: Vec<(NodeName, String)>,
    /// Versions of APIs that somebody asked for since the API server that answered began, and that a later minor
    /// version no longer has.
    pub deprecated: Vec<DeprecatedApi>,
}

/// A PodDisruptionBudget as it stands now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    pub namespace: String,
    pub name: String,
    /// How many of its pods may be evicted now (`status.disruptionsAllowed`).
    pub allowed: i32,
    /// Whether none may ever be, even while all are healthy: it asks for as many as there are.
    pub never: bool,
    /// The pods that it covers, each with its node where it has one.
    pub pods: Vec<(String, Option<String>)>,
}

/// A version of an API that will go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DeprecatedApi {
    /// `flowcontrol.apiserver.k8s.io/v1beta3 flowschemas`.
    pub what: String,
    /// Minor version without it: 32 for `1.32`.
    pub removed_in: u16,
}

/// What must hold of one node, in several looks in a row, before a roll goes on to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    pub node: NodeName,
    /// The version that its kubelet shall have; any where absent.
    pub kubelet: Option<KubeVersion>,
    /// Whether it carries an API server.
    pub control_plane: bool,
    /// The version that a control plane's static pods shall have; any where absent.
    pub servers: Option<KubeVersion>,
    /// How many members etcd shall have, as the node's own says; absent where the node holds none.
    pub members: Option<usize>,
    /// Looks in a row that must find everything right.
    pub looks: u32,
    /// By whose word a static pod is well.
    pub word: Word,
}

/// By whose word a static pod is well. kubelet asks ten to twenty seconds after a start for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// kubelet's, or its own: where more of the run follows, and its end waits for kubelet's.
    Either,
    Kubelet,
}

/// What somebody allows a roll to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollTerms {
    pub drain: DrainPolicy,
    pub max_unavailable: MaxUnavailable,
    /// Workers that may fail before no further batch is begun.
    pub max_failed: usize,
}

impl Default for RollTerms {
    /// One worker after the other, five minutes for each drain, nothing forced, and the first failure ends it.
    fn default() -> Self {
        Self {
            drain: DrainPolicy { on_blocked: OnBlocked::Abort, delete_local_data: false, timeout_s: 300 },
            max_unavailable: MaxUnavailable::Number(1),
            max_failed: 0,
        }
    }
}

/// How many workers may be out of service at once: a number, or a share of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxUnavailable {
    Number(usize),
    Percent(usize),
}

impl MaxUnavailable {
    /// How many of so many workers, at least one; a share is rounded down, as Kubernetes does.
    pub fn of(self, workers: usize) -> usize {
        match self {
            Self::Number(number) => number,
            Self::Percent(percent) => workers * percent / 100,
        }
        .max(1)
    }
}

impl FromStr for MaxUnavailable {
    type Err = Invalid;

    /// Reads `2` or `25%`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = || {
            Invalid::new(format!("`{}` is not a number of workers", text.escape_debug()))
                .hint("a number above 0, or a share from 1% to 100%")
        };
        let number = |text: &str| text.parse::<usize>().ok().filter(|number| *number > 0).ok_or_else(refused);
        match text.strip_suffix('%') {
            Some(share) => Ok(Self::Percent(number(share)?)).and_then(|share| match share {
                Self::Percent(101..) => Err(refused()),
                share => Ok(share),
            }),
            None => Ok(Self::Number(number(text)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_one_worker_at_a_time() {
        let of = |text: &str, workers| text.parse::<MaxUnavailable>().unwrap().of(workers);
        assert_eq!((of("1", 5), of("3", 2), of("25%", 10), of("10%", 5), of("100%", 4)), (1, 3, 2, 1, 4));
        for bad in ["0", "", "-1", "0%", "101%", "x", "1.5"] {
            assert!(bad.parse::<MaxUnavailable>().is_err(), "{bad}");
        }
    }
}
