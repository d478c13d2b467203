//! How the program reaches nodes: the only place that names `transport::ssh`.

use std::sync::Arc;

use crate::{
    model::{
        access::SudoMode,
        node::NodeSpec,
        secret::Secret,
        ssh::{Agent, SshTarget, SshTimeouts, Sudo},
    },
    transport::{Connector, ssh::SshConnector},
};

/// Opens connections to nodes by SSH.
pub fn connector() -> Arc<dyn Connector> {
    Arc::new(SshConnector::new())
}

/// A node as SSH reaches it. `sudo_password` is used only where the inventory says that sudo asks for one.
pub fn target(node: &NodeSpec, accept_new_host_keys: bool, sudo_password: Option<&Secret<String>>) -> SshTarget {
    let ssh = &node.ssh;
    let limit = ssh.timeout.duration();
    SshTarget {
        port: ssh.port,
        user: ssh.user.to_string(),
        identity_files: ssh.keys.clone(),
        agent: if ssh.agent { Agent::Environment } else { Agent::Off },
        known_hosts: ssh.known_hosts.clone(),
        accept_new_host_keys,
        sudo: match (ssh.sudo, sudo_password) {
            (SudoMode::None, _) => Sudo::Root,
            (SudoMode::Password, Some(password)) => Sudo::Password(password.clone()),
            (SudoMode::Passwordless, _) | (SudoMode::Password, None) => Sudo::Passwordless,
        },
        timeouts: SshTimeouts { connect: limit, handshake: limit, auth: limit },
        ..SshTarget::new(&node.name, &node.address)
    }
}
