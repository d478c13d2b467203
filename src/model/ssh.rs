//! How one node is reached by SSH.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::secret::Secret;

/// One node as SSH reaches it: where, as whom, with which keys, and how root is had there.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// The node's name, for messages only.
    pub node: String,
    /// Address or DNS name to connect to; also the name under which known_hosts knows the node.
    pub host: String,
    /// TCP port. Default 22.
    pub port: u16,
    /// Login user. Default `root`.
    pub user: String,
    /// Private key files, tried in this order before the agent. Default none.
    pub identity_files: Vec<PathBuf>,
    /// Where an agent is looked for after the key files. Default [`Agent::Environment`].
    pub agent: Agent,
    /// Files that hold known host keys; those that do not exist count as empty. Default none, which knows no host.
    ///
    /// A newly accepted key is recorded in the first.
    pub known_hosts: Vec<PathBuf>,
    /// Whether the key of a host that no file knows is recorded and accepted. Default no. A changed key is never accepted.
    pub accept_new_host_keys: bool,
    /// How root is had after login. Default [`Sudo::Root`].
    pub sudo: Sudo,
    /// How long each stage may take.
    pub timeouts: SshTimeouts,
    /// What tells a dead peer from a silent one.
    pub keepalive: Keepalive,
}

impl SshTarget {
    /// A target with every default: port 22, user `root`, no key files, the environment's agent, no known hosts.
    pub fn new(node: impl fmt::Display, host: impl fmt::Display) -> Self {
        Self {
            node: node.to_string(),
            host: host.to_string(),
            port: 22,
            user: String::from("root"),
            identity_files: Vec::new(),
            agent: Agent::Environment,
            known_hosts: Vec::new(),
            accept_new_host_keys: false,
            sudo: Sudo::Root,
            timeouts: SshTimeouts::default(),
            keepalive: Keepalive::default(),
        }
    }

    /// Host and port as known_hosts writes them: the bare host at port 22, else `[host]:port`.
    pub fn known_as(&self) -> String {
        match self.port {
            22 => self.host.clone(),
            port => format!("[{}]:{port}", self.host),
        }
    }
}

/// Where an SSH agent is looked for. An absent or empty agent is no error; it only adds no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agent {
    /// Nowhere.
    Off,
    /// At the socket that `SSH_AUTH_SOCK` names, if it names one.
    Environment,
    /// At this socket.
    Socket(PathBuf),
}

/// How a login becomes root.
#[derive(Debug, Clone)]
pub enum Sudo {
    /// The login user is root.
    Root,
    /// By `sudo -n`, which must ask for no password.
    Passwordless,
    /// By `sudo -S` with this password, sent on standard input only when sudo asks for it.
    Password(Secret<String>),
}

/// How long each stage of talking to a node may take, except commands, which bring their own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SshTimeouts {
    /// Name lookup and TCP connect. Default 10 s.
    pub connect: Duration,
    /// From connected to the host key verified and keys exchanged. Default 15 s.
    pub handshake: Duration,
    /// All keys tried, the agent's questions to its user included. Default 15 s.
    pub auth: Duration,
}

impl Default for SshTimeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), handshake: Duration::from_secs(15), auth: Duration::from_secs(15) }
    }
}

/// Questions sent while nothing is heard; a peer that answers none is taken for lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence after which a question is sent, and between questions. Default 5 s.
    pub interval: Duration,
    /// Unanswered questions before the connection is given up. Default 3.
    pub count: u8,
}

impl Keepalive {
    /// Longest silence before the connection is given up: 20 s by default.
    pub fn patience(self) -> Duration {
        self.interval * (u32::from(self.count) + 1)
    }
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), count: 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_under_the_name_that_openssh_writes() {
        let mut target = SshTarget::new("cp1", "10.0.0.1");
        assert_eq!(target.known_as(), "10.0.0.1");
        target.port = 2222;
        assert_eq!(target.known_as(), "[10.0.0.1]:2222");
    }
}
