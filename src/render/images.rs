//! Which images a node must hold before kubeadm runs on it.

use crate::model::cluster::ClusterSpec;
use crate::model::image::ImageRef;
use crate::model::node::NodeSpec;
use crate::render::{network, static_pods::Component};

/// Tag of the image with which the proof's pods ask DNS and each other.
const AGNHOST_TAG: &str = "2.47";

/// The images of a node: Kubernetes' own, pause first, then the network's, then the proof's.
pub fn of(spec: &ClusterSpec, node: &NodeSpec) -> Vec<ImageRef> {
    let mut images = spec.release.images(&spec.image_repository, node.role);
    let (ours, theirs) = (spec.release.etcd_image(&spec.image_repository), of_component(spec, Component::Etcd));
    images.iter_mut().filter(|image| **image == ours).for_each(|image| *image = theirs.clone());
    images.extend(network::images(spec));
    images.push(proof(spec));
    images
}

/// The image of a program that kubeadm runs as a static pod.
pub fn of_component(spec: &ClusterSpec, component: Component) -> ImageRef {
    match component {
        Component::Etcd => spec.image_repository.image("etcd", etcd_tag(spec)),
        other => spec.image_repository.image(other.name(), &spec.kubernetes().tag()),
    }
}

/// The tag of etcd's image: the inventory's `etcd.local.imageTag` of `[override.cluster]`, else the release's own.
pub fn etcd_tag(spec: &ClusterSpec) -> &str {
    let local = spec.overrides.cluster.get("etcd").and_then(|etcd| etcd.get("local"));
    local.and_then(|local| local.get("imageTag")?.as_str()).unwrap_or(spec.release.etcd)
}

/// The image of the proof's pods: agnhost, which Kubernetes' own tests use (2.47 with 1.30).
pub fn proof(spec: &ClusterSpec) -> ImageRef {
    spec.image_repository.image("e2e-test-images/agnhost", AGNHOST_TAG)
}

/// Where the images' registries answer, each once: `https://registry.k8s.io/v2/`.
///
/// docker.io is a name only; the runtime asks registry-1.docker.io.
pub fn registry_urls(spec: &ClusterSpec, node: &NodeSpec) -> Vec<String> {
    let mut urls = Vec::new();
    for image in of(spec, node) {
        let host = image.as_str().split('/').next().unwrap_or_default();
        let host = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let url = format!("https://{host}/v2/");
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::NetworkKind;
    use crate::render::sample;

    fn shown(spec: &ClusterSpec, node: usize) -> String {
        of(spec, &spec.nodes[node]).iter().map(|image| format!("{image}\n")).collect()
    }

    #[test]
    fn of_each_role() {
        let spec = sample::cluster();
        insta::assert_snapshot!("images_control_plane", shown(&spec, 0));
        insta::assert_snapshot!("images_worker", shown(&spec, 4));
    }

    #[test]
    fn follow_the_network() {
        let mut spec = sample::cluster();
        spec.network.kind = NetworkKind::Routed;
        assert!(shown(&spec, 4).contains("kube-router") && !shown(&spec, 4).contains("flannel"));
        spec.network.kind = NetworkKind::None;
        assert!(!shown(&spec, 4).contains("docker.io"));
    }

    #[test]
    fn registries_are_named_once() {
        let mut spec = sample::cluster();
        let worker = spec.nodes[4].clone();
        assert_eq!(registry_urls(&spec, &worker), ["https://registry.k8s.io/v2/", "https://registry-1.docker.io/v2/"]);
        spec.image_repository = "mirror.example:5000/k8s".parse().unwrap();
        assert_eq!(registry_urls(&spec, &worker)[0], "https://mirror.example:5000/v2/");
    }
}
