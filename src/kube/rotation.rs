//! Reading whom the cluster's objects trust, and which pods may have read it before.

use std::collections::BTreeMap;

use ::kube::Client;
use ::kube::api::{Api, ListParams};
use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;

use super::KubeError;
use super::view::{PAGE, SYSTEM};
use crate::model::rotation::{Record, Trusting, TrustingPod, Workload};

/// ConfigMap of every namespace with whom pods trust.
pub(crate) const ROOT_CA: &str = "kube-root-ca.crt";
/// ConfigMap that holds when the cluster began to trust a new authority.
pub(crate) const RECORD: &str = "kbootstrap-rotation";
/// In it: SHA-256 of the authority's certificate.
pub(crate) const RECORD_KEY: &str = "authority";
/// ConfigMap that API servers write for their extensions.
pub(crate) const EXTENSIONS: &str = "extension-apiserver-authentication";
/// In it: who signs clients, and who signs the front proxy.
pub(crate) const CLIENTS_KEY: &str = "client-ca-file";
pub(crate) const FRONT_PROXY_KEY: &str = "requestheader-client-ca-file";
/// Where joining nodes look, and the key in it.
pub(crate) const PUBLIC: &str = "kube-public";
pub(crate) const CLUSTER_INFO: &str = "cluster-info";
pub(crate) const CLUSTER_INFO_KEY: &str = "kubeconfig";

/// Reads all of it.
///
/// # Errors
/// Any answer that does not come.
pub async fn trusting(client: &Client) -> Result<Trusting, KubeError> {
    let (objects, pods) = tokio::try_join!(trusting_objects(client), pods(client))?;
    Ok(Trusting { pods, ..objects })
}

/// The same without pods.
pub(crate) async fn trusting_objects(client: &Client) -> Result<Trusting, KubeError> {
    let (namespaces, roots, info, extensions, record) = tokio::try_join!(
        namespaces(client),
        root_cas(client),
        map(client, PUBLIC, CLUSTER_INFO),
        map(client, SYSTEM, EXTENSIONS),
        map(client, SYSTEM, RECORD),
    )?;
    let text = |map: &Option<ConfigMap>, key: &str| map.as_ref()?.data.as_ref()?.get(key).cloned();
    let record = record.as_ref().and_then(|map| {
        let authority = map.data.as_ref()?.get(RECORD_KEY)?.clone();
        Some(Record { authority, since: map.metadata.creation_timestamp.as_ref()?.0.as_second() })
    });
    Ok(Trusting {
        namespaces: namespaces.into_iter().map(|name| (name.clone(), roots.get(&name).cloned())).collect(),
        cluster_info: text(&info, CLUSTER_INFO_KEY).as_deref().and_then(authority_of),
        clients: text(&extensions, CLIENTS_KEY),
        front_proxy: text(&extensions, FRONT_PROXY_KEY),
        record,
        pods: Vec::new(),
    })
}

/// The authority in a kubeconfig's only cluster.
fn authority_of(kubeconfig: &str) -> Option<String> {
    let config: Value = serde_yaml_ng::from_str(kubeconfig).ok()?;
    let data = config.pointer("/clusters/0/cluster/certificate-authority-data")?.as_str()?;
    String::from_utf8(BASE64_STANDARD.decode(data).ok()?).ok()
}

pub(crate) async fn map(client: &Client, namespace: &str, name: &str) -> Result<Option<ConfigMap>, KubeError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    api.get_opt(name).await.map_err(|error| KubeError::new(format!("read ConfigMap {namespace}/{name}"), error))
}

/// Those that are not about to go.
async fn namespaces(client: &Client) -> Result<Vec<String>, KubeError> {
    let list = Api::<Namespace>::all(client.clone()).list(&ListParams::default()).await;
    let list = list.map_err(|error| KubeError::new("read namespaces", error))?;
    let stays = list.items.into_iter().filter(|namespace| namespace.metadata.deletion_timestamp.is_none());
    Ok(stays.filter_map(|namespace| namespace.metadata.name).collect())
}

async fn root_cas(client: &Client) -> Result<BTreeMap<String, String>, KubeError> {
    let params = ListParams::default().fields(&format!("metadata.name={ROOT_CA}"));
    let list = Api::<ConfigMap>::all(client.clone()).list(&params).await;
    let list = list.map_err(|error| KubeError::new(format!("read ConfigMaps {ROOT_CA}"), error))?;
    Ok(list.items.into_iter().filter_map(|map| Some((map.metadata.namespace?, map.data?.remove("ca.crt")?))).collect())
}

