//! What belongs to each known patch of Kubernetes: images and packages. A patch outside the table is refused, so that
//! a plan never depends on what some server answers.

use serde::Serialize;

use super::image::{ImageRef, ImageRepository};
use super::node::Role;
use super::version::KubeVersion;

/// One row of the table: the patches `first..=last` of a minor version share these images.
struct Row {
    minor: u16,
    first: u16,
    last: u16,
    etcd: &'static str,
    coredns: &'static str,
    pause: &'static str,
}

/// Source: the image constants of each release (`cmd/kubeadm/app/constants`) and minikube's list made from them.
/// 1.31 is here because clusters of 1.30 are upgraded to it.
const TABLE: &[Row] = &[
    row(30, 0..=4, "3.5.12-0", "v1.11.1", "3.9"),
    row(30, 5..=14, "3.5.15-0", "v1.11.3", "3.9"),
    row(31, 0..=0, "3.5.15-0", "v1.11.1", "3.10"),
    row(31, 1..=13, "3.5.15-0", "v1.11.3", "3.10"),
    row(31, 14..=14, "3.5.24-0", "v1.11.3", "3.10"),
];

const fn row(
    minor: u16,
    patches: std::ops::RangeInclusive<u16>,
    etcd: &'static str,
    coredns: &'static str,
    pause: &'static str,
) -> Row {
    Row { minor, first: *patches.start(), last: *patches.end(), etcd, coredns, pause }
}

/// A known release of Kubernetes with the versions that belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Release {
    /// The version of Kubernetes itself.
    pub kubernetes: KubeVersion,
    /// Tag of the etcd image, such as `3.5.15-0`.
    pub etcd: &'static str,
    /// Tag of the CoreDNS image, such as `v1.11.3`.
    pub coredns: &'static str,
    /// Tag of the pause image, such as `3.9`; containerd's `sandbox_image` must be the same.
    pub pause: &'static str,
}

impl Release {
    /// The release of this version; absent where the program doesn't know the patch.
    pub fn of(version: KubeVersion) -> Option<Self> {
        let row = TABLE
            .iter()
            .find(|row| row.minor == version.minor() && (row.first..=row.last).contains(&version.patch()))?;
        Some(Self { kubernetes: version, etcd: row.etcd, coredns: row.coredns, pause: row.pause })
    }

    /// Every known version, oldest first.
    pub fn known() -> impl Iterator<Item = KubeVersion> {
        TABLE.iter().flat_map(|row| (row.first..=row.last).map(|patch| KubeVersion::new(row.minor, patch)))
    }

    /// The known versions in words: `1.30.0 to 1.30.14, 1.31.0 to 1.31.14`.
    pub fn known_in_words() -> String {
        let mut minors: Vec<(KubeVersion, KubeVersion)> = Vec::new();
        for version in Self::known() {
            match minors.last_mut() {
                Some((_, last)) if last.minor() == version.minor() => *last = version,
                _ => minors.push((version, version)),
            }
        }
        let words: Vec<String> = minors.iter().map(|(first, last)| format!("{first} to {last}")).collect();
        words.join(", ")
    }

    /// The newest known patch of this release's minor version.
    pub fn newest_patch(&self) -> KubeVersion {
        Self::known().filter(|known| known.minor() == self.kubernetes.minor()).max().unwrap_or(self.kubernetes)
    }

    /// Version of the packages kubelet, kubeadm and kubectl in the repository of pkgs.k8s.io: `1.30.14-1.1`.
    ///
    /// The revision `1.1` is the first build of a package there; every known patch has it.
    pub fn package_version(&self) -> String {
        format!("{}-1.1", self.kubernetes)
    }

    /// Version of the package cri-tools that every repository of the minor version has: `1.30.0-1.1`.
    pub fn cri_tools_version(&self) -> String {
        format!("1.{}.0-1.1", self.kubernetes.minor())
    }

    /// The images that a node of this role runs of Kubernetes itself, pause first: what is pulled before kubeadm runs.
    ///
    /// The network's images are not among them. CoreDNS is on every list: it may be scheduled anywhere.
    pub fn images(&self, repository: &ImageRepository, role: Role) -> Vec<ImageRef> {
        let tag = self.kubernetes.tag();
        let mut images =
            vec![self.pause_image(repository), repository.image("kube-proxy", &tag), self.coredns_image(repository)];
        if role == Role::ControlPlane {
            for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
                images.push(repository.image(component, &tag));
            }
            images.push(self.etcd_image(repository));
        }
        images
    }

    /// The image of every pod's sandbox.
    pub fn pause_image(&self, repository: &ImageRepository) -> ImageRef {
        repository.image("pause", self.pause)
    }

    /// The image of etcd.
    pub fn etcd_image(&self, repository: &ImageRepository) -> ImageRef {
        repository.image("etcd", self.etcd)
    }

    /// The image of CoreDNS.
    ///
    /// kubeadm names it `coredns/coredns` in its default repository, and `coredns` in any other.
    pub fn coredns_image(&self, repository: &ImageRepository) -> ImageRef {
        let name = if repository.is_default() { "coredns/coredns" } else { "coredns" };
        repository.image(name, self.coredns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(text: &str) -> Release {
        Release::of(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn every_patch_of_two_minors_is_known_once() {
        assert_eq!(Release::known_in_words(), "1.30.0 to 1.30.14, 1.31.0 to 1.31.14");
        assert_eq!(Release::known().count(), 30);
        assert!(Release::known().is_sorted());
        assert_eq!(Release::of(KubeVersion::new(30, 15)), None);
    }

    #[test]
    fn versions_of_what_goes_with_1_30_14() {
        let release = release("1.30.14");
        assert_eq!((release.etcd, release.coredns, release.pause), ("3.5.15-0", "v1.11.3", "3.9"));
        assert_eq!(release.package_version(), "1.30.14-1.1");
    }

    #[test]
    fn images_of_a_control_plane_include_those_of_a_worker() {
        let repository = ImageRepository::default();
        let release = release("1.30.14");
        let names =
            |role| -> Vec<String> { release.images(&repository, role).iter().map(ToString::to_string).collect() };
        assert_eq!(
            names(Role::Worker),
            [
                "registry.k8s.io/pause:3.9",
                "registry.k8s.io/kube-proxy:v1.30.14",
                "registry.k8s.io/coredns/coredns:v1.11.3"
            ]
        );
        assert_eq!(
            names(Role::ControlPlane)[3..],
            [
                "registry.k8s.io/kube-apiserver:v1.30.14",
                "registry.k8s.io/kube-controller-manager:v1.30.14",
                "registry.k8s.io/kube-scheduler:v1.30.14",
                "registry.k8s.io/etcd:3.5.15-0"
            ]
        );
    }

    #[test]
    fn coredns_moves_up_in_an_own_repository() {
        let own = ImageRepository::new("registry.example:5000/k8s").unwrap();
        assert_eq!(release("1.30.14").coredns_image(&own).to_string(), "registry.example:5000/k8s/coredns:v1.11.3");
    }
}
