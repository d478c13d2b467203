//! kubeadm's configuration files: one for `init`, one for `join`, and the kubeconfig by which a join finds the cluster.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{extra_args, merge::merge, taints, yaml};
use crate::model::cluster::{API_SERVER_PORT, ClusterSpec, EndpointKind, NodeMask};
use crate::model::encryption;
use crate::model::etcd::EtcdLayout;
use crate::model::net::{Family, HasFamily};
use crate::model::node::NodeSpec;
use crate::model::op::NodeTaint;
use crate::model::version::KubeadmApi;

/// Stands where the bootstrap token belongs; replaced on the node, so that no plan holds a token.
pub const TOKEN: &str = "@TOKEN@";

/// Tells tokens of ours from others: the `description` in their Secrets.
pub const TOKEN_DESCRIPTION: &str = "kbootstrap, until its joins are done";

/// How long the token of a run lives, should it never come to removing it.
const TOKEN_TTL: &str = "15m0s";

/// Where a join's discovery file is expected.
pub const DISCOVERY_PATH: &str = "/run/kbootstrap/discovery.conf";

/// How long an API server goes on answering once it was told to end, already not ready.
///
/// Long enough for each proxy to see it (checks each second, two must fail) and for kube-proxy to take its endpoint
/// away; short enough to leave 20 of the 30 seconds that kubelet gives a static pod to requests still under way.
const SHUTDOWN_DELAY: &str = "10s";

/// What only the node can tell, from its facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// systemd-resolved serves `/etc/resolv.conf` with its stub at 127.0.0.53.
    pub resolved_stub: bool,
}

/// The file of `kubeadm init`: four documents, of which all later nodes get the last three through the cluster.
pub fn init(spec: &ClusterSpec, node: &NodeSpec, facts: NodeFacts) -> String {
    let api = spec.kubernetes().kubeadm_api();
    let mut init = json!({
        "apiVersion": api.as_str(),
        "kind": "InitConfiguration",
        "bootstrapTokens": [{
            "token": TOKEN,
            "description": TOKEN_DESCRIPTION,
            "ttl": TOKEN_TTL,
            // Not `signing`: joins find the cluster by a file that comes over SSH, so nothing need vouch for
            // `cluster-info`.
            "usages": ["authentication"],
            "groups": ["system:bootstrappers:kubeadm:default-node-token"],
        }],
        "localAPIEndpoint": local_api(node),
        "nodeRegistration": registration(spec, node, facts),
    });
    if api == KubeadmApi::V1Beta4 {
        init["timeouts"] = json!({"controlPlaneComponentHealthCheck": "4m0s"});
    }
    extra_args::convert(&mut init, api);
    yaml::documents(&[init, cluster(spec), kubelet(spec), kube_proxy(spec)])
}

/// The file of `kubeadm join`, of a control plane or of a worker.
///
/// The cluster is found by the file at [`DISCOVERY_PATH`]: with a token, kubeadm asks every five seconds whether
/// somebody has signed `cluster-info`, which right after init takes the controller manager ten and more.
pub fn join(spec: &ClusterSpec, node: &NodeSpec, facts: NodeFacts) -> String {
    let api = spec.kubernetes().kubeadm_api();
    let mut join = json!({
        "apiVersion": api.as_str(),
        "kind": "JoinConfiguration",
        "discovery": {"file": {"kubeConfigPath": DISCOVERY_PATH}, "tlsBootstrapToken": TOKEN},
        "nodeRegistration": registration(spec, node, facts),
    });
    if node.is_control_plane() {
        join["controlPlane"] = json!({"localAPIEndpoint": local_api(node)});
    }
    extra_args::convert(&mut join, api);
    yaml::documents(&[join])
}

