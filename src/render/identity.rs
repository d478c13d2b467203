//! The identity that every node and the cluster itself carry.

use super::HEADER;
use crate::model::facts::ClusterIdentity;

/// Where it lies on a node.
pub const PATH: &str = "/var/lib/kbootstrap/cluster.toml";

/// The text of `cluster.toml`.
///
/// # Panics
/// Never: an identity is three strings.
pub fn text(identity: &ClusterIdentity) -> String {
    format!("{HEADER}{}", toml::to_string(identity).expect("strings are TOML"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back() {
        let identity = ClusterIdentity { id: "00ff".into(), name: "demo".into(), ca_sha256: "ab12".into() };
        let text = text(&identity);
        assert_eq!(text, format!("{HEADER}id = \"00ff\"\nname = \"demo\"\nca_sha256 = \"ab12\"\n"));
        assert_eq!(toml::from_str::<ClusterIdentity>(&text).unwrap(), identity);
    }
}
