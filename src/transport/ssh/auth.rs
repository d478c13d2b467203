//! Logging in by public key: the named files first, then the agent.

use std::path::Path;
use std::sync::Arc;

use russh::AgentAuthError;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{self, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::net::UnixStream;

use crate::model::ssh::{Agent, SshTarget};
use crate::shell::escape::escape_untrusted;
use crate::transport::Cause;

use super::handler::{Handler, Seen};

/// Logs in, or says what was tried.
pub(super) async fn authenticate(handle: &mut Handle<Handler>, seen: &Seen, target: &SshTarget) -> Result<(), Cause> {
    let mut attempt = Login { handle, user: &target.user, tried: Vec::new(), locked: Vec::new() };
    let done = attempt.files(target).await || attempt.agent(&target.agent).await;
    if done {
        return Ok(());
    }
    let closed = attempt.handle.is_closed();
    let mut tried = attempt.tried;
    match seen.farewell() {
        // A server that has seen enough keys says so, and ends the connection.
        Some(farewell) => tried.push(farewell),
        None if closed => return Err(seen.lost("the server closed the connection during login")),
        None => {}
    }
    Err(Cause::Auth { user: target.user.clone(), tried })
}

struct Login<'a> {
    handle: &'a mut Handle<Handler>,
    user: &'a str,
    tried: Vec<String>,
    /// Keys of files that are encrypted: the agent may hold them opened.
    locked: Vec<PublicKey>,
}

impl Login<'_> {
    /// Tries the key files in order; true once one was accepted.
    async fn files(&mut self, target: &SshTarget) -> bool {
        for path in &target.identity_files {
            if self.handle.is_closed() {
                break;
            }
            let name = format!("key file {}", path.display());
            match load(path).await {
                Ok(key) if key.is_encrypted() => {
                    self.locked.push(key.public_key().clone());
                    self.tried.push(format!(
                        "{name}: encrypted, so it is used through ssh-agent only (ssh-add {})",
                        path.display()
                    ));
                }
                Ok(key) => {
                    let hash = self.hash_for(key.public_key()).await;
                    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
                    let result = self.handle.authenticate_publickey(self.user, key).await;
                    if self.accepted(&name, result.map_err(|error| error.to_string())) {
                        return true;
                    }
                }
                Err(why) => self.tried.push(format!("{name}: {why}")),
            }
        }
        false
    }

    /// Tries the agent's keys, those of encrypted files first; true once one was accepted. No agent is no error.
    async fn agent(&mut self, agent: &Agent) -> bool {
        let socket = match agent {
            Agent::Off => return false,
            Agent::Socket(path) => path.clone(),
            Agent::Environment => match std::env::var_os("SSH_AUTH_SOCK") {
                Some(path) if !path.is_empty() => path.into(),
                _ => return self.note("no ssh-agent: SSH_AUTH_SOCK is not set"),
            },
        };
        let mut agent = match AgentClient::connect_uds(&socket).await {
            Ok(agent) => agent,
            Err(error) => return self.note(&format!("ssh-agent at {}: {error}", socket.display())),
        };
        let mut keys = match agent.request_identities().await {
            Ok(keys) if keys.is_empty() => return self.note("ssh-agent holds no keys"),
            Ok(keys) => keys,
            Err(error) => return self.note(&format!("ssh-agent at {}: {error}", socket.display())),
        };
        keys.sort_by_key(|key| !self.locked.iter().any(|locked| locked.key_data() == key.public_key().key_data()));
        for key in keys {
            if self.handle.is_closed() {
                break;
            }
            if self.agent_key(&mut agent, key).await {
                return true;
            }
        }
        false
    }

    async fn agent_key(&mut self, agent: &mut AgentClient<UnixStream>, key: AgentIdentity) -> bool {
        let public = key.public_key().into_owned();
        let hash = self.hash_for(&public).await;
        let name = format!("ssh-agent key {} {}", public.algorithm(), public.fingerprint(HashAlg::Sha256));
        let result: Result<AuthResult, AgentAuthError> = match key {
            AgentIdentity::PublicKey { key, .. } => {
                self.handle.authenticate_publickey_with(self.user, key, hash, agent).await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                self.handle.authenticate_certificate_with(self.user, certificate, hash, agent).await
            }
        };
        self.accepted(&name, result.map_err(|error| error.to_string()))
    }

    /// The hash for an RSA key's signature: what the server named, else SHA-512; nothing is asked for other keys.
    async fn hash_for(&self, key: &PublicKey) -> Option<HashAlg> {
        if !key.algorithm().is_rsa() {
            return None;
        }
        let named = self.handle.best_supported_rsa_hash().await.ok().flatten().flatten();
        Some(named.unwrap_or(HashAlg::Sha512))
    }

    fn accepted(&mut self, name: &str, result: Result<AuthResult, String>) -> bool {
        let outcome = match result {
            Ok(AuthResult::Success) => return true,
            Ok(AuthResult::Failure { partial_success: true, remaining_methods }) => {
                format!("accepted, but the server wants more: {remaining_methods:?}")
            }
            Ok(AuthResult::Failure { .. }) => "not accepted".into(),
            Err(error) => escape_untrusted(error.as_bytes()),
        };
        self.note(&format!("{name}: {outcome}"))
    }

    /// Remembers what came of a try; always false, as it was none that logs in.
    fn note(&mut self, outcome: &str) -> bool {
        self.tried.push(outcome.into());
        false
    }
}

/// Reads a private key; one that is encrypted comes back as such, with its public half readable.
async fn load(path: &Path) -> Result<PrivateKey, String> {
    let text = zeroize::Zeroizing::new(tokio::fs::read_to_string(path).await.map_err(|error| error.to_string())?);
    match keys::decode_secret_key(&text, None) {
        Ok(key) => Ok(key),
        Err(keys::Error::KeyIsEncrypted) => PrivateKey::from_openssh(text.as_bytes()).map_err(|_| {
            "encrypted, and in a form that hides which key it is: load it into ssh-agent (ssh-add)".into()
        }),
        Err(error) => Err(error.to_string()),
    }
}