/// The kubeconfig by which a join finds the cluster; `ca_path` is a file with the authority's certificate, which
/// kubeadm embeds.
///
/// Its user has the token too: without one kubeadm reads `cluster-info` as nobody, and tries in vain for five minutes
/// where API servers refuse anonymous requests.
pub fn discovery(spec: &ClusterSpec, ca_path: &str) -> String {
    yaml::documents(&[json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "kubernetes",
            "cluster": {"server": format!("https://{}", spec.endpoint), "certificate-authority": ca_path},
        }],
        "users": [{"name": "bootstrap", "user": {"token": TOKEN}}],
        "contexts": [{"name": "bootstrap", "context": {"cluster": "kubernetes", "user": "bootstrap"}}],
        "current-context": "bootstrap",
    })])
}

/// `ClusterConfiguration`, the user's table merged in.
pub fn cluster(spec: &ClusterSpec) -> Value {
    let api = spec.kubernetes().kubeadm_api();
    let etcd = spec.etcd;
    let mut config = json!({
        "apiVersion": api.as_str(),
        "kind": "ClusterConfiguration",
        "clusterName": spec.name,
        "kubernetesVersion": spec.kubernetes().tag(),
        "controlPlaneEndpoint": spec.endpoint.to_string(),
        "imageRepository": spec.image_repository,
        "certificatesDir": "/etc/kubernetes/pki",
        "networking": {
            "podSubnet": spec.pod_cidrs.to_string(),
            "serviceSubnet": spec.service_cidrs.to_string(),
            "dnsDomain": spec.dns_domain,
        },
        "apiServer": {"certSANs": cert_sans(spec)},
    });
    if etcd == EtcdLayout::Stacked {
        config["etcd"] = json!({"local": {"dataDir": etcd.data_folder()}});
    }
    if api == KubeadmApi::V1Beta3 {
        config["apiServer"]["timeoutForControlPlane"] = json!("4m0s");
    }
    merge(&mut config, &spec.overrides.cluster);
    if etcd == EtcdLayout::Service {
        // What a user says of it there is for our unit; kubeadm refuses both at once.
        config["etcd"] = external_etcd(spec);
    }
    let mut api_server = vec![("shutdown-delay-duration", SHUTDOWN_DELAY.to_owned())];
    if spec.encryption.is_some() {
        // No volume: the file lies among the authorities, a folder that API servers see already.
        api_server
            .extend([(encryption::FLAG, encryption::PATH.to_owned()), (encryption::RELOAD_FLAG, "true".to_owned())]);
    }
    add_args(&mut config, "apiServer", &api_server);
    add_args(&mut config, "controllerManager", &controller_manager_args(spec));
    extra_args::convert(&mut config, api);
    config
}

/// etcd that kubeadm does not run. Each API server asks the member on its own machine, as it does where etcd is a static pod:
/// so members come and go without any API server having to restart for it.
fn external_etcd(spec: &ClusterSpec) -> Value {
    let first = spec.control_planes().next().expect("an inventory has a control plane");
    json!({"external": {
        "endpoints": [format!("https://{}:{}", super::static_pods::loopback(first), EtcdLayout::CLIENT_PORT)],
        "caFile": "/etc/kubernetes/pki/etcd/ca.crt",
        "certFile": "/etc/kubernetes/pki/apiserver-etcd-client.crt",
        "keyFile": "/etc/kubernetes/pki/apiserver-etcd-client.key",
    }})
}

/// `KubeletConfiguration`, the user's table merged in. kubeadm adds the rest of what it needs.
pub fn kubelet(spec: &ClusterSpec) -> Value {
    component(
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "cgroupDriver": "systemd",
            "rotateCertificates": true,
        }),
        &spec.overrides.kubelet,
    )
}

