//! What an exchange of authorities changes in the cluster itself.

use std::time::Duration;

use ::kube::Client;
use ::kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use ::kube::core::{GroupVersionKind, ObjectMeta};
use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::ActionError;
use super::session::Session;
use crate::kube::rotation::{
    CLIENTS_KEY, CLUSTER_INFO, CLUSTER_INFO_KEY, EXTENSIONS, FRONT_PROXY_KEY, PUBLIC, RECORD, RECORD_KEY, map,
    trusting_objects,
};
use crate::kube::{KubeError, SYSTEM, trusting};
use crate::model::rotation::{Trusting, Workload};
use crate::pki::trusts_the_same;

/// Time between looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Names told of many.
const NAMED: usize = 8;

/// Makes the objects of the cluster trust these authorities and no other, waits for those that its own programs write, and
/// notes since when, by `record`.
///
/// API servers only ever add to what their extensions trust, so that what shall go is taken out here.
pub(super) async fn trust(
    session: &Session,
    kubernetes: &str,
    front_proxy: &str,
    record: Option<&str>,
    until: Instant,
) -> Result<Vec<String>, ActionError> {
    const WHAT: &str = "let the cluster's objects trust the authorities";
    loop {
        let seen = session.call(|client| async move { trusting_objects(&client).await }).await;
        let seen = seen.map_err(ActionError::of(WHAT))?;
        if !same(seen.cluster_info.as_deref(), kubernetes) {
            session.call(|client| cluster_info(client, kubernetes)).await.map_err(ActionError::of(WHAT))?;
        }
        if !same(seen.clients.as_deref(), kubernetes) || !same(seen.front_proxy.as_deref(), front_proxy) {
            let data = &json!({"data": {CLIENTS_KEY: kubernetes, FRONT_PROXY_KEY: front_proxy}});
            let patched = session.call(|client| patch(client, SYSTEM, EXTENSIONS, data)).await;
            patched.map_err(ActionError::of(WHAT))?;
        }
        let missing = missing(&seen, kubernetes, front_proxy);
        if missing.is_empty() {
            if let Some(authority) = record {
                session.call(|client| note(client, authority)).await.map_err(ActionError::of(WHAT))?;
            }
            return Ok(vec![format!("{} namespaces trust them", seen.namespaces.len())]);
        }
        if Instant::now() + PAUSE > until {
            return Err(ActionError::new(WHAT, "not all of them do")
                .details(missing.into_iter().take(NAMED))
                .hint("the controller manager writes those of namespaces: kubectl -n kube-system logs -l component=kube-controller-manager"));
        }
        sleep(PAUSE).await;
    }
}

/// Whether a text trusts the same, in whatever order.
fn same(text: Option<&str>, wanted: &str) -> bool {
    text.is_some_and(|text| trusts_the_same(text, wanted))
}

/// What does not trust exactly these.
fn missing(seen: &Trusting, kubernetes: &str, front_proxy: &str) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, text) in [
        (CLUSTER_INFO, same(seen.cluster_info.as_deref(), kubernetes)),
        (CLIENTS_KEY, same(seen.clients.as_deref(), kubernetes)),
        (FRONT_PROXY_KEY, same(seen.front_proxy.as_deref(), front_proxy)),
    ] {
        if !text {
            missing.push(name.to_owned());
        }
    }
    let other = seen.namespaces.iter().filter(|(_, text)| !same(text.as_deref(), kubernetes));
    missing.extend(other.map(|(namespace, _)| format!("kube-root-ca.crt of namespace {namespace}")));
    missing
}

async fn patch(client: Client, namespace: &str, name: &str, data: &Value) -> Result<(), KubeError> {
    let api: Api<ConfigMap> = Api::namespaced(client, namespace);
    let done = api.patch(name, &PatchParams::default(), &Patch::Merge(data)).await;
    done.map(drop).map_err(|error| KubeError::new(format!("write ConfigMap {namespace}/{name}"), error))
}

