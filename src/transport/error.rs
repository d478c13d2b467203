//! What can go wrong between the operator's machine and a node.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::script::Exit;

/// A failed attempt to reach a node or to run something there: the node, and the [`Cause`].
///
/// Remote text in it is escaped, so it may be shown on a terminal.
#[derive(Debug, Clone)]
pub struct TransportError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    node: String,
    address: String,
    cause: Cause,
}

impl TransportError {
    /// An error at this node, reached at this address (`host:port`).
    pub fn new(node: impl Into<String>, address: impl Into<String>, cause: Cause) -> Self {
        Self(Box::new(Inner { node: node.into(), address: address.into(), cause }))
    }

    /// Name of the node.
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// What went wrong.
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// Whether the same attempt may succeed when made again, with nothing changed by anybody.
    ///
    /// It says nothing about what the failed attempt did: after [`Cause::Lost`] or a time-out the script may have run.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.0.cause,
            Cause::Unreachable { .. }
                | Cause::Handshake { .. }
                | Cause::Timeout { .. }
                | Cause::Lost { .. }
                | Cause::ChannelRefused { .. }
        )
    }

    /// What the operator can do about it, absent where nothing general can be said.
    pub fn hint(&self) -> Option<String> {
        self.0.cause.hint(&self.0.address)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} ({}): {}", self.0.node, self.0.address, self.0.cause)
    }
}

impl std::error::Error for TransportError {}

/// A stage that has a time limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Name lookup and TCP connect.
    Connect,
    /// Version, key exchange and host key.
    Handshake,
    /// Trying keys.
    Auth,
    /// Waiting for one of the connection's two sessions, and for the server to open it.
    Session,
    /// A script, from its start to its end.
    Command,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Handshake => "the SSH handshake",
            Self::Auth => "authentication",
            Self::Session => "opening a session",
            Self::Command => "the command",
        })
    }
}

/// One of a script's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl fmt::Display for OutputStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "standard output",
            Self::Stderr => "standard error",
        })
    }
}

