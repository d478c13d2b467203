//! Names of nodes and clusters, and DNS names.

use std::net::IpAddr;

use super::invalid::{Invalid, checked_text, serde_as_text};

/// The longest DNS label, and the longest label value of Kubernetes (a node's name is one, `kubernetes.io/hostname`).
const LABEL: usize = 63;
/// The longest DNS name in text.
const NAME: usize = 253;

/// Name of a node: its host name, its kubelet's name and its label `kubernetes.io/hostname`, all the same.
///
/// A DNS-1123 subdomain in lower case, at most 63 characters in all because it is a label value too. kubeadm lower-cases
/// host names and adds `--hostname-override` where they differ, so only names that need neither are taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);
checked_text!(NodeName);

impl NodeName {
    fn check(text: &str) -> Result<(), Invalid> {
        if text.parse::<IpAddr>().is_ok() {
            return Err(Invalid::new(format!("`{text}` is an address, not a name"))
                .hint("give the node a host name such as `cp1`, and the address as `address`"));
        }
        subdomain("a node name", text).map_err(|why| with_better(why, text, subdomain))?;
        if text.len() > LABEL {
            return Err(Invalid::new(format!(
                "a node name has at most {LABEL} characters, this one has {}",
                text.len()
            ))
            .hint("it becomes the label kubernetes.io/hostname, whose value is limited to that"));
        }
        Ok(())
    }
}

/// Name of a cluster: one DNS label, because the default endpoint is named after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(String);
checked_text!(ClusterName);

impl ClusterName {
    fn check(text: &str) -> Result<(), Invalid> {
        label("a cluster name", text).map_err(|why| with_better(why, text, label))
    }
}

/// A DNS name: DNS-1123 subdomain in lower case, at most 253 characters, no final dot, not an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);
checked_text!(DnsName);

impl DnsName {
    fn check(text: &str) -> Result<(), Invalid> {
        if text.parse::<IpAddr>().is_ok() {
            return Err(Invalid::new(format!("`{text}` is an address, not a DNS name")));
        }
        subdomain("a DNS name", text).map_err(|why| with_better(why, text, subdomain))
    }
}

/// Where a machine is reached: an address, or a name that the operator's machine resolves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An address of either family.
    Ip(IpAddr),
    /// A name, resolved when it is used.
    Name(DnsName),
}
serde_as_text!(Host);

impl Host {
    /// The address, absent for a name.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(ip) => f.pad(&ip.to_string()),
            Self::Name(name) => f.pad(name.as_str()),
        }
    }
}

impl std::str::FromStr for Host {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        // What looks like an IPv4 address can't be meant as a name: say so instead of taking `10.0.0.256` for one.
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(Invalid::new(format!("`{text}` is not an IPv4 address")));
        }
        if let Some((user, host)) = text.rsplit_once('@') {
            let (user, host) = (user.escape_debug(), host.escape_debug());
            return Err(Invalid::new(format!("`{}` holds a user", text.escape_debug()))
                .hint(format!("write `{host}` here, and `{user}` as `user` of `ssh`")));
        }
        if let Some((host, port)) = text.rsplit_once(':')
            && port.parse::<u16>().is_ok()
            && !host.contains(':')
        {
            return Err(Invalid::new(format!("`{text}` holds a port"))
                .hint(format!("write `{host}` here, and the port in its own key")));
        }
        DnsName::new(text).map(Self::Name)
    }
}

/// Checks a DNS-1123 subdomain.
fn subdomain(what: &str, text: &str) -> Result<(), Invalid> {
    if text.len() > NAME {
        return Err(Invalid::new(format!("{what} has at most {NAME} characters, this one has {}", text.len())));
    }
    if text.is_empty() {
        return label(what, text);
    }
    if let Some(bare) = text.strip_suffix('.') {
        return Err(Invalid::new(format!("{what} has no final dot")).hint(format!("write `{bare}`")));
    }
    if text.contains("..") || text.starts_with('.') {
        return Err(Invalid::new(format!("{what} has no empty part between dots")));
    }
    text.split('.').try_for_each(|part| label(what, part))
}

fn is_label_char(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-')
}

/// Adds to a refusal the nearest text that would do, where there is one.
fn with_better(why: Invalid, text: &str, check: fn(&str, &str) -> Result<(), Invalid>) -> Invalid {
    let fits = |c: char| is_label_char(c) || c == '.';
    let better: String = text.to_ascii_lowercase().chars().map(|c| if fits(c) { c } else { '-' }).collect();
    if why.way_out().is_none() && check("", &better).is_ok() {
        return why.hint(format!("`{better}` would do"));
    }
    why
}

/// Checks a DNS-1123 label.
fn label(what: &str, text: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        return Err(Invalid::new(format!("{what} can't be empty")));
    }
    if let Some(odd) = text.chars().find(|c| !is_label_char(*c)) {
        return Err(Invalid::new(format!(
            "{what} has lower-case letters, digits and `-` only, not `{}`",
            odd.escape_debug()
        )));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(Invalid::new(format!("{what} begins and ends with a letter or digit")));
    }
    if text.len() > LABEL {
        return Err(Invalid::new(format!(
            "a part of {what} has at most {LABEL} characters, `{text}` has {}",
            text.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_are_subdomains_that_fit_a_label_value() {
        for good in ["cp1", "a", "1a", "web-1.eu.example", &"a".repeat(63)] {
            assert_eq!(NodeName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a..b", ".a", "a.", "é", "10.0.0.1", &"a".repeat(64), "a b", "a\n"] {
            assert!(NodeName::new(bad).is_err(), "{bad:?}");
        }
        assert!(NodeName::new(format!("{0}.{0}", "a".repeat(40))).is_err());
    }

    #[test]
    fn a_refused_name_says_what_would_do() {
        let refused = NodeName::new("Node_1").unwrap_err();
        assert_eq!(refused.way_out(), Some("`node-1` would do"));
    }

    #[test]
    fn cluster_names_are_one_label() {
        assert!(ClusterName::new("lab").is_ok());
        assert!(ClusterName::new("lab.internal").is_err());
    }

    #[test]
    fn hosts_are_addresses_or_names_and_nothing_between() {
        assert_eq!("10.0.0.1".parse(), Ok(Host::Ip([10, 0, 0, 1].into())));
        assert!(matches!("fd00::1".parse(), Ok(Host::Ip(IpAddr::V6(_)))));
        assert!(matches!("cp1.example".parse(), Ok(Host::Name(_))));
        for bad in ["10.0.0.256", "10.0.0", "cp1:22", "", "user@cp1"] {
            assert!(bad.parse::<Host>().is_err(), "{bad:?}");
        }
    }
}
