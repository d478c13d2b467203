//! Objects of the API with only the fields that are needed, so that a thousand nodes take little memory and time.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ::kube::Resource;
use ::kube::core::{ClusterResourceScope, NamespaceResourceScope, ObjectMeta};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::model::drain::{CORDONED, NodePod};
use crate::model::live::{LiveNode, OWNED_LABELS, OWNED_TAINTS, PodSeen, Rollout};
use crate::model::op::NodeTaint;

macro_rules! resource {
    ($type:ident, $scope:ident, $group:literal, $plural:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                stringify!($type).into()
            }
            fn group((): &()) -> Cow<'_, str> {
                $group.into()
            }
            fn version((): &()) -> Cow<'_, str> {
                "v1".into()
            }
            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(Node, ClusterResourceScope, "", "nodes");
resource!(Pod, NamespaceResourceScope, "", "pods");
resource!(DaemonSet, NamespaceResourceScope, "apps", "daemonsets");
resource!(PersistentVolume, ClusterResourceScope, "", "persistentvolumes");
resource!(Deployment, NamespaceResourceScope, "apps", "deployments");

/// A condition of a node or pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    message: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Node {
    metadata: ObjectMeta,
    spec: NodeSpec,
    status: NodeStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeSpec {
    taints: Vec<NodeTaint>,
    unschedulable: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeStatus {
    conditions: Vec<Condition>,
    addresses: Vec<Address>,
    node_info: NodeInfo,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Address {
    r#type: String,
    address: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeInfo {
    kubelet_version: String,
    #[serde(rename = "machineID")]
    machine_id: String,
}

impl Node {
    pub(crate) fn live(self) -> LiveNode {
        let condition = self.status.conditions.into_iter().find(|condition| condition.r#type == "Ready");
        let ready = condition.as_ref().is_some_and(|condition| condition.status == "True");
        let words = || condition.and_then(|condition| condition.message).filter(|text| !text.is_empty());
        let annotations = self.metadata.annotations.unwrap_or_default();
        let owned = |key: &str| -> Vec<String> {
            let list = annotations.get(key).map_or("", String::as_str);
            list.split(',').filter(|key| !key.is_empty()).map(String::from).collect()
        };
        LiveNode {
            ready,
            why: if ready { None } else { Some(words().unwrap_or_else(|| String::from("its kubelet says nothing"))) },
            kubelet: self.status.node_info.kubelet_version,
            machine_id: self.status.node_info.machine_id,
            internal_ips: (self.status.addresses.into_iter())
                .filter(|address| address.r#type == "InternalIP")
                .map(|address| address.address)
                .collect(),
            owned_labels: owned(OWNED_LABELS),
            owned_taints: owned(OWNED_TAINTS),
            labels: self.metadata.labels.unwrap_or_default(),
            taints: self.spec.taints,
            unschedulable: self.spec.unschedulable,
            cordoned: annotations.contains_key(CORDONED),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Pod {
    pub(crate) metadata: ObjectMeta,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodSpec {
    node_name: Option<String>,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Volume {
    name: String,
    empty_dir: Option<IgnoredAny>,
    persistent_volume_claim: Option<Claim>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Claim {
    claim_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    image: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodStatus {
    phase: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    state: ContainerState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    waiting: Option<Reason>,
    terminated: Option<Reason>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Reason {
    reason: String,
    message: Option<String>,
    exit_code: i32,
}

impl Pod {
    pub(crate) fn name(&self) -> String {
        self.metadata.name.clone().unwrap_or_default()
    }

    /// The value of a label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether an object of this kind made it: `DaemonSet`, `Node` (a static pod).
    pub(crate) fn is_of(&self, kind: &str) -> bool {
        self.metadata.owner_references.iter().flatten().any(|owner| owner.kind == kind)
    }

    /// `Pending`, `Running`, `Succeeded`, `Failed`.
    pub(crate) fn phase(&self) -> &str {
        &self.status.phase
    }

    /// Containers that ended, with exit status and last words.
    pub(crate) fn ended(&self) -> impl Iterator<Item = (&str, i32, &str)> {
        self.status.container_statuses.iter().filter_map(|container| {
            let end = container.state.terminated.as_ref()?;
            Some((container.name.as_str(), end.exit_code, end.message.as_deref().unwrap_or(&end.reason).trim()))
        })
    }

    /// The pod as a drain needs it. `volumes` are claims, as `namespace/name`, whose data lies on one node.
    pub(crate) fn on_node(&self, local_claims: &BTreeMap<String, String>) -> NodePod {
        let namespace = self.metadata.namespace.clone().unwrap_or_default();
        let controller = self.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        let local = |volume: &Volume| match (&volume.empty_dir, &volume.persistent_volume_claim) {
            (Some(_), _) => Some(format!("emptyDir {}", volume.name)),
            (None, Some(claim)) => {
                let local = local_claims.get(&format!("{namespace}/{}", claim.claim_name))?;
                Some(format!("local volume {local}"))
            }
            (None, None) => None,
        };
        NodePod {
            name: self.name(),
            uid: self.metadata.uid.clone().unwrap_or_default(),
            controller: controller.map(|owner| owner.kind.clone()),
            mirror: self.metadata.annotations.iter().flatten().any(|(key, _)| key == "kubernetes.io/config.mirror"),
            ended: matches!(self.phase(), "Succeeded" | "Failed"),
            going: self.metadata.deletion_timestamp.is_some(),
            local: self.spec.volumes.iter().filter_map(local).collect(),
            held_by: Vec::new(),
            namespace,
        }
    }

    pub(crate) fn seen(&self) -> PodSeen {
        let condition = |name: &str| self.status.conditions.iter().find(|condition| condition.r#type == name);
        let going = self.metadata.deletion_timestamp.is_some();
        let ready = !going && condition("Ready").is_some_and(|condition| condition.status == "True");
        let waiting = self.status.container_statuses.iter().find_map(|container| {
            let state = container.state.waiting.as_ref().or(container.state.terminated.as_ref())?;
            Some(match state.message.as_deref().map(str::trim) {
                Some(message) if !message.is_empty() => format!("{}: {message}", state.reason),
                _ => state.reason.clone(),
            })
        });
        let unscheduled = || {
            let scheduled = condition("PodScheduled").filter(|condition| condition.status == "False")?;
            scheduled.message.clone()
        };
        PodSeen {
            node: self.spec.node_name.clone(),
            image: self.spec.containers.first().map(|container| container.image.clone()).unwrap_or_default(),
            ready,
            going,
            why: (!ready).then(|| {
                let going = going.then(|| String::from("it is being deleted"));
                going.or(waiting).or_else(unscheduled).unwrap_or_else(|| String::from("it is not ready yet"))
            }),
            created: self.metadata.creation_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default(),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DaemonSet {
    pub(crate) metadata: ObjectMeta,
    status: DaemonSetStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DaemonSetStatus {
    observed_generation: i64,
    desired_number_scheduled: u32,
    updated_number_scheduled: u32,
    number_available: u32,
}

impl DaemonSet {
    /// `namespace/name`.
    pub(crate) fn key(&self) -> String {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{}/{}", part(&self.metadata.namespace), part(&self.metadata.name))
    }

    /// Whether somebody of this name owns a field of it.
    pub(crate) fn is_managed_by(&self, manager: &str) -> bool {
        let mut owners = self.metadata.managed_fields.iter().flatten();
        owners.any(|owner| owner.manager.as_deref() == Some(manager))
    }

    pub(crate) fn rollout(&self) -> Rollout {
        Rollout {
            observed: self.status.observed_generation >= self.metadata.generation.unwrap_or(0),
            desired: self.status.desired_number_scheduled,
            updated: self.status.updated_number_scheduled,
            available: self.status.number_available,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Deployment {
    metadata: ObjectMeta,
    spec: DeploymentSpec,
    status: DeploymentStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct DeploymentSpec {
    replicas: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DeploymentStatus {
    observed_generation: i64,
    updated_replicas: u32,
    available_replicas: u32,
}

impl Deployment {
    pub(crate) fn rollout(&self) -> Rollout {
        Rollout {
            observed: self.status.observed_generation >= self.metadata.generation.unwrap_or(0),
            desired: self.spec.replicas.unwrap_or(1),
            updated: self.status.updated_replicas,
            available: self.status.available_replicas,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PersistentVolume {
    metadata: ObjectMeta,
    spec: VolumeSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct VolumeSpec {
    local: Option<IgnoredAny>,
    host_path: Option<IgnoredAny>,
    claim_ref: Option<ClaimRef>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ClaimRef {
    namespace: String,
    name: String,
}

impl PersistentVolume {
    /// The claim that it serves, as `namespace/name`, and its own name, where its data lies on one node.
    pub(crate) fn local_claim(self) -> Option<(String, String)> {
        self.spec.local.or(self.spec.host_path)?;
        let claim = self.spec.claim_ref?;
        Some((format!("{}/{}", claim.namespace, claim.name), self.metadata.name?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_says_what_matters() {
        let node = |ready: &str| -> LiveNode {
            let node: Node = serde_json::from_value(json!({
                "metadata": {
                    "name": "cp1",
                    "labels": {"a": "b"},
                    "annotations": {"kbootstrap/labels": "a,c/d", "kbootstrap/taints": ""},
                },
                "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}], "podCIDR": "10.244.0.0/24"},
                "status": {
                    "conditions": [
                        {"type": "MemoryPressure", "status": "False"},
                        {"type": "Ready", "status": ready, "message": "cni plugin not initialized"},
                    ],
                    "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "cp1"}],
                    "nodeInfo": {"kubeletVersion": "v1.30.14", "machineID": "abc", "osImage": "Debian"},
                    "images": [{"names": ["x"]}],
                },
            }))
            .unwrap();
            node.live()
        };
        let (ready, not) = (node("True"), node("False"));
        assert_eq!((ready.ready, ready.why), (true, None));
        assert_eq!((not.ready, not.why.as_deref()), (false, Some("cni plugin not initialized")));
        assert_eq!((ready.kubelet.as_str(), ready.machine_id.as_str()), ("v1.30.14", "abc"));
        assert_eq!(ready.internal_ips, ["10.0.0.1"]);
        assert_eq!(ready.owned_labels, ["a", "c/d"]);
        assert!(ready.owned_taints.is_empty() && !ready.unschedulable);
        assert_eq!(ready.taints[0].key, "k");
    }

    #[test]
    fn a_pod_says_why_it_is_not_ready() {
        let pod = |status: serde_json::Value| -> PodSeen {
            serde_json::from_value::<Pod>(json!({
                "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"containers": [{"name": "c", "image": "x:1"}]},
                "status": status,
            }))
            .unwrap()
            .seen()
        };
        assert_eq!(pod(json!({"conditions": [{"type": "Ready", "status": "True"}]})).why, None);
        let waiting =
            json!({"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]});
        assert_eq!(pod(waiting).why.as_deref(), Some("ImagePullBackOff"));
        let pending = json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]});
        assert_eq!(pod(pending).why.as_deref(), Some("0/1 nodes"));
        assert_eq!(pod(json!({})).created, "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_rollout_of_an_older_generation_is_not_observed() {
        let set = |observed: i64| -> Rollout {
            serde_json::from_value::<DaemonSet>(json!({
                "metadata": {"generation": 2},
                "status": {"observedGeneration": observed, "desiredNumberScheduled": 1, "numberAvailable": 1,
                    "updatedNumberScheduled": 1, "currentNumberScheduled": 1},
            }))
            .unwrap()
            .rollout()
        };
        assert!(set(2).is_done() && !set(1).is_done());
    }
}