/// Why an attempt failed. All remote text in it is escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No TCP connection: refused, no route, no such name.
    #[error("can't connect: {message}")]
    Unreachable {
        /// The operating system's words.
        message: String,
    },
    /// The peer closed or broke the connection before keys were exchanged, as a server at its `MaxStartups` does.
    #[error("the SSH handshake failed: {message}")]
    Handshake {
        /// What was seen.
        message: String,
    },
    /// The two sides share no algorithm of one kind.
    #[error("no {kind} algorithm in common: here {ours}; there {theirs}")]
    NoCommonAlgorithm {
        /// Key exchange, host key, cipher or MAC.
        kind: String,
        /// Names offered here.
        ours: String,
        /// Names offered there.
        theirs: String,
    },
    /// A stage took longer than its limit. Of a command it is unknown how far it came.
    #[error("{stage} took longer than {}{}", seconds(.after), tail(.stderr))]
    Timeout {
        /// Which stage.
        stage: Stage,
        /// Its limit.
        after: Duration,
        /// Last lines of a command's standard error; empty elsewhere.
        stderr: String,
    },
    /// No known_hosts file knows the host.
    #[error("host key {fingerprint} ({algorithm}) of {host} is unknown")]
    HostKeyUnknown {
        /// The host as known_hosts would name it.
        host: String,
        /// `SHA256:…` of the key that was offered.
        fingerprint: String,
        /// Its type, such as `ssh-ed25519`.
        algorithm: String,
        /// Remarks: what was found but could not be used, such as a `@cert-authority`.
        notes: Vec<String>,
    },
    /// A known_hosts file knows the host with another key: reinstalled, or somebody in between.
    #[error("host key of {host} has CHANGED: it offers {fingerprint} ({algorithm}), {known_at} has another")]
    HostKeyChanged {
        /// The host as known_hosts names it.
        host: String,
        /// `SHA256:…` of the key that was offered.
        fingerprint: String,
        /// Its type, such as `ssh-ed25519`.
        algorithm: String,
        /// `file:line` of the first conflicting entry.
        known_at: String,
    },
    /// A known_hosts file says that this key must not be trusted.
    #[error("host key {fingerprint} ({algorithm}) of {host} is marked as revoked at {known_at}")]
    HostKeyRevoked {
        /// The host as known_hosts names it.
        host: String,
        /// `SHA256:…` of the key that was offered.
        fingerprint: String,
        /// Its type, such as `ssh-ed25519`.
        algorithm: String,
        /// `file:line` of the `@revoked` entry.
        known_at: String,
    },
    /// A known_hosts file can't be read, or a newly accepted key can't be recorded.
    #[error("known_hosts file {}: {message}", .path.display())]
    KnownHosts {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        message: String,
    },
    /// No key was accepted.
    #[error("user {user} can't log in: {}", list(.tried))]
    Auth {
        /// The login user.
        user: String,
        /// Each key tried or passed over, with the outcome.
        tried: Vec<String>,
    },
    /// sudo did not give root.
    #[error("sudo refused: {message}")]
    Sudo {
        /// sudo's own words.
        message: String,
    },
    /// The login shell ended before the script was started.
    #[error("the login shell did not start the script ({exit}){}", tail(.words))]
    NotStarted {
        /// How the login shell ended.
        exit: Exit,
        /// The last of what it wrote.
        words: String,
    },
    /// The server refused to open a channel, as at its `MaxSessions`, or to run a command.
    #[error("the server refused a session: {message}")]
    ChannelRefused {
        /// The server's words.
        message: String,
    },
    /// The connection or the exit status was lost: whether the script ran to its end is unknown.
    #[error("the connection was lost: {message}")]
    Lost {
        /// What was seen.
        message: String,
    },
    /// A script wrote more than its [`Limits`](super::Limits), or a reader of a stream fell behind.
    #[error("more than {limit} bytes on {stream}")]
    TooMuch {
        /// Which output.
        stream: OutputStream,
        /// The limit in bytes.
        limit: usize,
    },
    /// A file could not be put in place; what was there before is unchanged.
    #[error("can't write {path}: {message}")]
    Upload {
        /// Path on the node.
        path: String,
        /// What the node said.
        message: String,
    },
}

impl Cause {
    fn hint(&self, address: &str) -> Option<String> {
        Some(match self {
            Self::Unreachable { .. } | Self::Timeout { stage: Stage::Connect, .. } => {
                format!("is the machine up, and is {address} the address and port of its sshd?")
            }
            Self::Handshake { .. } => {
                String::from("if the server limits new connections, see MaxStartups in its sshd_config")
            }
            Self::HostKeyUnknown { host, .. } => format!(
                "compare the fingerprint with the machine's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then run \
                 again with --accept-new-host-keys, or record it with {}",
                keyscan(host)
            ),
            Self::HostKeyChanged { host, .. } => format!(
                "if the machine was reinstalled, remove the old key with ssh-keygen -R '{host}' and record the new one with {}; \
                 if not, somebody may be in between",
                keyscan(host)
            ),
            Self::HostKeyRevoked { .. } => {
                String::from("give the machine new host keys (ssh-keygen -A after removing the old)")
            }
            Self::Auth { user, .. } => {
                format!("name a key file that {user} may log in with, or load it into ssh-agent with ssh-add")
            }
            Self::Sudo { .. } => String::from(
                "allow the user to run all commands as root by sudo without a password (NOPASSWD: ALL), or give the password",
            ),
            Self::ChannelRefused { .. } => {
                String::from("two sessions per connection are needed: see MaxSessions in sshd_config")
            }
            _ => return None,
        })
    }
}

/// The command that prints a host's keys in the form of known_hosts.
fn keyscan(host: &str) -> String {
    match host.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((host, port)) => format!("ssh-keyscan -p {port} {host}"),
        None => format!("ssh-keyscan {host}"),
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs_f32())
}

fn tail(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

fn list(tried: &[String]) -> String {
    match tried {
        [] => String::from("there was no key to try"),
        tried => tried.join("; "),
    }
}
