//! From an address to a connection that is logged in.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::{Error, Preferred, compression};
use tokio::net::TcpStream;

use crate::model::ssh::SshTarget;
use crate::shell::escape::escape_untrusted;
use crate::transport::{Cause, Stage};

use super::auth;
use super::handler::{Handler, Seen};
use super::host_key::Verifier;

/// Bytes that one side may send on a channel before the other has taken them: what a long fat line needs.
const WINDOW: u32 = 4 << 20;

/// A connection that is logged in, and what its task has seen.
pub(super) struct Login {
    pub(super) handle: Handle<Handler>,
    pub(super) seen: Arc<Seen>,
}

/// Connects, verifies the host key and logs in, each within its own limit of time.
pub(super) async fn login(target: &SshTarget) -> Result<Login, Cause> {
    let limits = target.timeouts;
    let verifier = Verifier::load(target).await?;
    let socket = within(Stage::Connect, limits.connect, tcp(target)).await?;
    let seen = Arc::new(Seen::default());
    let config = Arc::new(config(target, &verifier));
    let handler = Handler::new(verifier, seen.clone());
    let handshake = async {
        client::connect_stream(config, socket, handler)
            .await
            .map_err(|error| seen.refusal().unwrap_or_else(|| broken_handshake(&error)))
    };
    let mut handle = within(Stage::Handshake, limits.handshake, handshake).await?;
    within(Stage::Auth, limits.auth, auth::authenticate(&mut handle, &seen, target)).await?;
    Ok(Login { handle, seen })
}

/// Runs one stage within its limit.
async fn within<T>(stage: Stage, after: Duration, work: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
    match tokio::time::timeout(after, work).await {
        Ok(result) => result,
        Err(_) => Err(Cause::Timeout { stage, after, stderr: String::new() }),
    }
}

async fn tcp(target: &SshTarget) -> Result<TcpStream, Cause> {
    let unreachable = |error: std::io::Error| Cause::Unreachable { message: error.to_string() };
    let socket = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(unreachable)?;
    // Small packets that wait for an answer are all that this protocol sends.
    socket.set_nodelay(true).map_err(unreachable)?;
    Ok(socket)
}

fn config(target: &SshTarget, verifier: &Verifier) -> client::Config {
    client::Config {
        window_size: WINDOW,
        preferred: Preferred {
            key: Cow::Owned(verifier.algorithms()),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(target.keepalive.interval),
        keepalive_max: target.keepalive.count.into(),
        // Keepalives are not sent while a write is stuck, nor before login: this ends those connections.
        inactivity_timeout: Some(target.keepalive.patience()),
        nodelay: true,
        ..client::Config::default()
    }
}

fn broken_handshake(error: &Error) -> Cause {
    match error {
        Error::NoCommonAlgo { kind, ours, theirs } => Cause::NoCommonAlgorithm {
            kind: format!("{kind:?}").to_lowercase(),
            ours: ours.join(","),
            theirs: escape_untrusted(theirs.join(",").as_bytes()),
        },
        Error::Disconnect | Error::HUP => {
            Cause::Handshake { message: "the server closed the connection before keys were exchanged".into() }
        }
        error => Cause::Handshake { message: escape_untrusted(error.to_string().as_bytes()) },
    }
}
