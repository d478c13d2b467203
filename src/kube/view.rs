//! Reading a cluster: few requests, all at once over one stream, nothing decoded that is not needed.

use std::collections::BTreeMap;
use std::time::Duration;

use ::kube::api::{ApiResource, DynamicObject, ListParams};
use ::kube::core::GroupVersionKind;
use ::kube::{Api, Client};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::KubeError;
use super::partial::{DaemonSet, Deployment, Node, Pod};
use crate::model::facts::ClusterIdentity;
use crate::model::live::{Live, LiveNode, ObjectRef, PodSeen, Rollout};
use crate::model::name::NodeName;

/// The namespace of the cluster's own programs.
pub const SYSTEM: &str = "kube-system";
/// ConfigMap in [`SYSTEM`] that holds the cluster's identity under [`IDENTITY_KEY`], as the nodes' `cluster.toml` does.
pub const IDENTITY_MAP: &str = "kbootstrap";
pub const IDENTITY_KEY: &str = "cluster.toml";
/// What a bootstrap token's description says where it is ours.
pub const TOKEN_DESCRIPTION: &str = "kbootstrap";
/// The name under which this program applies objects.
pub const FIELD_MANAGER: &str = "kbootstrap";
/// Selects the pods of kubeadm's static manifests.
pub(crate) const STATIC_PODS: &str = "tier=control-plane";
/// Selects CoreDNS.
pub(crate) const COREDNS_PODS: &str = "k8s-app=kube-dns";
/// Objects in one answer: bounds memory, and 1,000 nodes still take only four.
pub(crate) const PAGE: u32 = 250;
/// Lines on pods that are not ready: a person reads no more.
const MOST_TROUBLES: usize = 12;
/// The longest that the whole view may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Reads the cluster, and of the manifests' objects those that are asked about.
///
/// # Errors
/// Any answer that does not come, or that is neither the object nor the API server's own "not found": what is
/// unknown is never taken for absent.
pub async fn view(client: &Client, asked: &[ObjectRef]) -> Result<Live, KubeError> {
    tokio::time::timeout(LIMIT, read(client, asked))
        .await
        .unwrap_or(Err(KubeError::Timeout { what: String::from("read the cluster"), after: LIMIT }))
}

async fn read(client: &Client, asked: &[ObjectRef]) -> Result<Live, KubeError> {
    let version = async { client.apiserver_version().await.map_err(|error| KubeError::new("read the version", error)) };
    let (
        (version, nodes, static_pods, coredns_pods),
        (kubeadm, kubelet, kube_proxy, identity, cluster_info),
        (coredns, daemon_sets, tokens, objects),
    ) = tokio::try_join!(
        async { tokio::try_join!(version, nodes(client), static_pods(client), coredns_pods(client)) },
        async {
            tokio::try_join!(
                config_map(client, "kubeadm-config"),
                config_map(client, "kubelet-config"),
                config_map(client, "kube-proxy"),
                identity(client),
                cluster_info(client),
            )
        },
        async {
            tokio::try_join!(
                coredns(client),
                daemon_sets(client),
                tokens(client),
                try_join_all(
                    asked.iter().map(|object| async move { Ok((object.clone(), object_value(client, object).await?)) })
                ),
            )
        }
    )?;
    let objects: BTreeMap<ObjectRef, Option<Value>> = objects.into_iter().collect();
    Ok(Live {
        identity,
        version: version.git_version,
        nodes,
        kubeadm_config: document(kubeadm, "ClusterConfiguration")?,
        kubelet_config: document(kubelet, "kubelet")?,
        kube_proxy_config: document(kube_proxy, "config.conf")?,
        cluster_info,
        objects,
        static_pods,
        coredns,
        coredns_pods,
        daemon_sets,
        tokens,
    })
}

/// Every node. One whose name this program would not give (an address, more than 63 characters) is left out.
pub(crate) async fn nodes(client: &Client) -> Result<BTreeMap<NodeName, LiveNode>, KubeError> {
    let api: Api<Node> = Api::all(client.clone());
    let mut nodes = BTreeMap::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await.map_err(|error| KubeError::new("read nodes", error))?;
        nodes.extend(page.items.into_iter().filter_map(node));
        match page.metadata.continue_ {
            Some(next) if !next.is_empty() => params = params.continue_token(&next),
            _ => return Ok(nodes),
        }
    }
}

pub(crate) fn node(mut node: Node) -> Option<(NodeName, LiveNode)> {
    let name = ::kube::Resource::meta_mut(&mut node).name.take()?;
    Some((NodeName::new(name).ok()?, node.live()))
}

pub(crate) fn static_pod(pod: &Pod) -> Option<((NodeName, String), PodSeen)> {
    let seen = pod.seen();
    Some(((NodeName::new(seen.node.clone()?).ok()?, String::from(pod.label("component")?)), seen))
}

async fn static_pods(client: &Client) -> Result<BTreeMap<(NodeName, String), PodSeen>, KubeError> {
    Ok(pods(client, SYSTEM, STATIC_PODS).await?.iter().filter_map(static_pod).collect())
}

pub(crate) async fn coredns_pods(client: &Client) -> Result<BTreeMap<String, PodSeen>, KubeError> {
    Ok(pods(client, SYSTEM, COREDNS_PODS).await?.iter().map(|pod| (pod.name(), pod.seen())).collect())
}

