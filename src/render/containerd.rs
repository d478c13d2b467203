//! containerd's configuration.

use serde_json::json;

use super::{HEADER, merge::merge};
use crate::model::cluster::ClusterSpec;

/// Where it lies.
pub const PATH: &str = "/etc/containerd/config.toml";

/// `config.toml` in version 2 of its form, which containerd 1.6 and 1.7 read and 2.x converts.
///
/// Written whole, because Docker's containerd.io brings a file that disables the plugin that kubelet talks to.
///
/// # Panics
/// Never: overrides come from TOML, so they can be written as TOML.
pub fn config(spec: &ClusterSpec) -> String {
    let mut config = json!({
        "version": 2,
        "plugins": {"io.containerd.grpc.v1.cri": {
            // Must be the one that kubeadm pulls: with containerd's own default, every pod of a closed network waits
            // for an image that nobody brought.
            "sandbox_image": spec.release.pause_image(&spec.image_repository),
            // Debian's build looks in /usr/lib/cni, where pod networks install nothing.
            "cni": {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"},
            "containerd": {
                "default_runtime_name": "runc",
                "runtimes": {"runc": {
                    "runtime_type": "io.containerd.runc.v2",
                    // As kubelet's cgroupDriver: with two drivers a node becomes unstable under load.
                    "options": {"SystemdCgroup": true},
                }},
            },
            // Mirrors go there as files, which need no restart.
            "registry": {"config_path": "/etc/containerd/certs.d"},
        }},
    });
    merge(&mut config, &spec.overrides.containerd);
    format!("{HEADER}{}", toml::to_string(&config).expect("overrides come from TOML"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn default_configuration() {
        insta::assert_snapshot!(config(&sample::cluster()));
    }

    #[test]
    fn overrides_come_last() {
        let mut spec = sample::cluster();
        let theirs = json!({
            "debug": {"level": "info"},
            "plugins": {"io.containerd.grpc.v1.cri": {"max_concurrent_downloads": 10}},
        });
        spec.overrides.containerd = theirs.as_object().unwrap().clone();
        let text = config(&spec);
        let read: serde_json::Value = toml::from_str(&text).unwrap();
        assert_eq!(read["debug"]["level"], "info");
        let cri = &read["plugins"]["io.containerd.grpc.v1.cri"];
        assert_eq!(
            (&cri["max_concurrent_downloads"], &cri["sandbox_image"]),
            (&json!(10), &json!("registry.k8s.io/pause:3.9"))
        );
    }
}
