//! Versions of Kubernetes, and what differs between them: one method for each behaviour.

use std::str::FromStr;

use super::invalid::{Invalid, serde_as_text};

/// A released version of Kubernetes 1: `1.MINOR.PATCH`.
///
/// Displayed without `v`; pre-releases are not represented. Whether the program knows what belongs to a patch is
/// asked of [`super::release::Release`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubeVersion {
    minor: u16,
    patch: u16,
}
serde_as_text!(KubeVersion);

/// Which configuration API of kubeadm a version reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KubeadmApi {
    /// `kubeadm.k8s.io/v1beta3`: `extraArgs` are maps, one value for each flag.
    V1Beta3,
    /// `kubeadm.k8s.io/v1beta4`: `extraArgs` are lists of `{name, value}`; `timeouts` replaces single fields.
    V1Beta4,
}

impl KubeadmApi {
    /// What stands in `apiVersion`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1Beta3 => "kubeadm.k8s.io/v1beta3",
            Self::V1Beta4 => "kubeadm.k8s.io/v1beta4",
        }
    }
}

impl KubeVersion {
    /// Version `1.minor.patch`.
    pub const fn new(minor: u16, patch: u16) -> Self {
        Self { minor, patch }
    }

    /// 30 for 1.30.14.
    pub const fn minor(self) -> u16 {
        self.minor
    }

    /// 14 for 1.30.14.
    pub const fn patch(self) -> u16 {
        self.patch
    }

    /// `v1.30.14`: image tags and kubeadm's `kubernetesVersion`.
    pub fn tag(self) -> String {
        format!("v{self}")
    }

    /// `v1.30`: the part of a package repository's address that names the minor version.
    pub fn series(self) -> String {
        format!("v1.{}", self.minor)
    }

    /// Which configuration API to render for this version's kubeadm.
    ///
    /// v1beta4 is in the tree of 1.30 but enabled only from 1.31, where v1beta3 is deprecated (release notes of 1.31).
    pub const fn kubeadm_api(self) -> KubeadmApi {
        if self.minor >= 31 { KubeadmApi::V1Beta4 } else { KubeadmApi::V1Beta3 }
    }

    /// Whether kubeadm writes the init host's `resolvConf` into the cluster's kubelet configuration.
    ///
    /// Until 1.30 it does, which breaks nodes without systemd-resolved; from 1.31 it is set on each node.
    pub const fn resolv_conf_is_cluster_wide(self) -> bool {
        self.minor <= 30
    }
}

impl std::fmt::Display for KubeVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("1.{}.{}", self.minor, self.patch))
    }
}

impl FromStr for KubeVersion {
    type Err = Invalid;

    /// Reads `1.30.14` or `v1.30.14`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = || Invalid::new(format!("`{}` is not a version such as `1.30.14`", text.escape_debug()));
        let parts: Vec<&str> = text.strip_prefix('v').unwrap_or(text).split('.').collect();
        match parts[..] {
            ["1", minor, patch] => {
                Ok(Self::new(number(minor).ok_or_else(refused)?, number(patch).ok_or_else(refused)?))
            }
            ["1", minor] if number(minor).is_some() => {
                Err(refused().hint("name the patch too: a plan must not change because a newer patch came out"))
            }
            _ => Err(refused()),
        }
    }
}

/// A number without sign or leading zero.
fn number(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_with_and_without_v() {
        assert_eq!("1.30.14".parse(), Ok(KubeVersion::new(30, 14)));
        assert_eq!("v1.31.0".parse(), Ok(KubeVersion::new(31, 0)));
        for bad in ["", "1", "1.30", "2.0.0", "1.30.14-rc.1", "1.030.1", "1.+3.1", "1.30.99999", " 1.30.14", "vv1.30.1"]
        {
            assert!(bad.parse::<KubeVersion>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn orders_by_number_not_by_text() {
        assert!(KubeVersion::new(30, 9) < KubeVersion::new(30, 14));
        assert!(KubeVersion::new(30, 14) < KubeVersion::new(31, 0));
    }

    #[test]
    fn words_for_other_programs() {
        let version = KubeVersion::new(30, 14);
        assert_eq!((version.tag(), version.series()), ("v1.30.14".into(), "v1.30".into()));
        assert_eq!(version.kubeadm_api(), KubeadmApi::V1Beta3);
        assert_eq!(KubeVersion::new(31, 0).kubeadm_api(), KubeadmApi::V1Beta4);
    }
}