/// What keeps the cluster's own pods from being ready, one line for each.
pub(crate) async fn troubles(client: &Client) -> Result<Vec<String>, KubeError> {
    let sets = daemon_sets(client).await?;
    let mut namespaces: Vec<&str> =
        sets.keys().filter_map(|key| Some(key.split_once('/')?.0)).chain([SYSTEM]).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let all = try_join_all(namespaces.iter().map(|namespace| pods(client, namespace, ""))).await?;
    Ok(all.iter().flatten().filter_map(trouble).take(MOST_TROUBLES).collect())
}

fn trouble(pod: &Pod) -> Option<String> {
    let seen = pod.seen();
    let why = seen.why.filter(|_| !seen.going)?;
    let on = seen.node.map(|node| format!(" on {node}")).unwrap_or_default();
    Some(format!("pod {}{on}: {why}", pod.name()))
}

/// Pods of a namespace by their labels.
pub(crate) async fn pods(client: &Client, namespace: &str, labels: &str) -> Result<Vec<Pod>, KubeError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let list = api.list(&ListParams::default().labels(labels)).await;
    list.map(|list| list.items).map_err(|error| KubeError::new(format!("read pods ({labels})"), error))
}

pub(crate) async fn coredns(client: &Client) -> Result<Option<Rollout>, KubeError> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), SYSTEM);
    let found = api.get_opt("coredns").await.map_err(|error| KubeError::new("read Deployment coredns", error))?;
    Ok(found.map(|deployment| deployment.rollout()))
}

async fn daemon_sets(client: &Client) -> Result<BTreeMap<String, Rollout>, KubeError> {
    let list = Api::<DaemonSet>::all(client.clone()).list(&ListParams::default()).await;
    let list = list.map_err(|error| KubeError::new("read DaemonSets", error))?;
    Ok(list.items.iter().filter_map(daemon_set).collect())
}

/// What the cluster needs on every node: kube-proxy, and what this program applied.
pub(crate) fn daemon_set(set: &DaemonSet) -> Option<(String, Rollout)> {
    (set.is_managed_by(FIELD_MANAGER) || set.key() == "kube-system/kube-proxy").then(|| (set.key(), set.rollout()))
}

async fn config_map(client: &Client, name: &str) -> Result<Option<BTreeMap<String, String>>, KubeError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM);
    let found = api.get_opt(name).await.map_err(|error| KubeError::new(format!("read ConfigMap {name}"), error))?;
    Ok(found.map(|map| map.data.unwrap_or_default()))
}

async fn cluster_info(client: &Client) -> Result<bool, KubeError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-public");
    let found = api.get_metadata_opt("cluster-info").await;
    Ok(found.map_err(|error| KubeError::new("read ConfigMap cluster-info", error))?.is_some())
}

/// The cluster's identity as its ConfigMap has it.
pub(crate) async fn identity(client: &Client) -> Result<Option<ClusterIdentity>, KubeError> {
    let Some(data) = config_map(client, IDENTITY_MAP).await? else { return Ok(None) };
    let text = data.get(IDENTITY_KEY).map_or("", String::as_str);
    toml::from_str(text).map(Some).map_err(|error| KubeError::Broken {
        what: format!("read ConfigMap {IDENTITY_MAP}"),
        cause: format!("{IDENTITY_KEY} in it is not an identity of ours: {}", error.message()),
    })
}

/// Ids of our bootstrap tokens.
pub(crate) async fn tokens(client: &Client) -> Result<Vec<String>, KubeError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
    let list = api.list(&ListParams::default().fields("type=bootstrap.kubernetes.io/token")).await;
    let list = list.map_err(|error| KubeError::new("read bootstrap tokens", error))?;
    let field = |secret: &Secret, name: &str| -> Option<String> {
        String::from_utf8(secret.data.as_ref()?.get(name)?.0.clone()).ok()
    };
    Ok(list
        .items
        .iter()
        .filter(|secret| field(secret, "description").as_deref() == Some(TOKEN_DESCRIPTION))
        .filter_map(|secret| field(secret, "token-id"))
        .collect())
}

/// A dynamic API for the object's kind. The plural is guessed from the kind, which is right for every built-in one.
pub(crate) fn dynamic(client: &Client, object: &ObjectRef) -> Api<DynamicObject> {
    let (group, version) = object.api_version.split_once('/').unwrap_or(("", &object.api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &object.kind));
    match &object.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

async fn object_value(client: &Client, object: &ObjectRef) -> Result<Option<Value>, KubeError> {
    let found = dynamic(client, object).get_opt(&object.name).await;
    let Some(mut found) = found.map_err(|error| KubeError::new(format!("read {object}"), error))? else {
        return Ok(None);
    };
    found.metadata.managed_fields = None;
    serde_json::to_value(found).map(Some).map_err(|error| broken(&format!("read {object}"), &error))
}

/// The YAML document under a key of a ConfigMap.
fn document<T: DeserializeOwned>(data: Option<BTreeMap<String, String>>, key: &str) -> Result<Option<T>, KubeError> {
    let Some(data) = data else { return Ok(None) };
    let text = data.get(key).map_or("", String::as_str);
    serde_yaml_ng::from_str(text).map(Some).map_err(|error| broken(&format!("read {key}"), &error))
}

fn broken(what: &str, error: &dyn std::error::Error) -> KubeError {
    KubeError::Broken { what: String::from(what), cause: error.to_string() }
}
