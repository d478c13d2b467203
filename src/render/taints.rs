//! Which taints a node registers with.

use crate::model::cluster::ClusterSpec;
use crate::model::node::NodeSpec;
use crate::model::op::NodeTaint;

/// The taint that kubeadm gives control planes.
pub const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// All taints that a node of the wanted cluster has.
///
/// A control plane keeps kubeadm's taint as long as there is a worker; where there is none, nothing could run
/// otherwise, and whoever makes such a cluster expects that pods run on it. A worker that is added later brings the
/// taint to nodes that join then, and to the others by the step that keeps taints.
pub fn of(spec: &ClusterSpec, node: &NodeSpec) -> Vec<NodeTaint> {
    let mut taints = Vec::new();
    if node.is_control_plane() && spec.workers().next().is_some() {
        taints.push(NodeTaint { key: CONTROL_PLANE.to_owned(), value: None, effect: "NoSchedule".to_owned() });
    }
    for taint in &node.taints {
        let value = taint.value.as_str();
        let taint = NodeTaint {
            key: taint.key.to_string(),
            value: (!value.is_empty()).then(|| value.to_owned()),
            effect: taint.effect.to_string(),
        };
        if !taints.contains(&taint) {
            taints.push(taint);
        }
    }
    taints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn a_control_plane_is_kept_free_while_there_are_workers() {
        let mut spec = sample::cluster();
        assert_eq!(of(&spec, &spec.nodes[0]).len(), 1);
        spec.nodes.retain(NodeSpec::is_control_plane);
        assert_eq!(of(&spec, &spec.nodes[0]), []);
    }

    #[test]
    fn taints_of_the_inventory_come_with_it() {
        let mut spec = sample::cluster();
        spec.nodes[3].taints = vec!["gpu=yes:NoExecute".parse().unwrap(), "gpu=yes:NoExecute".parse().unwrap()];
        let wanted = NodeTaint { key: "gpu".into(), value: Some("yes".into()), effect: "NoExecute".into() };
        assert_eq!(of(&spec, &spec.nodes[3]), [wanted]);
    }
}