async fn cluster_info(client: Client, kubernetes: &str) -> Result<(), KubeError> {
    let broken =
        |cause: &str| KubeError::Broken { what: format!("read ConfigMap {CLUSTER_INFO}"), cause: cause.to_owned() };
    let there = map(&client, PUBLIC, CLUSTER_INFO).await?.and_then(|map| map.data?.remove(CLUSTER_INFO_KEY));
    let text = there.ok_or_else(|| broken("it holds no kubeconfig"))?;
    let mut config: Value = serde_yaml_ng::from_str(&text).map_err(|_| broken("its kubeconfig is none"))?;
    let cluster = config.pointer_mut("/clusters/0/cluster").ok_or_else(|| broken("its kubeconfig has no cluster"))?;
    cluster["certificate-authority-data"] = json!(BASE64_STANDARD.encode(kubernetes));
    let text = serde_yaml_ng::to_string(&config).expect("what was read as YAML can be written");
    patch(client, PUBLIC, CLUSTER_INFO, &json!({"data": {CLUSTER_INFO_KEY: text}})).await
}

/// The API server's own clock says when: a record of another authority gives way to a new one.
async fn note(client: Client, authority: &str) -> Result<(), KubeError> {
    let there = map(&client, SYSTEM, RECORD).await?.and_then(|map| map.data?.remove(RECORD_KEY));
    if there.as_deref() == Some(authority) {
        return Ok(());
    }
    forget_record(client.clone()).await?;
    let api: Api<ConfigMap> = Api::namespaced(client, SYSTEM);
    let metadata = ObjectMeta { name: Some(RECORD.to_owned()), ..ObjectMeta::default() };
    let data = Some([(RECORD_KEY.to_owned(), authority.to_owned())].into());
    let made = api.create(&PostParams::default(), &ConfigMap { metadata, data, ..ConfigMap::default() }).await;
    made.map(drop).map_err(|error| KubeError::new(format!("write ConfigMap {RECORD}"), error))
}

async fn forget_record(client: Client) -> Result<(), KubeError> {
    let api: Api<ConfigMap> = Api::namespaced(client, SYSTEM);
    match api.delete(RECORD, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(::kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(KubeError::new(format!("delete ConfigMap {RECORD}"), error)),
    }
}

/// Deletes what was noted.
pub(super) async fn forget(session: &Session) -> Result<Vec<String>, ActionError> {
    session.call(forget_record).await.map_err(ActionError::of("remove the note on the exchange"))?;
    Ok(Vec::new())
}

/// Has these make their pods anew, as `kubectl rollout restart` does, and waits until none of their pods is older than the
/// moment from which on this authority is trusted.
pub(super) async fn restart(
    session: &Session,
    workloads: &[Workload],
    authority: &str,
    until: Instant,
) -> Result<Vec<String>, ActionError> {
    const WHAT: &str = "make pods anew";
    let now = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339);
    let at = &json!({"spec": {"template": {"metadata": {"annotations": {
        "kubectl.kubernetes.io/restartedAt": now.expect("a moment of today has a date"),
    }}}}});
    for workload in workloads {
        let patched = session.call(|client| async move {
            let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", &workload.kind));
            let api: Api<DynamicObject> = Api::namespaced_with(client, &workload.namespace, &kind);
            let done = api.patch(&workload.name, &PatchParams::default(), &Patch::Merge(at)).await;
            done.map(drop).map_err(|error| KubeError::new(format!("restart {workload}"), error))
        });
        patched.await.map_err(ActionError::of(WHAT))?;
    }
    loop {
        let seen =
            session.call(|client| async move { trusting(&client).await }).await.map_err(ActionError::of(WHAT))?;
        let ours = |workload: &Option<Workload>| workload.as_ref().is_some_and(|it| workloads.contains(it));
        let left: Vec<String> =
            seen.older_pods(authority).filter(|pod| ours(&pod.workload)).map(ToString::to_string).collect();
        if left.is_empty() {
            return Ok(vec![format!("{} workloads have new pods", workloads.len())]);
        }
        if Instant::now() + PAUSE > until {
            return Err(ActionError::new(WHAT, format!("{} pods are still those of before", left.len()))
                .details(left.into_iter().take(NAMED))
                .hint("kubectl rollout status tells why; then run the same command again"));
        }
        sleep(PAUSE).await;
    }
}
