//! The pods of one node, as a drain needs them.

use std::collections::BTreeMap;

use ::kube::api::ListParams;
use ::kube::core::{Selector, SelectorExt};
use ::kube::{Api, Client};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::KubeError;
use super::partial::{PersistentVolume, Pod};
use super::view::PAGE;
use crate::model::drain::NodePod;
use crate::model::name::NodeName;

/// Reads every pod that is bound to a node, with what of its data lies there alone.
///
/// # Errors
/// Any answer that does not come: pods that could not be read are not taken for none.
pub async fn node_pods(client: &Client, node: &NodeName) -> Result<Vec<NodePod>, KubeError> {
    let (pods, claims, budgets) = tokio::try_join!(pods(client, node), local_claims(client), budgets(client))?;
    let all = pods.iter().map(|pod| {
        let held = |budget: &&Budget| budget.is_over(pod);
        let held_by = budgets.iter().filter(held).map(|budget| budget.name.clone()).collect();
        NodePod { held_by, ..pod.on_node(&claims) }
    });
    Ok(all.collect())
}

/// A budget that lets no pod go now.
struct Budget {
    namespace: String,
    name: String,
    over: Selector,
}

impl Budget {
    fn of(budget: PodDisruptionBudget) -> Option<Self> {
        if budget.status?.disruptions_allowed > 0 {
            return None;
        }
        // No selector selects nothing; an empty one all pods of the namespace.
        let over = Selector::try_from(budget.spec?.selector?).ok()?;
        Some(Self { namespace: budget.metadata.namespace?, name: budget.metadata.name?, over })
    }

    fn is_over(&self, pod: &Pod) -> bool {
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        pod.metadata.namespace.as_ref() == Some(&self.namespace) && self.over.matches(&labels)
    }
}

async fn budgets(client: &Client) -> Result<Vec<Budget>, KubeError> {
    let api: Api<PodDisruptionBudget> = Api::all(client.clone());
    let list = api.list(&ListParams::default()).await;
    let list = list.map_err(|error| KubeError::new("read pod disruption budgets", error))?;
    Ok(list.items.into_iter().filter_map(Budget::of).collect())
}

/// Reads every pod of the cluster that is bound to a node, as [`node_pods`] does.
///
/// # Errors
/// As [`node_pods`].
pub async fn all_node_pods(client: &Client) -> Result<Vec<(NodeName, NodePod)>, KubeError> {
    let claims = local_claims(client).await?;
    let api: Api<Pod> = Api::all(client.clone());
    let mut all = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await.map_err(|error| KubeError::new("read pods", error))?;
        all.extend(page.items.iter().filter_map(|pod| {
            let node = NodeName::new(pod.seen().node?).ok()?;
            Some((node, pod.on_node(&claims)))
        }));
        match page.metadata.continue_ {
            Some(next) if !next.is_empty() => params = params.continue_token(&next),
            _ => return Ok(all),
        }
    }
}

async fn pods(client: &Client, node: &NodeName) -> Result<Vec<Pod>, KubeError> {
    let api: Api<Pod> = Api::all(client.clone());
    let params = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let list = api.list(&params).await.map_err(|error| KubeError::new(format!("read the pods of {node}"), error))?;
    Ok(list.items)
}

/// Claims (`namespace/name`) whose volume lies on one node, with the volume's name.
async fn local_claims(client: &Client) -> Result<BTreeMap<String, String>, KubeError> {
    let api: Api<PersistentVolume> = Api::all(client.clone());
    let mut claims = BTreeMap::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await.map_err(|error| KubeError::new("read persistent volumes", error))?;
        claims.extend(page.items.into_iter().filter_map(PersistentVolume::local_claim));
        match page.metadata.continue_ {
            Some(next) if !next.is_empty() => params = params.continue_token(&next),
            _ => return Ok(claims),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn budgets_hold_the_pods_that_they_select_while_none_may_go() {
        let budget = |allowed: i32, selector: serde_json::Value| {
            let object = json!({
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"namespace": "a", "name": "web"},
                "spec": {"selector": selector},
                "status": {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
            });
            Budget::of(serde_json::from_value(object).unwrap())
        };
        let pod = |namespace: &str, app: &str| -> Pod {
            serde_json::from_value(json!({"metadata": {"namespace": namespace, "labels": {"app": app}}})).unwrap()
        };
        let web = budget(0, json!({"matchLabels": {"app": "web"}})).unwrap();
        assert!(web.is_over(&pod("a", "web")) && !web.is_over(&pod("a", "db")) && !web.is_over(&pod("b", "web")));
        let not_db = json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]});
        let others = budget(0, not_db).unwrap();
        assert!(others.is_over(&pod("a", "web")) && !others.is_over(&pod("a", "db")));
        assert!(budget(1, json!({"matchLabels": {"app": "web"}})).is_none(), "one may go");
    }
}
