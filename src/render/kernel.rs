//! What the kernel of a node must have and do.

use crate::model::cluster::{ClusterSpec, NetworkKind};
use crate::model::net::Family;

/// Kernel modules. Others (nf_conntrack, ip_set, …) are loaded by who needs them.
///
/// vxlan would be loaded by flannel too, but minimal kernels lack it (`linux-modules-extra`): better said here than by
/// a pod that crashes.
pub fn modules(spec: &ClusterSpec) -> Vec<String> {
    let mut modules = vec!["overlay", "br_netfilter"];
    if spec.network.kind == NetworkKind::Flannel {
        modules.push("vxlan");
    }
    modules.into_iter().map(str::to_owned).collect()
}

/// Kernel settings.
///
/// kubeadm 1.30 no longer checks the bridge settings (kubernetes#123464), so it would not be noticed that policies and
/// services miss packets between pods of one node.
pub fn sysctls(spec: &ClusterSpec) -> Vec<(String, String)> {
    let mut settings = vec![
        ("net.ipv4.ip_forward", "1"),
        ("net.bridge.bridge-nf-call-iptables", "1"),
        ("net.bridge.bridge-nf-call-ip6tables", "1"),
    ];
    if spec.pod_cidrs.of(Family::V6).is_some() {
        settings.push(("net.ipv6.conf.all.forwarding", "1"));
    }
    settings.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn follow_the_network() {
        let mut spec = sample::cluster();
        assert_eq!(modules(&spec), ["overlay", "br_netfilter", "vxlan"]);
        assert_eq!(sysctls(&spec).len(), 3);
        spec.network.kind = NetworkKind::Routed;
        assert_eq!(modules(&spec), ["overlay", "br_netfilter"]);
        assert!(sysctls(&sample::dual_stack()).iter().any(|(key, _)| key == "net.ipv6.conf.all.forwarding"));
    }
}
