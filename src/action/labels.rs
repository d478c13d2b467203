//! Labels and taints of nodes: ours, and nobody else's.

use ::kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Map, Value, json};

use super::ActionError;
use super::session::Session;
use crate::kube::{FIELD_MANAGER, KubeError, view};
use crate::model::live::{OWNED_LABELS, OWNED_TAINTS, ObjectRef};
use crate::model::name::NodeName;
use crate::model::op::NodeTaint;

/// Makes a node's labels and taints what they shall be, as [`ClusterOp::PatchNode`](crate::model::op::ClusterOp) says.
pub(super) async fn patch(
    session: &Session,
    node: &NodeName,
    labels: &[(String, Option<String>)],
    taints: Option<&[NodeTaint]>,
) -> Result<Vec<String>, ActionError> {
    let what = format!("label node {node}");
    let name = &ObjectRef { api_version: "v1".into(), kind: "Node".into(), namespace: None, name: node.to_string() };
    let patched = session.call(|client| async move {
        let api: Api<DynamicObject> = view::dynamic(&client, name);
        let failed = |error| KubeError::new(name.to_string(), error);
        let found = api.get(node.as_str()).await.map_err(failed)?;
        let found = serde_json::to_value(found).expect("JSON it was");
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let patch = Patch::Merge(merge_patch(&found, labels, taints));
        api.patch(node.as_str(), &params, &patch).await.map(drop).map_err(failed)
    });
    patched.await.map_err(ActionError::of(what))?;
    Ok(Vec::new())
}

/// The merge patch. A list of taints can only be replaced whole, so the patch holds the resource version that it was
/// made from: whoever changed the node meanwhile makes it fail, and it is made anew.
fn merge_patch(node: &Value, labels: &[(String, Option<String>)], taints: Option<&[NodeTaint]>) -> Value {
    let text = |pointer: &str| node.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let keys = labels.iter().filter(|(_, value)| value.is_some()).map(|(key, _)| key.as_str());
    let list = |list: Vec<&str>| if list.is_empty() { Value::Null } else { Value::from(list.join(",")) };
    let mut annotations = Map::from_iter([(OWNED_LABELS.into(), list(keys.collect()))]);
    let labels: Map<String, Value> = labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let mut patch = json!({"metadata": {"labels": labels, "resourceVersion": text("/metadata/resourceVersion")}});
    if let Some(wanted) = taints {
        let before = text(&format!("/metadata/annotations/{}", OWNED_TAINTS.replace('/', "~1")));
        let ours: Vec<String> = wanted.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect();
        let there = node.pointer("/spec/taints").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        // Foreign taints stay as they are, with fields that this program does not know.
        let foreign = there.iter().filter(|taint| {
            let part = |key: &str| taint.get(key).and_then(Value::as_str).unwrap_or_default();
            let name = format!("{}:{}", part("key"), part("effect"));
            !before.split(',').any(|owned| owned == name) && !ours.contains(&name)
        });
        let all: Vec<Value> = foreign.cloned().chain(wanted.iter().map(|taint| json!(taint))).collect();
        patch["spec"] = json!({"taints": if all.is_empty() { Value::Null } else { Value::from(all) }});
        annotations.insert(OWNED_TAINTS.into(), list(ours.iter().map(String::as_str).collect()));
    }
    patch["metadata"]["annotations"] = Value::Object(annotations);
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: Option<&str>) -> NodeTaint {
        NodeTaint { key: key.into(), value: value.map(String::from), effect: "NoSchedule".into() }
    }

    #[test]
    fn only_our_labels_are_touched_and_remembered() {
        let node = json!({"metadata": {"resourceVersion": "7", "labels": {"foreign": "x"}}});
        let labels = [("a/b".to_string(), Some("1".to_string())), ("c".to_string(), None)];
        assert_eq!(
            merge_patch(&node, &labels, None),
            json!({"metadata": {
                "resourceVersion": "7",
                "labels": {"a/b": "1", "c": null},
                "annotations": {"kbootstrap/labels": "a/b"},
            }})
        );
    }

    #[test]
    fn foreign_taints_stay_as_they_are_and_ours_come_and_go() {
        let foreign = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "t"});
        let node = json!({
            "metadata": {"resourceVersion": "7", "annotations": {"kbootstrap/taints": "old:NoSchedule,a:NoSchedule"}},
            "spec": {"taints": [
                foreign,
                {"key": "old", "effect": "NoSchedule"},
                {"key": "a", "value": "1", "effect": "NoSchedule"},
            ]},
        });
        let patch = merge_patch(&node, &[], Some(&[taint("a", Some("2")), taint("b", None)]));
        assert_eq!(
            patch["spec"]["taints"],
            json!([
                foreign,
                {"key": "a", "value": "2", "effect": "NoSchedule"},
                {"key": "b", "effect": "NoSchedule"},
            ])
        );
        assert_eq!(patch["metadata"]["annotations"]["kbootstrap/taints"], "a:NoSchedule,b:NoSchedule");
        assert_eq!(patch["metadata"]["annotations"]["kbootstrap/labels"], Value::Null);

        let patch = merge_patch(&json!({"spec": {"taints": []}}), &[], Some(&[]));
        assert_eq!(patch["spec"]["taints"], Value::Null);
    }
}