/// `KubeProxyConfiguration`, the user's table merged in.
pub fn kube_proxy(spec: &ClusterSpec) -> Value {
    component(
        json!({"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}),
        &spec.overrides.kube_proxy,
    )
}

fn component(mut config: Value, theirs: &Map<String, Value>) -> Value {
    merge(&mut config, theirs);
    config
}

/// Adds flags to a component, below what the user gave.
fn add_args(config: &mut Value, component: &str, ours: &[(&str, String)]) {
    let args = extra_args::add_below(config[component].get("extraArgs"), ours);
    config[component]["extraArgs"] = args;
}

/// How fast the controller manager may ask, sustained and at once.
///
/// When it first starts, it makes a service account and a token for each of its 38 controllers, some 175 requests
/// before the first of them works; its default of 20 a second spreads them over seconds in which no kubelet's
/// certificate is signed and no pod of a DaemonSet made. Measured with 1.30.14, from lease to signing, four runs each:
/// 13.3 to 14.9 s with the default, 10.5 to 11.1 s with this. What remains is in its code: 1.30 waits 10 s before it
/// first lists nodes (`listNodes` in `nodeipam/ipam/cidr_allocator.go`; 1.31 doesn't), and other controllers wait with
/// it. API servers guard themselves by priority and fairness, so the limit protects nobody; Kubernetes' own
/// scalability tests run with 100, too.
const CONTROLLER_MANAGER_RATE: [(&str, &str); 2] = [("kube-api-qps", "100"), ("kube-api-burst", "200")];

/// Flags of the controller manager: how fast it may ask, and the node mask where it is not the default, by the names
/// that one family or two demand.
fn controller_manager_args(spec: &ClusterSpec) -> Vec<(&'static str, String)> {
    let mut args: Vec<(&str, String)> =
        CONTROLLER_MANAGER_RATE.iter().map(|(flag, value)| (*flag, (*value).to_owned())).collect();
    if spec.node_mask != NodeMask::default() {
        args.extend(spec.pod_cidrs.families().into_iter().map(|family| {
            let flag = match (spec.pod_cidrs.is_dual(), family) {
                (false, _) => "node-cidr-mask-size",
                (true, Family::V4) => "node-cidr-mask-size-ipv4",
                (true, Family::V6) => "node-cidr-mask-size-ipv6",
            };
            (flag, spec.node_mask.of(family).to_string())
        }));
    }
    args
}

/// Names and addresses of API servers' certificates besides those that kubeadm puts in itself (the service's, the
/// node's own, the endpoint's), each once: the loopback, behind which local proxies and port forwards stand, and every
/// control plane by name and by all addresses, so that any certificate fits whichever of them was asked.
fn cert_sans(spec: &ClusterSpec) -> Vec<String> {
    let mut sans = vec!["127.0.0.1".to_owned(), "localhost".to_owned(), spec.endpoint.name.to_string()];
    if spec.service_cidrs.iter().any(|cidr| cidr.family() == Family::V6) {
        sans.push("::1".to_owned());
    }
    for node in spec.control_planes() {
        sans.push(node.name.to_string());
        sans.extend(node.node_ips.iter().map(ToString::to_string));
        sans.push(node.address.to_string());
    }
    sans.extend(spec.extra_sans.iter().map(ToString::to_string));
    let mut seen = std::collections::BTreeSet::new();
    sans.retain(|san| seen.insert(san.clone()));
    sans
}

fn local_api(node: &NodeSpec) -> Value {
    json!({"advertiseAddress": node.node_ip().to_string(), "bindPort": API_SERVER_PORT})
}

/// kubelet's flags as kubeadm writes them into `kubeadm-flags.env`, without the dashes.
pub fn kubelet_flags(spec: &ClusterSpec, node: &NodeSpec, facts: NodeFacts) -> BTreeMap<String, String> {
    let own = own_kubelet_flags(spec, node, facts).into_iter();
    let kubeadms = [
        ("container-runtime-endpoint", spec.runtime.kind.cri_socket().to_string()),
        ("pod-infra-container-image", spec.release.pause_image(&spec.image_repository).to_string()),
    ];
    own.chain(kubeadms).map(|(flag, value)| (flag.to_owned(), value)).collect()
}

fn own_kubelet_flags(spec: &ClusterSpec, node: &NodeSpec, facts: NodeFacts) -> Vec<(&'static str, String)> {
    // Always given: kubelet's own choice is the address of the default route, which on many virtual machines is the
    // same NAT address on every node.
    let ips: Vec<String> = node.node_ips.iter().map(ToString::to_string).collect();
    let mut args = vec![("node-ip", ips.join(","))];
    if spec.kubernetes().resolv_conf_is_cluster_wide() {
        args.push(("resolv-conf", resolv_conf(facts).to_owned()));
    }
    args
}

/// How a node makes itself known.
fn registration(spec: &ClusterSpec, node: &NodeSpec, facts: NodeFacts) -> Value {
    let args = own_kubelet_flags(spec, node, facts);
    json!({
        "name": node.name,
        "criSocket": spec.runtime.kind.cri_socket(),
        "imagePullPolicy": "IfNotPresent",
        // Always a list: without one kubeadm taints a control plane even where there is no other node.
        "taints": taints::of(spec, node).iter().map(NodeTaint::clone).collect::<Vec<_>>(),
        "kubeletExtraArgs": extra_args::add_below(None, &args),
    })
}

/// The servers that pods on this node ask: never the stub of systemd-resolved, which CoreDNS would ask for itself.
const fn resolv_conf(facts: NodeFacts) -> &'static str {
    if facts.resolved_stub { "/run/systemd/resolve/resolv.conf" } else { "/etc/resolv.conf" }
}

/// Where the authority's certificate lies on every node before it joins.
pub fn ca_path(spec: &ClusterSpec) -> &'static str {
    match spec.endpoint.kind {
        EndpointKind::LocalProxy => super::endpoint::CA_PATH,
        EndpointKind::External => "/run/kbootstrap/discovery-ca.crt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    const STUB: NodeFacts = NodeFacts { resolved_stub: true };
    const PLAIN: NodeFacts = NodeFacts { resolved_stub: false };

    #[test]
    fn init_of_1_30() {
        let spec = sample::cluster();
        insta::assert_snapshot!(init(&spec, &spec.nodes[0], STUB));
    }

    #[test]
    fn init_of_1_31() {
        let spec = sample::of_version("1.31.13");
        insta::assert_snapshot!(init(&spec, &spec.nodes[0], PLAIN));
    }

    #[test]
    fn init_with_two_families() {
        let mut spec = sample::dual_stack();
        spec.node_mask = NodeMask { v4: 25, v6: 64 };
        insta::assert_snapshot!(init(&spec, &spec.nodes[0], PLAIN));
    }

    #[test]
    fn joins() {
        let spec = sample::cluster();
        insta::assert_snapshot!("join_control_plane", join(&spec, &spec.nodes[1], STUB));
        insta::assert_snapshot!("join_worker", join(&spec, &spec.nodes[4], PLAIN));
        insta::assert_snapshot!("discovery", discovery(&spec, ca_path(&spec)));
    }

    #[test]
    fn overrides_come_last_in_every_document() {
        let mut spec = sample::cluster();
        let table = |value: Value| value.as_object().unwrap().clone();
        spec.overrides.cluster = table(json!({
            "apiServer": {"extraArgs": {"v": 4, "shutdown-delay-duration": "20s"}},
            "controllerManager": {"extraArgs": [{"name": "v", "value": "2"}]},
        }));
        spec.overrides.kubelet = table(json!({"maxPods": 200}));
        spec.overrides.kube_proxy = table(json!({"conntrack": {"maxPerCore": 0, "min": 0}}));
        let text = init(&spec, &spec.nodes[0], PLAIN);
        for line in ["    shutdown-delay-duration: 20s", "    v: '4'", "    v: '2'", "maxPods: 200", "  maxPerCore: 0"]
        {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn one_family_has_one_mask() {
        let mut spec = sample::cluster();
        spec.node_mask.v4 = 26;
        assert_eq!(
            cluster(&spec)["controllerManager"]["extraArgs"],
            json!({"kube-api-burst": "200", "kube-api-qps": "100", "node-cidr-mask-size": "26"})
        );
    }

    #[test]
    fn a_single_node_takes_pods() {
        let mut spec = sample::cluster();
        spec.nodes.truncate(1);
        assert!(init(&spec, &spec.nodes[0], PLAIN).contains("taints: []"));
    }
}
