//! A connection's sessions: two at once, each opened, driven and closed in a task of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, Disconnect, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout};

use crate::model::ssh::SshTarget;
use crate::transport::{Cause, Stage, TransportError};

use super::connect::Login;
use super::exec::{self, Command};
use super::handler::{Handler, Seen};
use super::sink::Sink;

/// Sessions at once: a lock and one piece of work, which is what `MaxSessions 2` allows.
const SESSIONS: usize = 2;
/// Time for a server to answer that it opens a session.
const OPENING: Duration = Duration::from_secs(15);
/// Time for which a refused session is asked for again. A server counts the session of a command that we gave up until that
/// command ends, which the limit on the node itself sees to (see `remote`).
const REFUSED: Duration = Duration::from_secs(8);
/// Time for a stalled connection to take our closing of a channel.
const CLOSING: Duration = Duration::from_secs(5);

pub(super) struct Connection {
    handle: Handle<Handler>,
    seen: Arc<Seen>,
    target: SshTarget,
    sessions: Arc<Semaphore>,
    /// This connection's place among those open at once.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Connection {
    pub(super) fn new(login: Login, target: SshTarget, place: OwnedSemaphorePermit) -> Self {
        Self {
            handle: login.handle,
            seen: login.seen,
            target,
            sessions: Arc::new(Semaphore::new(SESSIONS)),
            place: Mutex::new(Some(place)),
        }
    }

    pub(super) fn target(&self) -> &SshTarget {
        &self.target
    }

    /// An error of this node.
    pub(super) fn error(&self, cause: Cause) -> TransportError {
        error_at(&self.target, cause)
    }

    /// The loss of this connection: the reason that was seen, or else `otherwise`.
    pub(super) fn lost(&self, otherwise: &str) -> TransportError {
        self.error(self.seen.lost(otherwise))
    }

    /// No longer counts among the connections that are open at once: a run may hold locks on more nodes than that.
    pub(super) fn give_up_place(&self) {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Runs one command in one session and delivers its end. `opened` hears when the session is open; it is dropped unheard
    /// where none can be had.
    pub(super) async fn perform(
        self: Arc<Self>,
        command: Command,
        mut sink: Sink,
        opened: Option<oneshot::Sender<()>>,
    ) {
        let (channel, _session) = match self.open(command.timeout).await {
            Ok(open) => open,
            Err(cause) => {
                sink.finish(Err(self.error(cause)));
                return;
            }
        };
        if let Some(opened) = opened {
            let _ = opened.send(());
        }
        let (mut incoming, outgoing) = channel.split();
        let result = exec::drive(&mut incoming, &outgoing, command, &mut sink, &self.seen).await;
        sink.finish(result.map_err(|cause| self.error(cause)));
        // Nothing is sent where the server has closed the channel already. Its answer is not waited for: from here on russh
        // drops what still comes.
        let _ = timeout(CLOSING, outgoing.close()).await;
    }

    /// Waits for a free session and opens it.
    async fn open(&self, limit: Option<Duration>) -> Result<(Channel<Msg>, OwnedSemaphorePermit), Cause> {
        let free = self.sessions.clone().acquire_owned();
        let session = match limit {
            None => free.await,
            Some(limit) => timeout(limit, free).await.map_err(|_| too_late(limit))?,
        };
        let session = session.map_err(|_| self.seen.lost("the connection is closed"))?;
        let begun = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            match timeout(OPENING, self.handle.channel_open_session()).await {
                Ok(Ok(channel)) => return Ok((channel, session)),
                Ok(Err(Error::ChannelOpenFailure(_))) if begun.elapsed() < REFUSED => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                Ok(Err(Error::ChannelOpenFailure(reason))) => {
                    return Err(Cause::ChannelRefused { message: format!("{reason:?}") });
                }
                Ok(Err(_)) => return Err(self.seen.lost("the server closed the connection")),
                Err(_) => {
                    // Should it open after all, nobody would close it: such a server is done with.
                    let _ = timeout(CLOSING, self.handle.disconnect(Disconnect::ByApplication, "", "")).await;
                    return Err(too_late(OPENING));
                }
            }
        }
    }
}

fn too_late(after: Duration) -> Cause {
    Cause::Timeout { stage: Stage::Session, after, stderr: String::new() }
}

/// An error at a target.
pub(super) fn error_at(target: &SshTarget, cause: Cause) -> TransportError {
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    TransportError::new(&target.node, format!("{host}:{}", target.port), cause)
}