async fn pods(client: &Client) -> Result<Vec<TrustingPod>, KubeError> {
    let api: Api<Pod> = Api::all(client.clone());
    let mut found: Vec<(TrustingPod, Option<OwnerReference>)> = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await.map_err(|error| KubeError::new("read pods", error))?;
        found.extend(page.items.iter().filter_map(trusting_pod));
        match page.metadata.continue_ {
            Some(next) if !next.is_empty() => params = params.continue_token(&next),
            _ => break,
        }
    }
    let sets = match found.iter().any(|(_, owner)| owner.as_ref().is_some_and(|owner| owner.kind == "ReplicaSet")) {
        true => deployments(client).await?,
        false => BTreeMap::new(),
    };
    Ok(found
        .into_iter()
        .map(|(pod, owner)| {
            let workload = owner.and_then(|owner| match owner.kind.as_str() {
                "ReplicaSet" => {
                    sets.get(&(pod.namespace.clone(), owner.name)).map(|name| ("Deployment".to_owned(), name.clone()))
                }
                "DaemonSet" | "StatefulSet" => Some((owner.kind, owner.name)),
                _ => None,
            });
            let workload = workload.map(|(kind, name)| Workload { kind, namespace: pod.namespace.clone(), name });
            TrustingPod { workload, ..pod }
        })
        .collect())
}

/// A pod with a container that runs and may read [`ROOT_CA`], and what controls it.
fn trusting_pod(pod: &Pod) -> Option<(TrustingPod, Option<OwnerReference>)> {
    let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref()?);
    let mounts = spec.volumes.iter().flatten().any(|volume| {
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        let mut projected = sources.filter_map(|source| source.config_map.as_ref()).map(|map| map.name.as_str());
        let own = volume.config_map.as_ref().map(|map| map.name.as_str());
        projected.any(|name| name == ROOT_CA) || own == Some(ROOT_CA)
    });
    if !mounts {
        return None;
    }
    let containers = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    let running = containers.filter_map(|container| container.state.as_ref()?.running.as_ref());
    // One that runs since nobody knows when is old.
    let since = running.map(|running| running.started_at.as_ref().map_or(0, |at| at.0.as_second())).min()?;
    let meta = &pod.metadata;
    let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true)).cloned();
    let (namespace, name) = (meta.namespace.clone()?, meta.name.clone()?);
    Some((TrustingPod { namespace, name, since, workload: None }, owner))
}

/// The Deployment of each ReplicaSet that has one, by namespace and name.
async fn deployments(client: &Client) -> Result<BTreeMap<(String, String), String>, KubeError> {
    let list = Api::<ReplicaSet>::all(client.clone()).list_metadata(&ListParams::default()).await;
    let list = list.map_err(|error| KubeError::new("read ReplicaSets", error))?;
    Ok(list
        .items
        .into_iter()
        .filter_map(|set| {
            let owner =
                set.metadata.owner_references.iter().flatten().find(|owner| owner.kind == "Deployment")?.name.clone();
            Some(((set.metadata.namespace?, set.metadata.name?), owner))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(volumes: &Value, states: &Value) -> Option<TrustingPod> {
        let pod = serde_json::from_value(json!({
            "metadata": {"namespace": "a", "name": "p"},
            "spec": {"containers": [], "volumes": volumes},
            "status": {"containerStatuses": states},
        }));
        trusting_pod(&pod.unwrap()).map(|(pod, _)| pod)
    }

    #[test]
    fn who_mounts_it_is_as_old_as_its_oldest_container() {
        let token = json!([{"name": "t", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}}]);
        let state = |at: &str| {
            json!({"name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"running": {"startedAt": at}}})
        };
        let both = json!([state("2026-11-22T00:00:10Z"), state("2026-11-22T00:00:05Z")]);
        let since = |at: &str| at.parse::<k8s_openapi::jiff::Timestamp>().unwrap().as_second();
        assert_eq!(pod(&token, &both).unwrap().since, since("2026-11-22T00:00:05Z"));
        assert_eq!(pod(&json!([]), &both), None, "it cannot have read it");
        assert_eq!(pod(&token, &json!([])), None, "it will read it when it starts");
    }

    #[test]
    fn the_authority_of_cluster_info() {
        let text = "clusters: [{name: '', cluster: {server: s, certificate-authority-data: QQ==}}]";
        assert_eq!(authority_of(text).as_deref(), Some("A"));
        assert_eq!(authority_of("a: 1"), None);
    }
}
