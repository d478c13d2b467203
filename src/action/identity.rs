//! The ConfigMap that holds the cluster's identity.

use ::kube::api::{Api, Patch, PatchParams};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::ActionError;
use super::session::Session;
use crate::kube::{FIELD_MANAGER, IDENTITY_KEY, IDENTITY_MAP, KubeError, SYSTEM, view};
use crate::model::facts::ClusterIdentity;
use crate::render::identity;

/// Writes the identity, unless the cluster has another one.
pub(super) async fn write(session: &Session, identity: &ClusterIdentity) -> Result<Vec<String>, ActionError> {
    const WHAT: &str = "write the cluster's identity";
    let there =
        session.call(|client| async move { view::identity(&client).await }).await.map_err(ActionError::of(WHAT))?;
    if let Some(other) = there.filter(|there| there.id != identity.id) {
        return Err(ActionError::new(WHAT, format!("this is cluster {} ({}), not ours", other.name, other.id))
            .hint("is the inventory the one of this cluster?"));
    }
    let object = &json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": IDENTITY_MAP, "namespace": SYSTEM},
        "data": {IDENTITY_KEY: identity::text(identity)},
    });
    let written = session.call(|client| async move {
        let api: Api<ConfigMap> = Api::namespaced(client, SYSTEM);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let done = api.patch(IDENTITY_MAP, &params, &Patch::Apply(object)).await;
        done.map(drop).map_err(|error| KubeError::new(format!("write ConfigMap {IDENTITY_MAP}"), error))
    });
    written.await.map_err(ActionError::of(WHAT))?;
    Ok(vec![format!("cluster {} is {}", identity.name, identity.id)])
}
