//! A node's object goes.

use ::kube::api::{Api, DeleteParams};

use super::ActionError;
use super::session::Session;
use crate::kube::KubeError;
use crate::kube::partial::Node;
use crate::model::name::NodeName;

/// Deletes a node's object, if it is that of this machine; one that is gone is no error.
pub(super) async fn delete_node(
    session: &Session,
    node: &NodeName,
    machine_id: Option<&str>,
) -> Result<Vec<String>, ActionError> {
    let what = format!("delete node {node}");
    let other = session.call(|client| async move {
        let api: Api<Node> = Api::all(client);
        let failed = |error| KubeError::new(format!("Node/{node}"), error);
        let Some(found) = api.get_opt(node.as_str()).await.map_err(failed)? else { return Ok(None) };
        let there = found.live().machine_id;
        if machine_id.is_some_and(|wanted| wanted != there) {
            return Ok(Some(there));
        }
        match api.delete(node.as_str(), &DeleteParams::default()).await.map_err(failed) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(None),
        }
    });
    match other.await.map_err(ActionError::of(&what))? {
        None => Ok(Vec::new()),
        Some(other) => {
            Err(ActionError::new(what, format!("a node of this name is another machine by now (machine-id {other})"))
                .hint("look at the plan again"))
        }
    }
}
