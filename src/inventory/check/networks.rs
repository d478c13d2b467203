//! Networks: apart from each other, of the same families, and large enough.

use std::net::IpAddr;

use crate::diag::toml::{At, Document};
use crate::diag::{Problem, Span};
use crate::inventory::raw::{Inventory, Node};
use crate::model::cluster::NodeMask;
use crate::model::net::{Cidr, Families, Family, HasFamily};

/// A network with the key that it comes from; without a place where it is the default.
struct Network {
    key: &'static str,
    cidr: Cidr,
    span: Option<Span>,
}

pub fn check(document: &Document<'_>, raw: &Inventory) {
    let pods = networks("pod-cidr", &raw.cluster.pod_cidrs, "10.244.0.0/16");
    let services = networks("service-cidr", &raw.cluster.service_cidrs, "10.96.0.0/12");
    for node in &raw.nodes {
        reachable(document, node);
    }
    let lists = [&raw.cluster.pod_cidrs, &raw.cluster.service_cidrs];
    let differ = lists.map(|list| families_differ(document, list));
    if raw.cluster.networks_refused || differ.contains(&false) {
        return;
    }
    same_families(document, &pods, &services);
    for network in pods.iter().chain(&services) {
        reserved(document, network);
    }
    apart(document, &pods, &services);
    for node in &raw.nodes {
        node_addresses(document, node, &pods, &services);
    }
    let v6 = pods.iter().any(|network| network.cidr.family() == Family::V6);
    if let (true, Some(mtu)) = (v6, raw.network.mtu.as_ref().filter(|mtu| mtu.value.bytes() < 1280)) {
        let problem = Problem::at(mtu.span.clone(), "IPv6 needs an MTU of at least 1280 bytes");
        document.push(problem.hint("leave `mtu` out: it is taken from the nodes' links"));
    }
    for network in &services {
        service_size(document, network);
    }
    for network in &pods {
        room_for_nodes(document, raw, network);
    }
}

fn networks(key: &'static str, given: &[At<Cidr>], default: &str) -> Vec<Network> {
    if given.is_empty() {
        return vec![Network { key, cidr: default.parse().expect("a default network"), span: None }];
    }
    given.iter().map(|at| Network { key, cidr: at.value, span: Some(at.span.clone()) }).collect()
}

/// One network, or two of different families.
fn families_differ(document: &Document<'_>, list: &[At<Cidr>]) -> bool {
    let (Some(last), Err(why)) = (list.last(), Families::new(list.iter().map(|at| at.value))) else { return true };
    let hint = "give one network, or one of IPv4 and one of IPv6";
    document.push(Problem::at(last.span.clone(), why.message()).hint(hint));
    false
}

/// Pods and services speak the same families, the primary one first.
fn same_families(document: &Document<'_>, pods: &[Network], services: &[Network]) {
    let families = |list: &[Network]| -> Vec<Family> { list.iter().map(|network| network.cidr.family()).collect() };
    if families(pods) == families(services) {
        return;
    }
    let words = |list: &[Network]| families(list).iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let Some(span) = pods.iter().chain(services).find_map(|network| network.span.clone()) else { return };
    let message = format!("pods have {}, services have {}", words(pods), words(services));
    let hint = "give `pod-cidr` and `service-cidr` the same IP families in the same order; the defaults are IPv4";
    document.push(Problem::at(span, message).hint(hint));
}

/// Networks that no pod and no service may have.
fn reserved(document: &Document<'_>, network: &Network) {
    let reserved = [
        ("127.0.0.0/8", "of each machine itself"),
        ("169.254.0.0/16", "of one link"),
        ("224.0.0.0/4", "for multicast"),
        ("0.0.0.0/8", "no network"),
        ("::/127", "of each machine itself"),
        ("fe80::/10", "of one link"),
        ("ff00::/8", "for multicast"),
    ];
    let Some(span) = &network.span else { return };
    for (cidr, what) in reserved {
        if cidr.parse::<Cidr>().is_ok_and(|cidr| cidr.overlaps(&network.cidr)) {
            let problem = Problem::at(span.clone(), format!("{} reaches into {cidr}, which is {what}", network.cidr));
            document.push(problem.hint("take a private network, such as one inside 10.0.0.0/8 or fd00::/8"));
        }
    }
}

fn apart(document: &Document<'_>, pods: &[Network], services: &[Network]) {
    for pod in pods {
        for service in services.iter().filter(|service| service.cidr.overlaps(&pod.cidr)) {
            let (at, other) = if service.span.is_some() { (service, pod) } else { (pod, service) };
            let Some(span) = at.span.clone() else { continue };
            let default = if other.span.is_none() { " (the default)" } else { "" };
            let message = format!("{} {} overlaps {} {}{default}", at.key, at.cidr, other.key, other.cidr);
            let mut problem = Problem::at(span, message).hint("pods and services need networks of their own");
            if let Some(span) = other.span.clone() {
                problem = problem.other(span, "overlaps this");
            }
            document.push(problem);
        }
    }
}

