//! flannel: each node's pods get a part of the pod network, and packets between nodes travel in VXLAN, so that neither
//! subnets nor clouds that drop unknown addresses are in the way.

use serde_json::{Value, json};

use super::{
    ManifestSet, api_environment, cluster_role, cluster_role_binding, config_map, daemon_set, field_environment,
    host_path, image_of, mount, read_only_mount, service_account,
};
use crate::model::cluster::ClusterSpec;
use crate::model::net::Family;

const REPOSITORY: &str = "docker.io/flannel/flannel";
const VERSION: &str = "v0.25.7";
pub const CNI_IMAGE: &str = "docker.io/flannel/flannel-cni-plugin:v1.5.1-flannel2";

const NAME: &str = "kube-flannel";

/// flannel's own image.
pub fn image(spec: &ClusterSpec) -> String {
    image_of(REPOSITORY, VERSION, spec.network.flannel.as_ref())
}

/// What VXLAN puts before every packet: flannel subtracts it from the MTU that it is given.
const VXLAN_OVERHEAD: u16 = 50;

/// All objects, the namespace first.
pub fn manifests(spec: &ClusterSpec) -> ManifestSet {
    let config = [("cni-conf.json", cni_config()), ("net-conf.json", net_config(spec))];
    ManifestSet {
        name: "flannel",
        objects: vec![
            json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": NAME,
                    "labels": {
                        "app.kubernetes.io/name": NAME,
                        "app.kubernetes.io/managed-by": "kbootstrap",
                        "pod-security.kubernetes.io/enforce": "privileged",
                    },
                },
            }),
            service_account(NAME, NAME),
            cluster_role(
                NAME,
                json!([
                    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
                    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
                    {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
                ]),
            ),
            cluster_role_binding(NAME, NAME),
            config_map(NAME, "kube-flannel-cfg", NAME, &config),
            daemon_set(NAME, NAME, &config, pod(spec)),
        ],
    }
}

/// The chain of plugins that sets up a pod's link, as flannel's own manifest has it.
fn cni_config() -> Value {
    json!({
        "name": "cbr0",
        "cniVersion": "0.3.1",
        "plugins": [
            {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// What flanneld reads. Without an MTU it takes that of the node's link, less the overhead.
fn net_config(spec: &ClusterSpec) -> Value {
    let mut config = json!({"EnableNFTables": false, "Backend": {"Type": "vxlan"}});
    match spec.pod_cidrs.of(Family::V4) {
        Some(cidr) => config["Network"] = json!(cidr),
        None => config["EnableIPv4"] = json!(false),
    }
    if let Some(cidr) = spec.pod_cidrs.of(Family::V6) {
        config["EnableIPv6"] = json!(true);
        config["IPv6Network"] = json!(cidr);
    }
    if let Some(mtu) = spec.network.mtu {
        config["Backend"]["MTU"] = json!(mtu.bytes() + VXLAN_OVERHEAD);
    }
    config
}

fn pod(spec: &ClusterSpec) -> Value {
    let mut environment = vec![
        field_environment("POD_NAME", "metadata.name"),
        field_environment("POD_NAMESPACE", "metadata.namespace"),
        field_environment("NODE_IP", "status.hostIP"),
    ];
    environment.extend(api_environment(spec));
    json!({
        "initContainers": [
            {
                "name": "install-cni-plugin",
                "image": CNI_IMAGE,
                "command": ["cp"],
                "args": ["-f", "/flannel", "/opt/cni/bin/flannel"],
                "volumeMounts": [mount("cni-plugin", "/opt/cni/bin")],
            },
            {
                "name": "install-cni",
                "image": image(spec),
                "command": ["cp"],
                "args": ["-f", "/etc/kube-flannel/cni-conf.json", "/etc/cni/net.d/10-flannel.conflist"],
                "volumeMounts": [mount("cni", "/etc/cni/net.d"), read_only_mount("flannel-cfg", "/etc/kube-flannel")],
            },
        ],
        // No probe: flanneld's own /healthz says 200 as long as the process lives, and it ends where it can't go on.
        "containers": [{
            "name": "kube-flannel",
            "image": image(spec),
            "command": ["/opt/bin/flanneld"],
            // The link that has the node's address. flannel's own choice is that of the default route, which on many
            // virtual machines is the same NAT network on every node.
            "args": ["--ip-masq", "--kube-subnet-mgr", "--iface=$(NODE_IP)"],
            "env": environment,
            "resources": {"requests": {"cpu": "100m", "memory": "50Mi"}},
            "securityContext": {"privileged": false, "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
            "volumeMounts": [
                mount("run", "/run/flannel"),
                read_only_mount("flannel-cfg", "/etc/kube-flannel"),
                mount("xtables-lock", "/run/xtables.lock"),
            ],
        }],
        "volumes": [
            host_path("run", "/run/flannel", "DirectoryOrCreate"),
            host_path("cni-plugin", "/opt/cni/bin", "DirectoryOrCreate"),
            host_path("cni", "/etc/cni/net.d", "DirectoryOrCreate"),
            host_path("xtables-lock", "/run/xtables.lock", "FileOrCreate"),
            {"name": "flannel-cfg", "configMap": {"name": "kube-flannel-cfg"}},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::Mtu;
    use crate::render::sample;

    #[test]
    fn net_config_follows_the_families_and_the_mtu() {
        assert_eq!(
            net_config(&sample::cluster()),
            json!({"EnableNFTables": false, "Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}})
        );
        let mut spec = sample::dual_stack();
        spec.network.mtu = Some(Mtu::new(1400).unwrap());
        assert_eq!(
            net_config(&spec),
            json!({
                "EnableNFTables": false,
                "Network": "10.244.0.0/16",
                "EnableIPv6": true,
                "IPv6Network": "fd00:10:244::/56",
                "Backend": {"Type": "vxlan", "MTU": 1450},
            })
        );
    }
}
