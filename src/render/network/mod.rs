//! The network between pods: manifests of our own, applied by the program.

mod flannel;
mod kube_router;
mod routed;

use serde_json::{Map, Value, json};

use super::yaml;
use crate::model::cluster::{ClusterSpec, NetworkKind};
use crate::model::image::{ImageRef, ImageTag};

/// Objects that are applied together, in this order.
///
/// Each object is as the API server itself would write what we say of it (quantities in their shortest form, no empty
/// lists or tables), so that it can be compared with the living one field by field.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestSet {
    /// `flannel`, `kube-router`.
    pub name: &'static str,
    pub objects: Vec<Value>,
}

impl ManifestSet {
    /// All objects as YAML documents.
    pub fn yaml(&self) -> String {
        yaml::documents(&self.objects)
    }
}

/// What the wanted pod network consists of; nothing where the user brings one.
pub fn manifests(spec: &ClusterSpec) -> Vec<ManifestSet> {
    match spec.network.kind {
        NetworkKind::Flannel => vec![flannel::manifests(spec), kube_router::firewall(spec)],
        NetworkKind::Routed => vec![routed::manifests(spec)],
        NetworkKind::None => Vec::new(),
    }
}

/// Where the pods of the wanted pod network are, one on each node: namespace and label selector of each DaemonSet.
pub fn pods(spec: &ClusterSpec) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let objects = manifests(spec).into_iter().flat_map(|set| set.objects);
    let daemons = objects.filter(|object| object["kind"] == "DaemonSet");
    let pods = daemons.map(|daemon| {
        let labels = daemon["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
        let selector: Vec<String> = labels.map(|(key, value)| format!("{key}={}", text(value))).collect();
        (text(&daemon["metadata"]["namespace"]), selector.join(","))
    });
    pods.collect()
}

/// The images of the wanted pod network, in the order of its manifests.
pub fn images(spec: &ClusterSpec) -> Vec<ImageRef> {
    let images = match spec.network.kind {
        NetworkKind::Flannel => vec![flannel::CNI_IMAGE.to_owned(), flannel::image(spec), kube_router::image(spec)],
        NetworkKind::Routed => vec![kube_router::image(spec)],
        NetworkKind::None => Vec::new(),
    };
    images.into_iter().map(|image| ImageRef::new(image).expect("a constant, and a tag")).collect()
}

/// An image in the inventory's version, or in ours. Another one is rolled as the DaemonSet says, a tenth of the nodes at a
/// time and none further while one of those is not well; it lies on every node by then.
fn image_of(repository: &str, own: &str, wanted: Option<&ImageTag>) -> String {
    format!("{repository}:{}", wanted.map_or(own, ImageTag::as_str))
}

/// Labels of every object of a set.
fn labels(name: &str) -> Value {
    json!({"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "kbootstrap"})
}

fn service_account(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace, "labels": labels(name)},
    })
}

fn cluster_role(name: &str, rules: Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels(name)},
        "rules": rules,
    })
}

fn cluster_role_binding(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": labels(name)},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    })
}

/// A ConfigMap whose values are JSON documents.
fn config_map(set: &str, name: &str, namespace: &str, data: &[(&str, Value)]) -> Value {
    let data: Map<String, Value> =
        data.iter().map(|(key, value)| ((*key).to_owned(), json!(value.to_string()))).collect();
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": labels(set)},
        "data": data,
    })
}

/// A DaemonSet of one pod on every node, on the host's network, that nothing evicts and no taint keeps away.
///
/// `config` is what its ConfigMaps hold: its digest is an annotation of the pods, so that they are rolled when it
/// changes. A tenth of the nodes at a time: a node's pods stay connected while its network pod is replaced.
fn daemon_set(name: &str, namespace: &str, config: &[(&str, Value)], mut pod: Value) -> Value {
    let defaults = json!({
        "hostNetwork": true,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-node-critical",
        "serviceAccountName": name,
        "tolerations": [{"operator": "Exists"}],
    });
    if let (Value::Object(pod), Value::Object(defaults)) = (&mut pod, defaults) {
        pod.extend(defaults);
    }
    let selector = json!({"app.kubernetes.io/name": name});
    let mut metadata = json!({"labels": labels(name)});
    if !config.is_empty() {
        metadata["annotations"] = json!({"kbootstrap.io/config": digest(config)});
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": namespace, "labels": labels(name)},
        "spec": {
            "selector": {"matchLabels": selector},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {"metadata": metadata, "spec": pod},
        },
    })
}