/// Addresses that nodes know each other by: given, and of use to others.
fn reachable(document: &Document<'_>, node: &Node) {
    let ips = node.ips();
    if let (true, Some(address)) = (ips.is_empty() && !node.node_ip_given, &node.address) {
        let problem =
            Problem::at(address.span.clone(), format!("`{}` is a name: its address must be given too", address.value));
        document
            .push(problem.hint("add the address that the other nodes reach it by, such as `node-ip = \"10.0.0.11\"`"));
    }
    for ip in ips.iter().filter(|ip| unusable(ip.value)) {
        let problem = Problem::at(ip.span.clone(), format!("other nodes can't reach this one at {}", ip.value));
        document.push(problem.hint("set `node-ip` to the address that nodes know it by"));
    }
}

/// The same addresses among the cluster's: of its families, outside of its networks.
fn node_addresses(document: &Document<'_>, node: &Node, pods: &[Network], services: &[Network]) {
    let ips = node.ips();
    for ip in &ips {
        for network in pods.iter().chain(services).filter(|network| network.cidr.contains(ip.value)) {
            let default = if network.span.is_none() { " (the default)" } else { "" };
            let message = format!("{} lies inside {} {}{default}", ip.value, network.key, network.cidr);
            let hint = format!("the node would be unreachable from pods: choose another `{}`", network.key);
            let mut problem = Problem::at(ip.span.clone(), message).hint(hint);
            if let Some(span) = network.span.clone() {
                problem = problem.other(span, "this network");
            }
            document.push(problem);
        }
    }
    if !node.node_ip_refused {
        families(document, &ips, pods);
    }
}

fn families(document: &Document<'_>, ips: &[At<IpAddr>], pods: &[Network]) {
    let Some(first) = ips.first() else { return };
    let wanted: Vec<Family> = pods.iter().map(|network| network.cidr.family()).collect();
    let given: Vec<Family> = ips.iter().map(|ip| ip.value.family()).collect();
    // More families on a node than in the cluster are of no use, fewer or others are an error: one rule for all.
    if given != wanted {
        let words = |list: &[Family]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        let message = format!("the cluster has {} addresses, this node has {}", words(&wanted), words(&given));
        let hint = "`node-ip` takes one address for each family of `pod-cidr`, in the same order";
        document.push(Problem::at(first.span.clone(), message).hint(hint));
    }
}

fn unusable(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || link_local
}

/// At most 20 bits of services, as kubeadm checks, and room for the tenth address, which is the DNS server's.
fn service_size(document: &Document<'_>, network: &Network) {
    let Some(span) = network.span.clone() else { return };
    let bits = network.cidr.family().bits();
    if network.cidr.host_bits() > 20 {
        let problem = Problem::at(span, format!("{} is larger than Kubernetes takes for services", network.cidr));
        document.push(problem.hint(format!("a prefix of {} or longer", bits - 20)));
    } else if network.cidr.host_bits() < 4 {
        let problem = Problem::at(
            span,
            format!("{} has no room for services: its tenth address is the DNS server's", network.cidr),
        );
        document.push(problem.hint(format!("a prefix of {} or shorter", bits - 4)));
    }
}

/// The node mask lies inside the pod network, and there is a part for every node.
fn room_for_nodes(document: &Document<'_>, raw: &Inventory, network: &Network) {
    let family = network.cidr.family();
    let (key, given) = match family {
        Family::V4 => ("node-mask", &raw.cluster.node_mask_v4),
        Family::V6 => ("node-mask-v6", &raw.cluster.node_mask_v6),
    };
    let mask = match given {
        Some(given) => u8::try_from(given.value).unwrap_or(u8::MAX),
        None => NodeMask::default().of(family),
    };
    let prefix = network.cidr.prefix();
    let Some(span) = given.as_ref().map(|given| given.span.clone()).or(network.span.clone()) else {
        return room(document, raw, network, mask);
    };
    if mask < prefix {
        let message = format!("each node would get a /{mask} of the pod network, which is only a /{prefix} itself");
        document.push(Problem::at(span, message).hint(format!("`{key}` must be at least {prefix}")));
    } else if mask - prefix > 16 {
        let message = format!("parting a /{prefix} into /{mask} is more than the controller manager can: 16 bits");
        document.push(Problem::at(span, message).hint(format!("`{key}` must be at most {}", prefix + 16)));
    } else if family.bits() - mask < 2 {
        let message = format!("a /{mask} has no room for pods");
        document
            .push(Problem::at(span, message).hint(format!("`{key}` is usually {}", NodeMask::default().of(family))));
    } else {
        room(document, raw, network, mask);
    }
}

fn room(document: &Document<'_>, raw: &Inventory, network: &Network, mask: u8) {
    let subnets = network.cidr.subnets(mask);
    let Some(first_without) = usize::try_from(subnets).ok().and_then(|count| raw.nodes.get(count)) else { return };
    let span = first_without.name.as_ref().map_or(first_without.span.clone(), |name| name.span.clone());
    let message = format!("{} nodes, but {} has room for {subnets} of /{mask}", raw.nodes.len(), network.cidr);
    let mut problem = Problem::at(span, message).label("the first node without a part of the pod network");
    if let Some(span) = network.span.clone() {
        problem = problem.other(span, "this network");
    }
    document.push(problem.hint("a larger `pod-cidr`, or a longer `node-mask` with fewer pods on each node"));
}
