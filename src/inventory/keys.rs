//! Every key of an inventory: what it means, what it is by default, and what a change of it does to a living cluster.

use crate::diag::did_you_mean;

/// What a change of a key does to a cluster that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Nothing: it was settled when the cluster was formed, and an inventory that differs is an error.
    Fixed,
    /// `up` makes it so.
    Live,
    /// It is rolled through the cluster; where that does not exist yet, the plan says that it can't be changed.
    Rolling,
}

impl Class {
    /// The word in documentation and plans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Live => "live",
            Self::Rolling => "rolling",
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its path, with dots between tables: `cluster.pod-cidr`, `node.name`. The keys of `[ssh]` are those of a node's
    /// `ssh` too.
    pub path: &'static str,
    /// What a change of it does.
    pub class: Class,
    /// Its default in words; empty where the key must be given.
    pub default: &'static str,
    /// What it is, in one line.
    pub doc: &'static str,
}

const fn key(path: &'static str, class: Class, default: &'static str, doc: &'static str) -> Key {
    Key { path, class, default, doc }
}

use Class::{Fixed, Live, Rolling};

/// The keys in the order of documentation.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("cluster.name", Fixed, "", "name of the cluster, one DNS label"),
    key("cluster.kubernetes", Rolling, "", "version of Kubernetes with its patch, in quotes"),
    key("cluster.pod-cidr", Fixed, "10.244.0.0/16", "network of pods; a list of two for two IP families"),
    key("cluster.service-cidr", Fixed, "10.96.0.0/12", "network of services; as many and in the same order as pod-cidr"),
    key("cluster.node-mask", Fixed, "24", "prefix of each node's part of the IPv4 pod network"),
    key("cluster.node-mask-v6", Fixed, "64", "prefix of each node's part of the IPv6 pod network"),
    key("cluster.dns-domain", Fixed, "cluster.local", "domain of services"),
    key("cluster.extra-sans", Rolling, "none", "more names and addresses for the API servers' certificates"),
    key("cluster.image-repository", Rolling, "registry.k8s.io", "where Kubernetes' own images are pulled from"),
    key("cluster.endpoint.kind", Fixed, "local-proxy", "local-proxy: a proxy on every node; external: your own load balancer"),
    key("cluster.endpoint.name", Fixed, "api.NAME.internal", "name of the API for everything in the cluster; needed for external"),
    key("cluster.endpoint.port", Fixed, "7443; external 6443", "port of the API under that name"),
    key("ssh.user", Live, "root", "who logs in"),
    key("ssh.port", Live, "22", "TCP port of sshd"),
    key("ssh.key", Live, "the agent's", "private key file or files; `~` and paths relative to the inventory"),
    key("ssh.agent", Live, "true", "whether the agent of SSH_AUTH_SOCK is asked after the key files"),
    key("ssh.known-hosts", Live, "~/.ssh/known_hosts", "file or files of known host keys"),
    key("ssh.sudo", Live, "none for root, else passwordless", "none, passwordless or password (asked for at the start)"),
    key("ssh.timeout", Live, "10s", "limit for connecting, for the handshake and for authentication, each"),
    key("repository.url", Live, "https://pkgs.k8s.io", "where the package repositories of Kubernetes begin"),
    key("repository.key-fingerprint", Live, "that of pkgs.k8s.io", "fingerprint of the one key trusted for them"),
    key("runtime.kind", Fixed, "containerd", "container runtime"),
    key("runtime.package", Rolling, "containerd", "package that brings it"),
    key("runtime.version", Rolling, "what the repositories have", "version of that package, as apt takes it"),
    key("network.kind", Fixed, "flannel", "flannel, routed (one flat layer 2, no tunnel) or none (you bring one)"),
    key("network.mtu", Live, "from the nodes' links", "MTU of the pods' links in bytes"),
    key("network.flannel", Rolling, "this program's", "version of flannel, the tag of its image"),
    key("network.kube-router", Rolling, "this program's", "version of kube-router, the tag of its image"),
    key("time.manage", Live, "true", "whether a running time daemon is seen to"),
    key("time.servers", Live, "the distribution's", "time servers to ask"),
    key("etcd.layout", Fixed, "stacked; service with an even number of control planes", "how members of etcd run: stacked (kubeadm's static pods) or service"),
    key("backup.recipients", Live, "none", "age recipients that backups are encrypted to"),
    key("backup.schedule", Live, "none", "when control planes take backups by themselves, as systemd's OnCalendar: daily, Mon..Fri 03:00"),
    key("backup.keep", Live, "7", "how many of those each control plane keeps"),
    key("backup.s3.endpoint", Live, "none", "S3 endpoint that they are also sent to: https://HOST"),
    key("backup.s3.bucket", Live, "none", "bucket there"),
    key("backup.s3.region", Live, "us-east-1", "region of the bucket"),
    key("backup.s3.prefix", Live, "none", "what names of objects begin with; NODE/ARCHIVE follows"),
    key("backup.s3.credentials", Live, "none", "file with the account's key, as AWS' tools write it"),
    key("encryption.provider", Rolling, "none", "secretbox: Secrets are encrypted in etcd; once on, it stays on"),
    key("override.cluster", Rolling, "none", "merged into kubeadm's ClusterConfiguration"),
    key("override.kubelet", Rolling, "none", "merged into KubeletConfiguration"),
    key("override.kube-proxy", Rolling, "none", "merged into KubeProxyConfiguration"),
    key("override.containerd", Live, "none", "merged into containerd's config.toml"),
    key("node.name", Fixed, "", "host name and name of the node"),
    key("node.address", Live, "", "where SSH reaches it: an address or a name"),
    key("node.role", Fixed, "", "control-plane or worker"),
    key("node.zone", Live, "none", "failure zone, the label topology.kubernetes.io/zone"),
    key("node.labels", Live, "none", "labels, a table of strings"),
    key("node.taints", Live, "none", "taints as kubectl writes them: key=value:Effect"),
    key("node.etcd-witness", Rolling, "a worker that is chosen", "whether this worker holds the witness of etcd, where one is needed"),
    key("node.node-ip", Fixed, "address, where that is an IP", "address or two (one for each IP family) that the nodes know it by"),
    key("node.ssh", Live, "[ssh]", "keys of [ssh] that differ for this node"),
];

