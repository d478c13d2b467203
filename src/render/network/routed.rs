//! kube-router alone: pods' packets are routed between nodes as they are, so nodes must share one flat layer 2.

use serde_json::{Value, json};

use super::{ManifestSet, config_map, daemon_set, host_path, kube_router, mount, read_only_mount};
use crate::model::cluster::ClusterSpec;

/// Where the chain of plugins lies; kube-router writes the node's part of the pod network into it.
const CNI_FILE: &str = "/etc/cni/net.d/10-kuberouter.conflist";

/// Puts the chain there as one step: the runtime reads every file of the folder that ends in `.conflist`.
const INSTALL: &str = "cp /cfg/cni-conf.json /etc/cni/net.d/.10-kuberouter.tmp && \
                       mv /etc/cni/net.d/.10-kuberouter.tmp /etc/cni/net.d/10-kuberouter.conflist";

/// All objects.
pub fn manifests(spec: &ClusterSpec) -> ManifestSet {
    let config = [("cni-conf.json", cni_config(spec))];
    let part = kube_router::Part {
        routes: true,
        args: args(spec),
        environment: vec![json!({"name": "KUBE_ROUTER_CNI_CONF_FILE", "value": CNI_FILE})],
        init_containers: vec![json!({
            "name": "install-cni",
            "image": kube_router::image(spec),
            "command": ["/bin/sh", "-c", INSTALL],
            "volumeMounts": [mount("cni", "/etc/cni/net.d"), read_only_mount("kube-router-cfg", "/cfg")],
        })],
        mounts: vec![mount("cni", "/etc/cni/net.d")],
        volumes: vec![
            host_path("cni", "/etc/cni/net.d", "DirectoryOrCreate"),
            json!({"name": "kube-router-cfg", "configMap": {"name": "kube-router-cfg"}}),
        ],
    };
    let mut objects = kube_router::account();
    objects.push(config_map(kube_router::NAME, "kube-router-cfg", kube_router::NAMESPACE, &config));
    objects.push(daemon_set(kube_router::NAME, kube_router::NAMESPACE, &config, kube_router::pod(spec, &part)));
    ManifestSet { name: kube_router::NAME, objects }
}

/// Routes are kept while a kube-router restarts. The MTU is that of the node's link unless the inventory names one.
fn args(spec: &ClusterSpec) -> Vec<String> {
    let mut args = vec!["--bgp-graceful-restart=true".to_owned()];
    if spec.network.mtu.is_some() {
        args.push("--auto-mtu=false".to_owned());
    }
    args
}

/// The chain of plugins that sets up a pod's link, as kube-router's own manifest has it.
fn cni_config(spec: &ClusterSpec) -> Value {
    let mut bridge = json!({
        "name": "kubernetes",
        "type": "bridge",
        "bridge": "kube-bridge",
        "isDefaultGateway": true,
        "hairpinMode": true,
        "ipam": {"type": "host-local"},
    });
    if let Some(mtu) = spec.network.mtu {
        bridge["mtu"] = json!(mtu.bytes());
    }
    json!({
        "name": "kubernetes",
        "cniVersion": "0.3.1",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": true, "snat": true}}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::Mtu;
    use crate::render::sample;

    #[test]
    fn an_mtu_of_the_inventory_is_not_overruled() {
        let mut spec = sample::cluster();
        assert_eq!(args(&spec), ["--bgp-graceful-restart=true"]);
        spec.network.mtu = Some(Mtu::new(1400).unwrap());
        assert_eq!(args(&spec).last().unwrap(), "--auto-mtu=false");
        assert_eq!(cni_config(&spec)["plugins"][0]["mtu"], 1400);
    }
}
