//! Who a machine says it is.

use super::{super::op, Context, skip_hint};
use crate::model::{facts::Facts, plan::Verdict};

pub fn hostname(context: &Context<'_>) -> Verdict {
    let (there, wanted) = (&context.seen.facts.identity.hostname, &context.node.name);
    if there == wanted.as_str() {
        return Verdict::Satisfied;
    }
    op::refused(
        format!("the machine calls itself {:?}, the inventory calls it {wanted}", there),
        format!("on the machine: hostnamectl set-hostname {wanted} (or give the node its own name in the inventory)"),
    )
}

/// Cloned machines share what must be their own. Their DMI UUID is not compared: containers and some hypervisors give
/// the host's to all, and nothing in a cluster goes by it.
pub fn unique(context: &Context<'_>) -> Verdict {
    let own = &context.seen.facts;
    for (name, other) in context.facts.iter().filter(|(name, _)| **name != context.node.name) {
        if !own.identity.machine_id.is_empty() && own.identity.machine_id == other.identity.machine_id {
            return op::refused(
                format!("its machine-id is that of {name}: one is a copy of the other"),
                "on one of them: rm /etc/machine-id; systemd-machine-id-setup; then reboot",
            );
        }
        if let Some(mac) = macs(own, context).find(|mac| macs(other, context).any(|theirs| theirs == *mac)) {
            return op::refused(
                format!("its network address {mac} (MAC) is that of {name}"),
                format!("give one of them another; {}", skip_hint("preflight.identity")),
            );
        }
    }
    // Nodes that were not looked at: the cluster knows their machine-ids.
    let mut live = context.live().into_iter().flat_map(|live| &live.nodes);
    let same = |id: &str| !id.is_empty() && id == own.identity.machine_id;
    if let Some((name, _)) = live.find(|(name, node)| **name != context.node.name && same(&node.machine_id)) {
        return op::refused(
            format!("its machine-id is that of {name}, a node of the cluster"),
            format!(
                "if it is a copy: rm /etc/machine-id; systemd-machine-id-setup; if it is {name} itself, remove that first"
            ),
        );
    }
    if own.identity.machine_id.is_empty() {
        return op::refused("the machine has no machine-id", "on the machine: systemd-machine-id-setup");
    }
    Verdict::Satisfied
}

/// Of links that carry a node's address: bridges and tunnels may well be alike everywhere.
fn macs<'a>(facts: &'a Facts, context: &'a Context<'_>) -> impl Iterator<Item = &'a str> {
    let is_node_ip = |address: &String| {
        let ip = address.split('/').next().unwrap_or_default();
        context.spec.nodes.iter().any(|node| node.node_ips.iter().any(|node_ip| node_ip.to_string() == ip))
    };
    facts
        .links
        .iter()
        .filter(move |link| !link.mac.is_empty() && link.addresses.iter().any(is_node_ip))
        .map(|link| link.mac.as_str())
}
