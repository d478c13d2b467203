//! The cluster's side of an exchange of authorities: whom its objects tell programs to trust, and which pods have read it.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// Whom the cluster's objects trust. Texts are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusting {
    /// `kube-root-ca.crt` by namespace: what pods check the API server against. Absent where a namespace has none yet.
    pub namespaces: BTreeMap<String, Option<String>>,
    /// The authority in `kube-public/cluster-info`, which joining nodes read.
    pub cluster_info: Option<String>,
    /// `client-ca-file` of `kube-system/extension-apiserver-authentication`, which extension API servers read.
    pub clients: Option<String>,
    /// `requestheader-client-ca-file` of the same.
    pub front_proxy: Option<String>,
    /// What an earlier run noted once all of them trusted a new authority.
    pub record: Option<Record>,
    /// Pods that mount `kube-root-ca.crt`, and run.
    pub pods: Vec<TrustingPod>,
}

/// From when on the cluster trusts a new authority: ConfigMap `kube-system/kbootstrap-rotation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// SHA-256 (hex) of the authority's certificate.
    pub authority: String,
    /// When the API server wrote it, seconds since 1970.
    pub since: i64,
}

/// A pod whose programs may have read whom to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustingPod {
    pub namespace: String,
    pub name: String,
    /// When the oldest of its containers that run was started, seconds since 1970.
    pub since: i64,
    /// What makes it anew, where something does that can be told to.
    pub workload: Option<Workload>,
}

/// A Deployment, DaemonSet or StatefulSet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Workload {
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl Trusting {
    /// Pods that were started before all of the cluster trusted this authority; all of them, where it is not known when.
    pub fn older_pods(&self, authority: &str) -> impl Iterator<Item = &TrustingPod> {
        let since = self.record.as_ref().filter(|record| record.authority == authority).map(|record| record.since);
        self.pods.iter().filter(move |pod| since.is_none_or(|since| pod.since < since))
    }
}

impl fmt::Display for TrustingPod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_older_than_what_is_known_to_be_trusted() {
        let pod = |name: &str, since| TrustingPod { namespace: "a".into(), name: name.into(), since, workload: None };
        let mut trusting = Trusting { pods: vec![pod("old", 9), pod("new", 10)], ..Trusting::default() };
        let older = |trusting: &Trusting, authority: &str| -> Vec<String> {
            trusting.older_pods(authority).map(ToString::to_string).collect()
        };
        assert_eq!(older(&trusting, "x"), ["a/old", "a/new"], "unknown is not new");
        trusting.record = Some(Record { authority: "x".into(), since: 10 });
        assert_eq!((older(&trusting, "x"), older(&trusting, "y").len()), (vec!["a/old".to_owned()], 2));
    }
}
