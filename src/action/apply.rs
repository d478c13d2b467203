//! Applying manifests.

use ::kube::api::{DynamicObject, Patch, PatchParams};
use futures::future::try_join_all;
use serde::Deserialize;
use serde_json::Value;

use super::ActionError;
use super::session::Session;
use crate::kube::{FIELD_MANAGER, KubeError, view};
use crate::model::live::ObjectRef;

/// Server-side apply of every document, each kind after those that it needs; fields that others took over are taken
/// back, because the manifest says what shall be.
pub(super) async fn apply(session: &Session, set: &str, yaml: &str) -> Result<Vec<String>, ActionError> {
    let what = format!("apply {set}");
    let objects = documents(yaml).map_err(|cause| ActionError::new(&what, cause))?;
    let count = objects.len();
    for group in objects.chunk_by(|(a, _), (b, _)| rank(&a.kind) == rank(&b.kind)) {
        let applied = group.iter().map(|(name, object)| {
            session.call(move |client| async move {
                let params = PatchParams::apply(FIELD_MANAGER).force();
                let done = view::dynamic(&client, name).patch(&name.name, &params, &Patch::Apply(object)).await;
                done.map(|_: DynamicObject| ()).map_err(|error| KubeError::new(name.to_string(), error))
            })
        });
        try_join_all(applied).await.map_err(ActionError::of(&what))?;
    }
    Ok(vec![format!("{set}: {count} objects applied")])
}

/// The documents of a YAML text, in the order in which they can be applied.
fn documents(yaml: &str) -> Result<Vec<(ObjectRef, Value)>, String> {
    let mut objects = Vec::new();
    for (at, document) in serde_yaml_ng::Deserializer::from_str(yaml).enumerate() {
        let value = Value::deserialize(document).map_err(|error| format!("document {}: {error}", at + 1))?;
        if value.is_null() {
            continue;
        }
        let name = ObjectRef::of(&value)
            .ok_or_else(|| format!("document {} has no apiVersion, kind or metadata.name", at + 1))?;
        objects.push((name, value));
    }
    objects.sort_by_key(|(name, _)| rank(&name.kind));
    Ok(objects)
}

/// Smaller is earlier: what others refer to or live in.
fn rank(kind: &str) -> u8 {
    match kind {
        "Namespace" => 0,
        "CustomResourceDefinition" | "PriorityClass" => 1,
        "ServiceAccount" | "ClusterRole" | "Role" => 2,
        "ClusterRoleBinding" | "RoleBinding" => 3,
        "ConfigMap" | "Secret" | "Service" | "NetworkPolicy" => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_in_the_order_of_need() {
        let object =
            |kind: &str, name: &str| format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n---\n");
        let yaml: String = [
            object("DaemonSet", "a"),
            object("ConfigMap", "b"),
            object("Namespace", "c"),
            object("ClusterRoleBinding", "d"),
            object("ServiceAccount", "e"),
            object("ConfigMap", "f"),
        ]
        .concat();
        let names: Vec<String> = documents(&yaml).unwrap().into_iter().map(|(name, _)| name.name).collect();
        assert_eq!(names.concat(), "cedbfa");
        assert!(documents("").unwrap().is_empty());
        assert!(documents("a: 1").unwrap_err().contains("document 1"));
    }
}