/// The key of this path, absent where there is none. A node's `ssh` keys are those of `[ssh]`.
pub fn find(path: &str) -> Option<&'static Key> {
    let path = path.strip_prefix("node.ssh.").map_or_else(|| path.to_owned(), |key| format!("ssh.{key}"));
    KEYS.iter().find(|key| key.path == path)
}

/// What a key is, as a hint beside a value that it doesn't take; inside of a key that is the user's own table, what
/// that table is.
pub(super) fn describe(path: &str) -> Option<String> {
    let Some(key) = find(path) else { return describe(path.rsplit_once('.')?.0) };
    let default = match key.default {
        "" => String::new(),
        default => format!(" (default: {default})"),
    };
    Some(format!("`{}`: {}{default}", key.path, key.doc))
}

/// Where a key that is unknown in its table may belong: a hint, absent where nothing is near.
pub(super) fn elsewhere(word: &str) -> Option<String> {
    let parts = || KEYS.iter().filter_map(|key| key.path.rsplit_once('.'));
    // Whole tables are mistaken too: `[endpoint]` for `[cluster.endpoint]`.
    let tables =
        [("endpoint", "cluster.endpoint"), ("nodes", "[node]"), ("node", "[node]"), ("kubelet", "override.kubelet")];
    if let Some((_, table)) = tables.iter().find(|(name, _)| *name == word) {
        return Some(format!("did you mean `[{table}]`?"));
    }
    if KEYS.iter().any(|key| key.path.split('.').next() == Some(word)) {
        return Some(format!("`[{word}]` is a table of its own"));
    }
    let meant = did_you_mean(word, parts().map(|(_, last)| last))?;
    let (table, _) = parts().find(|(_, last)| *last == meant)?;
    let table = if table == "node" { "[[node]]".to_owned() } else { format!("[{table}]") };
    Some(if meant == word {
        format!("`{meant}` belongs in {table}")
    } else {
        format!("did you mean `{meant}` of {table}?")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_found() {
        for (index, key) in KEYS.iter().enumerate() {
            assert_eq!(KEYS.iter().position(|other| other.path == key.path), Some(index), "{}", key.path);
        }
        assert_eq!(find("node.ssh.user").map(|key| key.path), Some("ssh.user"));
        assert_eq!(find("cluster.nope"), None);
    }

    #[test]
    fn a_key_in_the_wrong_table_is_sent_home() {
        assert_eq!(elsewhere("pod-cidr").unwrap(), "`pod-cidr` belongs in [cluster]");
        assert_eq!(elsewhere("podcidr").unwrap(), "did you mean `pod-cidr` of [cluster]?");
        assert_eq!(elsewhere("endpoint").unwrap(), "did you mean `[cluster.endpoint]`?");
        assert_eq!(elsewhere("ssh").unwrap(), "`[ssh]` is a table of its own");
        assert_eq!(elsewhere("zzz"), None);
    }
}
