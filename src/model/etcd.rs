//! Where etcd lives on a node: the one place that names its folders and manifest.

use serde::Serialize;

/// How the members of etcd run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EtcdLayout {
    /// A static pod on each control plane, managed by kubeadm. What one, three and more control planes get.
    Stacked,
    /// A systemd service, managed by this program; kubeadm sees it as external. What an even number of control planes
    /// gets, with one member more on a worker: the witness, without which two members are less safe than one. Static pods
    /// become services by a command of its own, and there is no way back.
    Service,
}

impl EtcdLayout {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stacked, Self::Service];
    /// The port that clients use.
    pub const CLIENT_PORT: u16 = 2379;
    /// The port that members use among themselves.
    pub const PEER_PORT: u16 = 2380;
    /// The folder of a service's certificate, key and authority: out of what kubeadm reads, and what a set-aside moves.
    pub const SERVICE_FOLDER: &'static str = "/etc/kbootstrap/etcd";
    /// The folder of [`ca_key`](Self::ca_key) of a service, root's alone.
    pub const AUTHORITY_FOLDER: &'static str = "/etc/kbootstrap/pki";
    /// Where a static pod's manifest lies while a conversion takes its member over: beside its folder, so that it goes and
    /// comes back by one rename. It tells that this machine is in the midst of it.
    pub const KEPT_MANIFEST: &'static str = "/etc/kubernetes/etcd.yaml.kbootstrap";
    /// The unit of a service.
    pub const UNIT: &'static str = "kbootstrap-etcd.service";

    /// The folder of a member's data.
    ///
    /// `kubeadm reset` wipes `/var/lib/etcd` even where etcd is external, workers included, so a service keeps away
    /// from it.
    pub const fn data_folder(self) -> &'static str {
        match self {
            Self::Stacked => "/var/lib/etcd",
            Self::Service => "/var/lib/kbootstrap/etcd",
        }
    }

    /// The static pod's manifest, absent where etcd is a service.
    pub const fn manifest(self) -> Option<&'static str> {
        match self {
            Self::Stacked => Some("/etc/kubernetes/manifests/etcd.yaml"),
            Self::Service => None,
        }
    }

    /// The layout whose members kubeadm starts and ends; absent where they go on whatever kubeadm does.
    pub fn of_kubeadm(self) -> Option<Self> {
        (self == Self::Stacked).then_some(self)
    }

    /// The authority that signs every certificate of etcd, as the member and those who ask it read it.
    pub const fn ca_certificate(self) -> &'static str {
        match self {
            Self::Stacked => "/etc/kubernetes/pki/etcd/ca.crt",
            Self::Service => "/etc/kbootstrap/etcd/ca.crt",
        }
    }

    /// The authority's key, on control planes alone: of a service out of what kubeadm reads, which has no business with it there.
    pub const fn ca_key(self) -> &'static str {
        match self {
            Self::Stacked => "/etc/kubernetes/pki/etcd/ca.key",
            Self::Service => "/etc/kbootstrap/pki/etcd-ca.key",
        }
    }

    /// Certificate and key that may ask a member for its health and its members: of a service its own, which the witness
    /// has, too.
    pub const fn client_certificate(self) -> (&'static str, &'static str) {
        match self {
            Self::Stacked => {
                ("/etc/kubernetes/pki/etcd/healthcheck-client.crt", "/etc/kubernetes/pki/etcd/healthcheck-client.key")
            }
            Self::Service => ("/etc/kbootstrap/etcd/member.crt", "/etc/kbootstrap/etcd/member.key"),
        }
    }

    /// POSIX text that puts what a member is asked with into `$kb_etcd_ca`, `$kb_etcd_cert` and `$kb_etcd_key`, by the
    /// layout that the machine itself has; false where it has none.
    pub fn credentials() -> String {
        let (service, stacked) = (Self::Service, Self::Stacked);
        let set = |layout: Self| {
            let (certificate, key) = layout.client_certificate();
            format!("kb_etcd_ca={} kb_etcd_cert={certificate} kb_etcd_key={key}", layout.ca_certificate())
        };
        format!("{}; [ -e \"$kb_etcd_key\" ] || {{ {}; [ -e \"$kb_etcd_key\" ]; }}", set(service), set(stacked))
    }
}

impl std::fmt::Display for EtcdLayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Stacked => "stacked",
            Self::Service => "service",
        })
    }
}

/// The voters of etcd, as a quorum is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voters {
    /// All that are members and vote, whether they answer or not.
    pub total: usize,
    /// Those that answer.
    pub healthy: usize,
}

impl Voters {
    /// What is left once a voter is gone.
    ///
    /// # Errors
    /// The rest would have no quorum, or this is the last one: with the numbers.
    pub fn without(self, node: &super::name::NodeName, its_healthy: bool) -> Result<Self, String> {
        let healthy = self.healthy - usize::from(its_healthy);
        let left = Self { total: self.total - 1, healthy };
        let numbers = format!(
            "{} of {} voters healthy; removing {node} leaves {} of {}",
            self.healthy, self.total, left.healthy, left.total
        );
        if left.total == 0 {
            return Err(format!("{numbers}: it is the last one"));
        }
        // etcd takes a change of its members only while those that there are have a quorum, and the rest must have one.
        if self.healthy < quorum(self.total) {
            return Err(format!("{numbers}, and {} are needed to change anything", quorum(self.total)));
        }
        if healthy < quorum(left.total) {
            return Err(format!("{numbers}, and {} are needed", quorum(left.total)));
        }
        Ok(left)
    }

    /// How many more may fail.
    pub fn tolerates(self) -> usize {
        self.healthy.saturating_sub(quorum(self.total))
    }
}

/// How many of so many voters must answer.
pub const fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(healthy: usize, total: usize, its_healthy: bool) -> Result<Voters, String> {
        Voters { total, healthy }.without(&"cp2".parse().unwrap(), its_healthy)
    }

    #[test]
    fn what_loses_the_quorum_is_refused_with_the_numbers() {
        assert_eq!(without(3, 3, true), Ok(Voters { total: 2, healthy: 2 }));
        assert_eq!(without(2, 3, false), Ok(Voters { total: 2, healthy: 2 }));
        assert_eq!(
            without(2, 3, true).unwrap_err(),
            "2 of 3 voters healthy; removing cp2 leaves 1 of 2, and 2 are needed"
        );
        assert_eq!(without(2, 2, true), Ok(Voters { total: 1, healthy: 1 }));
        assert_eq!(
            without(1, 2, false).unwrap_err(),
            "1 of 2 voters healthy; removing cp2 leaves 1 of 1, and 2 are needed to change anything"
        );
        assert_eq!(
            without(1, 1, true).unwrap_err(),
            "1 of 1 voters healthy; removing cp2 leaves 0 of 0: it is the last one"
        );
        assert_eq!(without(5, 5, true).unwrap().tolerates(), 1);
        assert_eq!(without(3, 3, true).unwrap().tolerates(), 0);
    }
}
