//! How the inventory says that a node is logged in to. What a connection needs besides is in `model::ssh`.

use std::path::PathBuf;

use serde::Serialize;

use super::invalid::{Invalid, checked_text};
use super::timeout::Timeout;

/// Settings of SSH for one node: defaults, the inventory's `[ssh]` and the node's own `ssh`, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SshSettings {
    /// Who logs in. Default `root`, so that an inventory means the same for whoever runs it.
    pub user: UserName,
    /// TCP port. Default 22.
    pub port: u16,
    /// Private key files, tried in this order before the agent; absolute, or relative to the working folder as the
    /// inventory's path was. Default none: the agent alone.
    pub keys: Vec<PathBuf>,
    /// Whether the agent of `SSH_AUTH_SOCK` is asked after the key files. Default true.
    pub agent: bool,
    /// Files of known host keys; the first gets newly accepted ones. Default `~/.ssh/known_hosts`; empty only where
    /// there is no home folder.
    pub known_hosts: Vec<PathBuf>,
    /// How root is had after login. Default: nothing for user `root`, `sudo` without a password for others.
    pub sudo: SudoMode,
    /// Limit for connecting, for the handshake and for authentication, each. Default 10 s.
    pub timeout: Timeout,
}

impl Default for SshSettings {
    fn default() -> Self {
        Self {
            user: UserName("root".to_owned()),
            port: 22,
            keys: Vec::new(),
            agent: true,
            known_hosts: Vec::new(),
            sudo: SudoMode::None,
            timeout: Timeout::secs(10),
        }
    }
}

/// How a login becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SudoMode {
    /// Not at all: the user is root.
    None,
    /// By `sudo` that asks for no password.
    Passwordless,
    /// By `sudo` with a password, which is asked for once at the start; it never stands in the inventory.
    Password,
}

impl std::fmt::Display for SudoMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Passwordless => "passwordless",
            Self::Password => "password",
        })
    }
}

/// Name of a login user: what Debian's and Ubuntu's tools make, and nothing that a shell or log would trip over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);
checked_text!(UserName);

impl UserName {
    fn check(text: &str) -> Result<(), Invalid> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@\\".contains(c);
        let begins = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if text.starts_with(begins) && text.chars().all(fits) && text.len() <= 256 {
            return Ok(());
        }
        Err(Invalid::new(format!("`{}` is not a user's name", text.escape_debug())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names() {
        for good in ["root", "ubuntu", "_apt", "admin@example.com", "EXAMPLE\\admin"] {
            assert!(UserName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-x", "a b", "a;b", "a\nb"] {
            assert!(UserName::new(bad).is_err(), "{bad:?}");
        }
    }
}
