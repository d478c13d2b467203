//! Reading what a roll from node to node needs to know beforehand.

use std::collections::{BTreeMap, BTreeSet};

use ::kube::Client;
use ::kube::api::{Api, ListParams};
use ::kube::core::Selector;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestStatus};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::partial::Pod;
use super::{KubeError, all_node_pods};
use crate::model::drain::Fate;
use crate::model::name::NodeName;
use crate::model::rolling::{Budget, DeprecatedApi, Rolling};

/// Reads it.
///
/// # Errors
/// Any answer that does not come.
pub async fn rolling(client: &Client) -> Result<Rolling, KubeError> {
    let (budgets, losing, deprecated) = tokio::try_join!(budgets(client), losing(client), deprecated(client))?;
    Ok(Rolling { budgets, losing, deprecated })
}

async fn losing(client: &Client) -> Result<Vec<(NodeName, String)>, KubeError> {
    let pods = all_node_pods(client).await?;
    let losing = pods.into_iter().filter(|(_, pod)| !pod.going).filter_map(|(node, pod)| match pod.fate() {
        Fate::Loses(what) => Some((node, format!("{pod}: {what}"))),
        Fate::Stays | Fate::Leaves => None,
    });
    Ok(losing.collect())
}

/// Budgets that cover any pod. One that covers none stops nobody.
pub(crate) async fn budgets(client: &Client) -> Result<Vec<Budget>, KubeError> {
    let list = Api::<PodDisruptionBudget>::all(client.clone()).list(&ListParams::default()).await;
    let list = list.map_err(|error| KubeError::new("read PodDisruptionBudgets", error))?;
    let mut budgets = Vec::new();
    for budget in list.items {
        let (namespace, name) =
            (budget.metadata.namespace.unwrap_or_default(), budget.metadata.name.unwrap_or_default());
        // No selector selects nothing; an empty one everything.
        let Some(selector) = budget.spec.and_then(|spec| spec.selector) else { continue };
        let Ok(selector) = Selector::try_from(selector) else { continue };
        let params = ListParams::default().labels_from(&selector);
        let pods = Api::<Pod>::namespaced(client.clone(), &namespace).list(&params).await;
        let pods =
            pods.map_err(|error| KubeError::new(format!("read the pods of budget {namespace}/{name}"), error))?;
        let pods: Vec<(String, Option<String>)> = pods
            .items
            .iter()
            .filter(|pod| !matches!(pod.phase(), "Succeeded" | "Failed"))
            .map(|pod| (pod.name(), pod.seen().node))
            .collect();
        let status = budget.status.unwrap_or_default();
        let (allowed, never) = (status.disruptions_allowed, status.desired_healthy >= status.expected_pods);
        if !pods.is_empty() {
            budgets.push(Budget { namespace, name, allowed, never, pods });
        }
    }
    Ok(budgets)
}

/// Certificate requests of a node's kubelet that nobody has approved or denied.
pub(crate) async fn pending_requests(client: &Client, node: &NodeName) -> Result<Vec<String>, KubeError> {
    let kubelet = format!("system:node:{node}");
    let list = Api::<CertificateSigningRequest>::all(client.clone()).list(&ListParams::default()).await;
    let list = list.map_err(|error| KubeError::new("read certificate requests", error))?;
    let pending = list.items.into_iter().filter(|request| {
        let answered = |status: &CertificateSigningRequestStatus| status.conditions.iter().flatten().next().is_some();
        request.spec.username.as_ref() == Some(&kubelet) && !request.status.as_ref().is_some_and(answered)
    });
    Ok(pending.filter_map(|request| request.metadata.name).collect())
}

/// The API server's own count of who asked for what will go.
async fn deprecated(client: &Client) -> Result<Vec<DeprecatedApi>, KubeError> {
    let request = http::Request::get("/metrics").body(Vec::new()).expect("a request");
    let text = client.request_text(request).await;
    Ok(deprecated_of(&text.map_err(|error| KubeError::new("read the API server's metrics", error))?))
}

fn deprecated_of(metrics: &str) -> Vec<DeprecatedApi> {
    let mut all = BTreeSet::new();
    for line in metrics.lines() {
        let Some(rest) = line.strip_prefix("apiserver_requested_deprecated_apis{") else { continue };
        let Some((labels, value)) = rest.rsplit_once('}') else { continue };
        if matches!(value.trim(), "" | "0") {
            continue;
        }
        let labels: BTreeMap<&str, &str> = labels
            .split("\",")
            .filter_map(|label| label.split_once('='))
            .map(|(key, value)| (key, value.trim_matches('"')))
            .collect();
        let label = |key: &str| labels.get(key).copied().unwrap_or_default();
        let removed = label("removed_release").strip_prefix("1.").and_then(|minor| minor.parse().ok());
        let Some(removed_in) = removed else { continue };
        let group = if label("group").is_empty() { String::new() } else { format!("{}/", label("group")) };
        all.insert(DeprecatedApi { what: format!("{group}{} {}", label("version"), label("resource")), removed_in });
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deprecated_apis_are_read_from_metrics() {
        let metrics = "# HELP apiserver_requested_deprecated_apis x\n\
             apiserver_requested_deprecated_apis{group=\"flowcontrol.apiserver.k8s.io\",removed_release=\"1.32\",\
             resource=\"flowschemas\",subresource=\"\",version=\"v1beta3\"} 1\n\
             apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"componentstatuses\",\
             subresource=\"\",version=\"v1\"} 1\n\
             apiserver_requested_deprecated_apis{group=\"a\",removed_release=\"1.31\",resource=\"b\",version=\"v1\"} 0\n";
        let wanted = DeprecatedApi { what: "flowcontrol.apiserver.k8s.io/v1beta3 flowschemas".into(), removed_in: 32 };
        assert_eq!(deprecated_of(metrics), [wanted]);
    }
}
