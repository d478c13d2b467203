//! The lines of `/etc/hosts` that every node has.

use crate::model::cluster::{ClusterSpec, EndpointKind};
use crate::model::node::NodeSpec;

/// The node's own name, and the endpoint's where the node itself answers for it.
///
/// Never another node's name: a node that is added would change all others. The endpoint's name is 127.0.0.1 on every
/// node and never moves, because pods on the host's network get a copy of this file when they start.
pub fn lines(spec: &ClusterSpec, node: &NodeSpec) -> Vec<String> {
    let mut lines: Vec<String> = node.node_ips.iter().map(|ip| format!("{ip} {}", node.name)).collect();
    if spec.endpoint.kind == EndpointKind::LocalProxy {
        lines.push(format!("127.0.0.1 {}", spec.endpoint.name));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn own_name_and_endpoint() {
        let mut spec = sample::dual_stack();
        let own = ["10.77.0.11 cp1", "fd00:77::11 cp1"];
        assert_eq!(lines(&spec, &spec.nodes[0]), [own[0], own[1], "127.0.0.1 api.demo.internal"]);
        spec.endpoint.kind = EndpointKind::External;
        assert_eq!(lines(&spec, &spec.nodes[0]), own);
    }
}
