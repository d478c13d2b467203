//! The local endpoint: a haproxy of our own on every node, behind the endpoint's name on 127.0.0.1.

use crate::model::cluster::{API_SERVER_PORT, ClusterSpec};
use crate::model::node::NodeSpec;

use super::HEADER;

/// Configuration of haproxy. Not under `/etc/haproxy`, which belongs to the distribution's package and to the user.
pub const CONFIG_PATH: &str = "/etc/kbootstrap/haproxy.cfg";

/// Certificate of the cluster's authority, against which API servers are checked. A file of its own, readable by the
/// user that haproxy runs as; a worker has it before it joins.
pub const CA_PATH: &str = "/etc/kbootstrap/endpoint-ca.crt";

/// Name of the unit.
pub const UNIT: &str = "kube-endpoint.service";

/// Where the unit lies.
pub const UNIT_PATH: &str = "/etc/systemd/system/kube-endpoint.service";

/// Where commands are given to the running haproxy: `set server api-servers/cp1 state drain`.
pub const ADMIN_SOCKET: &str = "/run/kube-endpoint/admin.sock";

/// Name of the backend, for commands on the admin socket. Its servers have the names of their nodes.
pub const BACKEND: &str = "api-servers";

/// Most connections at once. A node has tens (kubelet, kube-proxy, pods on the host's network); what opens hundreds is
/// a user's work on the node.
const MAX_CONNECTIONS: u32 = 4096;

/// haproxy wants two descriptors for each connection and some for checks and listeners, and refuses to start where it
/// can't have them (`Cannot raise FD limit`).
const DESCRIPTORS: u32 = 4 * MAX_CONNECTIONS;

/// `haproxy.cfg` of one node, valid from haproxy 2.4 (Ubuntu 22.04) on.
///
/// On a control plane its own API server takes everything and the others stand by; on a worker all share. Servers are
/// addresses, so nothing is resolved.
///
/// Measured with three servers (haproxy 2.6, ten kept connections, new ones all the time): to a server whose machine is
/// off, new connections take 1.0 s until the next one is tried, and kept ones are closed after 2.8 to 3.4 s; where the
/// process hangs, after 2.5 to 3.4 s. Checks resume their TLS session after the first, so that a check each second
/// costs an API server no signature.
pub fn config(spec: &ClusterSpec, node: &NodeSpec) -> String {
    let servers: String = spec
        .control_planes()
        .map(|server| {
            let backup = if node.is_control_plane() && server.name != node.name { " backup" } else { "" };
            format!(
                "    server {} {}{backup}\n",
                server.name,
                std::net::SocketAddr::new(server.node_ip(), API_SERVER_PORT)
            )
        })
        .collect();
    let port = spec.endpoint.port;
    format!(
        "{HEADER}\
global
    maxconn {MAX_CONNECTIONS}
    stats socket {ADMIN_SOCKET} mode 600 level admin expose-fd listeners
    # after a reload the old process checks nothing any more: its connections must move to the new one soon
    hard-stop-after 15s

defaults
    mode tcp
    # to a machine that is off: the next server is tried after a second
    timeout connect 1s
    retries 3
    option redispatch 1
    # silence before anything was said
    timeout client 1m
    timeout server 1m
    # silence of an open connection: as long as kubelet keeps a silent `kubectl exec` (streamingConnectionIdleTimeout)
    timeout tunnel 4h
    # a busy API server may think before it answers; one that is off does not get that far
    timeout check 3s

frontend api
    bind 127.0.0.1:{port}
    default_backend {BACKEND}

backend {BACKEND}
    # many proxies decide without knowing of each other: with roundrobin or leastconn all would begin at the same server
    balance random
    # when a control plane's own server is down, the others share its load
    option allbackups
    option httpchk GET /readyz
    http-check expect status 200
    option log-health-checks
    default-server check check-ssl verify required ca-file {CA_PATH} verifyhost kubernetes inter 1s fastinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}"
    )
}

/// `kube-endpoint.service`.
///
/// It never has root's rights: the port is above 1023, and systemd sets the limits before it becomes user `haproxy`,
/// whom the distribution's package makes. Of systemd's protections those are used that also work in a machine without
/// namespaces for users and without seccomp.
pub fn unit() -> String {
    format!(
        "{HEADER}\
[Unit]
Description=Way of this node to the Kubernetes API servers (haproxy)
Documentation=man:haproxy(1)
After=network.target
Before=kubelet.service
# without it the node has lost its cluster: no number of failures ends the attempts
StartLimitIntervalSec=0

[Service]
Type=notify
User=haproxy
Group=haproxy
RuntimeDirectory=kube-endpoint
RuntimeDirectoryMode=0700
ExecStartPre=/usr/sbin/haproxy -c -q -f {CONFIG_PATH}
ExecStart=/usr/sbin/haproxy -Ws -f {CONFIG_PATH}
# a configuration that is not valid is never loaded: the running one goes on
ExecReload=/usr/sbin/haproxy -c -q -f {CONFIG_PATH}
ExecReload=/bin/kill -USR2 $MAINPID
KillMode=mixed
SuccessExitStatus=143
Restart=always
RestartSec=1s
LimitNOFILE={DESCRIPTORS}
OOMScoreAdjust=-900
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=full
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn own_server_comes_first_on_a_control_plane() {
        let spec = sample::cluster();
        insta::assert_snapshot!(config(&spec, &spec.nodes[1]));
    }

    #[test]
    fn all_share_on_a_worker() {
        let spec = sample::dual_stack();
        let text = config(&spec, &spec.nodes[4]);
        let servers: Vec<&str> = text.lines().filter(|line| line.starts_with("    server ")).collect();
        assert_eq!(
            servers,
            ["    server cp1 10.77.0.11:6443", "    server cp2 10.77.0.12:6443", "    server cp3 10.77.0.13:6443"]
        );
    }

    #[test]
    fn unit_file() {
        insta::assert_snapshot!(unit());
    }
}
