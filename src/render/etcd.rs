//! etcd as a systemd service: its unit, and what it begins with.

use crate::model::cluster::ClusterSpec;
use crate::model::etcd::EtcdLayout;
use crate::model::node::NodeSpec;

use super::HEADER;
use super::images;
use super::static_pods::{Component, flags};

/// Where the unit lies.
pub const UNIT_PATH: &str = "/etc/systemd/system/kbootstrap-etcd.service";
/// The user that members run as; it can't log in.
pub const USER: &str = "kbootstrap-etcd";
/// How a member was first started: read by etcd only while it has no data, and each member's own. So it is apart from the
/// unit, which is the same whenever it is rendered.
pub const START_PATH: &str = "/var/lib/kbootstrap/etcd-start.env";
/// The folder above all versions of its programs.
pub const PROGRAMS: &str = "/opt/kbootstrap/etcd";

/// The folder of its programs: one for each version, so that a unit names the version that it runs.
pub fn programs(spec: &ClusterSpec) -> String {
    format!("{PROGRAMS}/{}", images::etcd_tag(spec))
}

/// The unit.
///
/// Settings are flags, since audits (kube-bench 2.x) read the command line. A member tells systemd that it is up once it has
/// a leader, which after an outage of all may take as long as the others do: it is not ended for that. On the witness pods
/// are at work beside it, so it lies in the root slice with ten times their weight, and is what the kernel kills last.
pub fn unit(spec: &ClusterSpec, node: &NodeSpec) -> String {
    let flags: String =
        flags(spec, node, Component::Etcd).iter().map(|(flag, value)| format!(" \\\n  --{flag}={value}")).collect();
    format!(
        "{HEADER}\
[Unit]
Description=etcd of the cluster {cluster}
Documentation=https://etcd.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
User={USER}
EnvironmentFile=-{START_PATH}
ExecStart={programs}/etcd{flags}
Restart=always
RestartSec=2
TimeoutStartSec=infinity
LimitNOFILE=65536
Slice=-.slice
CPUWeight=1000
IOWeight=1000
OOMScoreAdjust=-997
MemoryMin=256M
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={data}
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
",
        cluster = spec.name,
        programs = programs(spec),
        data = EtcdLayout::Service.data_folder(),
    )
}

/// `NAME=URL` of every one of these members, with commas between: what they begin with.
pub fn initial_cluster<'a>(members: impl Iterator<Item = &'a NodeSpec>) -> String {
    let one = |node: &NodeSpec| format!("{}={}", node.name, peer_url(node));
    members.map(one).collect::<Vec<_>>().join(",")
}

/// Where the other members reach a node's member.
pub fn peer_url(node: &NodeSpec) -> String {
    format!("https://{}", std::net::SocketAddr::new(node.node_ip(), EtcdLayout::PEER_PORT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn the_unit() {
        let mut spec = sample::cluster();
        spec.etcd = EtcdLayout::Service;
        insta::assert_snapshot!(unit(&spec, &spec.nodes[0]));
        assert!(initial_cluster(spec.control_planes()).starts_with("cp1=https://"));
    }
}
