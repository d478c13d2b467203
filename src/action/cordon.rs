//! Closing a node to new pods, and opening it again: only what this program closed, it opens.

use ::kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::ActionError;
use super::session::Session;
use crate::kube::{FIELD_MANAGER, KubeError, view};
use crate::model::drain::CORDONED;
use crate::model::live::ObjectRef;
use crate::model::name::NodeName;

/// Lets no new pods onto a node.
pub(super) async fn cordon(session: &Session, node: &NodeName) -> Result<Vec<String>, ActionError> {
    patch(session, node, true).await.map_err(ActionError::of(format!("cordon node {node}")))?;
    Ok(Vec::new())
}

/// Lets pods onto a node again, if this program closed it. A node that is gone needs nothing.
pub(super) async fn uncordon(session: &Session, node: &NodeName) -> Result<Vec<String>, ActionError> {
    match patch(session, node, false).await {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        outcome => outcome.map(|()| Vec::new()).map_err(ActionError::of(format!("uncordon node {node}"))),
    }
}

async fn patch(session: &Session, node: &NodeName, close: bool) -> Result<(), KubeError> {
    let name = &ObjectRef { api_version: "v1".into(), kind: "Node".into(), namespace: None, name: node.to_string() };
    let patched = session.call(|client| async move {
        let api: Api<DynamicObject> = view::dynamic(&client, name);
        let failed = |error| KubeError::new(name.to_string(), error);
        let found = serde_json::to_value(api.get(node.as_str()).await.map_err(failed)?).expect("JSON it was");
        let Some(patch) = merge_patch(&found, close) else { return Ok(()) };
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        api.patch(node.as_str(), &params, &Patch::Merge(patch)).await.map(drop).map_err(failed)
    });
    patched.await
}

/// The merge patch, unless there is nothing to be done. It holds the resource version that it was made from: who closed
/// the node must be right.
fn merge_patch(node: &Value, close: bool) -> Option<Value> {
    let closed = node.pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or_default();
    let ours = node.pointer("/metadata/annotations").and_then(|all| all.get(CORDONED)).is_some();
    let (mark, unschedulable) = match (close, closed, ours) {
        (true, false, _) => (json!("true"), json!(true)),
        // Somebody opened it meanwhile: the mark alone goes.
        (false, _, true) => (Value::Null, Value::Null),
        _ => return None,
    };
    let version = node.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
    Some(json!({
        "metadata": {"resourceVersion": version, "annotations": {CORDONED: mark}},
        "spec": {"unschedulable": unschedulable},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(closed: bool, ours: bool) -> Value {
        let annotations = if ours { json!({CORDONED: "true"}) } else { json!({}) };
        json!({"metadata": {"resourceVersion": "7", "annotations": annotations}, "spec": {"unschedulable": closed}})
    }

    #[test]
    fn only_what_was_closed_here_is_opened() {
        let patch = merge_patch(&node(false, false), true).unwrap();
        assert_eq!(patch.pointer("/spec/unschedulable"), Some(&json!(true)));
        assert_eq!(patch["metadata"]["annotations"][CORDONED], "true");
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(merge_patch(&node(true, true), true), None);
        assert_eq!(merge_patch(&node(true, false), true), None, "somebody else closed it");
        assert_eq!(merge_patch(&node(true, false), false), None, "somebody else shall open it");
        let opened = merge_patch(&node(true, true), false).unwrap();
        assert_eq!(opened.pointer("/spec/unschedulable"), Some(&Value::Null));
        assert_eq!(merge_patch(&json!({"metadata": {}}), false), None);
    }
}