/// SHA-256 of the configuration, shortened: it only has to change when that does.
fn digest(config: &[(&str, Value)]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for (key, value) in config {
        hash.update(format!("{key}\0{value}\0"));
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Environment by which a pod on the host's network reaches the API: the endpoint, as kubelet does.
///
/// The service's address would work only once kube-proxy does, which on a new node is a wait of seconds, and would tie
/// the pods' network to it ever after.
fn api_environment(spec: &ClusterSpec) -> Vec<Value> {
    vec![
        json!({"name": "KUBERNETES_SERVICE_HOST", "value": spec.endpoint.name}),
        json!({"name": "KUBERNETES_SERVICE_PORT", "value": spec.endpoint.port.to_string()}),
    ]
}

/// An environment variable from a field of the pod.
fn field_environment(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}})
}

/// A folder or file of the node, of kind `DirectoryOrCreate` or `FileOrCreate`.
fn host_path(name: &str, path: &str, kind: &str) -> Value {
    json!({"name": name, "hostPath": {"path": path, "type": kind}})
}

fn mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path})
}

fn read_only_mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path, "readOnly": true})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    fn text(spec: &ClusterSpec) -> String {
        manifests(spec).iter().map(ManifestSet::yaml).collect()
    }

    #[test]
    fn flannel_with_policies() {
        insta::assert_snapshot!(text(&sample::cluster()));
    }

    #[test]
    fn routed_alone() {
        let mut spec = sample::cluster();
        spec.network.kind = NetworkKind::Routed;
        insta::assert_snapshot!(text(&spec));
    }

    #[test]
    fn an_external_endpoint_is_asked_by_its_own_name() {
        let mut spec = sample::cluster();
        spec.endpoint.name = crate::model::name::DnsName::new("k8s.example.org").unwrap();
        spec.endpoint.port = 6443;
        let text = text(&spec);
        assert!(text.contains("value: k8s.example.org") && text.contains("value: '6443'"));
    }

    #[test]
    fn pods_are_rolled_when_their_configuration_changes() {
        let annotation = |spec: &ClusterSpec| {
            manifests(spec)[0].objects.iter().find(|object| object["kind"] == "DaemonSet").unwrap()["spec"]["template"]
                ["metadata"]["annotations"]["kbootstrap.io/config"]
                .clone()
        };
        let mut other = sample::cluster();
        other.network.mtu = Some(crate::model::cluster::Mtu::new(1400).unwrap());
        assert_ne!(annotation(&sample::cluster()), annotation(&other));
    }

    /// The API server drops empty lists and tables, so a comparison would find them missing for ever.
    #[test]
    fn nothing_is_empty_or_null() {
        fn check(value: &Value, path: &str) {
            match value {
                Value::Null => panic!("{path} is null"),
                Value::Object(table) => {
                    assert!(!table.is_empty(), "{path} is empty");
                    table.iter().for_each(|(key, inner)| check(inner, &format!("{path}.{key}")));
                }
                Value::Array(list) => {
                    assert!(!list.is_empty(), "{path} is empty");
                    list.iter().for_each(|inner| check(inner, path));
                }
                _ => {}
            }
        }
        for kind in [NetworkKind::Flannel, NetworkKind::Routed] {
            for mut spec in [sample::cluster(), sample::dual_stack()] {
                spec.network.kind = kind;
                for set in manifests(&spec) {
                    set.objects.iter().for_each(|object| check(object, set.name));
                }
            }
        }
    }

    #[test]
    fn every_image_in_a_manifest_is_pulled_before() {
        for kind in [NetworkKind::Flannel, NetworkKind::Routed, NetworkKind::None] {
            let mut spec = sample::cluster();
            spec.network.kind = kind;
            spec.network.kube_router = Some(ImageTag::new("v2.2.1").unwrap());
            let text = text(&spec);
            let used: std::collections::BTreeSet<&str> = text
                .lines()
                .filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("image: "))
                .collect();
            let listed = images(&spec);
            assert_eq!(used, listed.iter().map(ImageRef::as_str).collect());
            assert_eq!(text.contains("/kube-router:v2.2.1"), kind != NetworkKind::None);
        }
    }
}
