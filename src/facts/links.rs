//! Network links and their addresses.

use serde::Deserialize;

use super::{error::FactError, section::Section};
use crate::model::facts::Link;

/// The section's name.
pub const NAME: &str = "links";

/// One process for names, MACs, MTUs and addresses of all links.
pub fn command() -> String {
    format!("_r {NAME} ip -j addr show")
}

#[derive(Deserialize)]
struct RawLink {
    // Some kernels' answers hold empty objects for links that went away meanwhile.
    ifname: Option<String>,
    #[serde(default)]
    address: String,
    #[serde(default)]
    mtu: u32,
    /// Its other end is in another network namespace, as that of every pod is.
    link_netnsid: Option<i64>,
    #[serde(default)]
    addr_info: Vec<RawAddress>,
}

#[derive(Deserialize)]
struct RawAddress {
    local: Option<String>,
    #[serde(default)]
    prefixlen: u8,
    #[serde(default)]
    scope: String,
}

/// Every link but those that lead into pods (a peer elsewhere and no address of their own), link-local addresses left out.
///
/// # Errors
/// `ip` is not there or its answer is not its JSON.
pub fn parse(section: &Section<'_>) -> Result<Vec<Link>, FactError> {
    let out = section
        .succeeded("links")
        .map_err(|error| error.hint("`ip` of the package iproute2 is needed: apt-get install iproute2"))?;
    let raw: Vec<RawLink> =
        serde_json::from_slice(out).map_err(|error| FactError::new("links", format!("the answer of `ip`: {error}")))?;
    Ok(raw.into_iter().filter_map(link).collect())
}

fn link(raw: RawLink) -> Option<Link> {
    let addresses: Vec<String> = raw
        .addr_info
        .into_iter()
        .filter(|address| address.scope != "link")
        .filter_map(|address| Some(format!("{}/{}", address.local?, address.prefixlen)))
        .collect();
    if raw.link_netnsid.is_some() && addresses.is_empty() {
        return None;
    }
    Some(Link { name: raw.ifname?, mac: raw.address, mtu: raw.mtu, addresses })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Captured on Debian 12 (iproute2 6.1) with flannel, shortened to one pod.
    const CAPTURED: &[u8] = br#"[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"qdisc":"noqueue","operstate":"UNKNOWN","group":"default","txqlen":1000,"link_type":"loopback","address":"00:00:00:00:00:00","broadcast":"00:00:00:00:00:00","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host","label":"lo","valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet6","local":"::1","prefixlen":128,"scope":"host","valid_life_time":4294967295,"preferred_life_time":4294967295}]},
{"ifindex":2,"link_index":5,"ifname":"host0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,"qdisc":"noqueue","operstate":"UP","group":"default","txqlen":1000,"link_type":"ether","address":"52:fe:aa:47:d1:8c","broadcast":"ff:ff:ff:ff:ff:ff","link_netnsid":0,"addr_info":[{"family":"inet","local":"10.77.0.11","prefixlen":24,"broadcast":"10.77.0.255","scope":"global","label":"host0","valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet6","local":"fe80::50fe:aaff:fe47:d18c","prefixlen":64,"scope":"link","valid_life_time":4294967295,"preferred_life_time":4294967295}]},{},
{"ifindex":7,"link_index":2,"ifname":"veth2a5eb5d1","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1450,"qdisc":"noqueue","master":"cni0","operstate":"UP","group":"default","link_type":"ether","address":"b2:9d:5c:11:8a:01","broadcast":"ff:ff:ff:ff:ff:ff","link_netnsid":1,"addr_info":[{"family":"inet6","local":"fe80::b09d:5cff:fe11:8a01","prefixlen":64,"scope":"link","valid_life_time":4294967295,"preferred_life_time":4294967295}]}]"#;

    #[test]
    fn a_node_with_pods() {
        let links = parse(&Section { code: 0, out: CAPTURED, err: b"" }).expect("read");
        let names: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
        assert_eq!(names, ["lo", "host0"]);
        let host0 = &links[1];
        assert_eq!((host0.mac.as_str(), host0.mtu), ("52:fe:aa:47:d1:8c", 1500));
        assert_eq!(host0.addresses, ["10.77.0.11/24"]);
    }

    #[test]
    fn without_ip_the_way_out_is_told() {
        let section = Section { code: 127, out: b"", err: b"sh: 1: ip: not found" };
        let error = parse(&section).expect_err("unknown");
        assert!(error.hint.is_some_and(|hint| hint.contains("iproute2")));
    }
}
