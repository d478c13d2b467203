//! The pods of one node, as a drain needs them.

use std::collections::BTreeMap;

use ::kube::api::ListParams;
use ::kube::{Api, Client};

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
    let (pods, claims) = tokio::try_join!(pods(client, node), local_claims(client))?;
    Ok(pods.iter().map(|pod| pod.on_node(&claims)).collect())
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
