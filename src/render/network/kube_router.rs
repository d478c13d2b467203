//! kube-router as firewall: what makes NetworkPolicies count beside flannel. `routed` uses the same pod with routing on.

use serde_json::{Value, json};

use super::{
    ManifestSet, api_environment, cluster_role, cluster_role_binding, daemon_set, field_environment, host_path,
    image_of, mount, read_only_mount, service_account,
};
use crate::model::cluster::ClusterSpec;
use crate::model::net::Family;

const REPOSITORY: &str = "docker.io/cloudnativelabs/kube-router";
const VERSION: &str = "v2.1.0";

pub const NAME: &str = "kube-router";
pub const NAMESPACE: &str = "kube-system";

/// Its image.
pub fn image(spec: &ClusterSpec) -> String {
    image_of(REPOSITORY, VERSION, spec.network.kube_router.as_ref())
}

/// All objects of the firewall alone.
pub fn firewall(spec: &ClusterSpec) -> ManifestSet {
    let mut objects = account();
    objects.push(daemon_set(NAME, NAMESPACE, &[], pod(spec, &Part::default())));
    ManifestSet { name: NAME, objects }
}

/// What routing adds to the pod.
#[derive(Default)]
pub struct Part {
    /// Whether kube-router routes between pods.
    pub routes: bool,
    pub args: Vec<String>,
    pub environment: Vec<Value>,
    pub init_containers: Vec<Value>,
    pub mounts: Vec<Value>,
    pub volumes: Vec<Value>,
}

/// Account and rights, as kube-router's own manifests have them.
pub fn account() -> Vec<Value> {
    vec![
        service_account(NAME, NAMESPACE),
        cluster_role(
            NAME,
            json!([
                {
                    "apiGroups": [""],
                    "resources": ["namespaces", "pods", "services", "nodes", "endpoints"],
                    "verbs": ["get", "list", "watch"],
                },
                {
                    "apiGroups": ["networking.k8s.io"],
                    "resources": ["networkpolicies"],
                    "verbs": ["get", "list", "watch"],
                },
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["get", "list", "watch"],
                },
                {"apiGroups": [""], "resources": ["services/status"], "verbs": ["update"]},
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
            ]),
        ),
        cluster_role_binding(NAME, NAMESPACE),
    ]
}

/// The pod, with or without routing.
pub fn pod(spec: &ClusterSpec, part: &Part) -> Value {
    let mut args = vec![
        format!("--run-router={}", part.routes),
        "--run-firewall=true".to_owned(),
        "--run-service-proxy=false".to_owned(),
    ];
    // The firewall must know services' addresses: traffic to them is judged before it is translated.
    args.extend(spec.service_cidrs.iter().map(|cidr| format!("--service-cluster-ip-range={cidr}")));
    if spec.pod_cidrs.of(Family::V4).is_none() {
        args.push("--enable-ipv4=false".to_owned());
    }
    if spec.pod_cidrs.of(Family::V6).is_some() {
        args.push("--enable-ipv6=true".to_owned());
    }
    args.extend(part.args.iter().cloned());

    let mut environment = vec![field_environment("NODE_NAME", "spec.nodeName")];
    environment.extend(api_environment(spec));
    environment.extend(part.environment.iter().cloned());
    let mut mounts = vec![read_only_mount("lib-modules", "/lib/modules"), mount("xtables-lock", "/run/xtables.lock")];
    mounts.extend(part.mounts.iter().cloned());
    let mut volumes = vec![
        json!({"name": "lib-modules", "hostPath": {"path": "/lib/modules"}}),
        host_path("xtables-lock", "/run/xtables.lock", "FileOrCreate"),
    ];
    volumes.extend(part.volumes.iter().cloned());

    let mut pod = json!({
        "containers": [{
            "name": NAME,
            "image": image(spec),
            "args": args,
            "env": environment,
            // Its own manifest probes every 3 s and ends the pod after three failures; a busy node fails that, and a
            // firewall that restarts helps nobody.
            "livenessProbe": {
                "httpGet": {"path": "/healthz", "port": 20244, "scheme": "HTTP"},
                "initialDelaySeconds": 10,
                "periodSeconds": 10,
                "timeoutSeconds": 5,
                "failureThreshold": 6,
            },
            "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}},
            // It loads kernel modules and writes sysctls.
            "securityContext": {"privileged": true},
            "volumeMounts": mounts,
        }],
        "volumes": volumes,
    });
    if !part.init_containers.is_empty() {
        pod["initContainers"] = json!(part.init_containers);
    }
    pod
}
