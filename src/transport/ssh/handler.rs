//! What the connection asks of us: whether the host key is right, and what becomes of channels that the server opens.

use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{self, ChannelOpenHandle, DisconnectReason, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, Error};

use crate::shell::escape::escape_untrusted;
use crate::transport::Cause;

use super::host_key::Verifier;

/// What the connection's own task saw and its users want to know.
#[derive(Debug, Default)]
pub(super) struct Seen {
    refusal: Mutex<Option<Cause>>,
    end: Mutex<Option<End>>,
}

/// How a connection ended.
#[derive(Debug, Clone)]
struct End {
    message: String,
    /// Whether the server said so itself, as at its `MaxAuthTries`.
    was_said: bool,
}

impl Seen {
    /// Why the host key was refused; absent where it was not.
    pub(super) fn refusal(&self) -> Option<Cause> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The loss of a connection: the reason that was seen, or else `otherwise`.
    pub(super) fn lost(&self, otherwise: &str) -> Cause {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        Cause::Lost { message: end.as_ref().map_or(otherwise, |end| &end.message).to_owned() }
    }

    /// What the server said when it ended the connection; absent where it is open or simply broke.
    pub(super) fn farewell(&self) -> Option<String> {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.as_ref().filter(|end| end.was_said).map(|end| end.message.clone())
    }
}

pub(super) struct Handler {
    verifier: Verifier,
    seen: Arc<Seen>,
}

impl Handler {
    pub(super) fn new(verifier: Verifier, seen: Arc<Seen>) -> Self {
        Self { verifier, seen }
    }
}

impl client::Handler for Handler {
    type Error = Error;

    async fn check_server_key(&mut self, offered: &PublicKeyOrCertificate) -> Result<bool, Error> {
        let verdict = self.verifier.verify(offered).await;
        let accepted = verdict.is_ok();
        *self.seen.refusal.lock().unwrap_or_else(PoisonError::into_inner) = verdict.err();
        Ok(accepted)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Error>) -> Result<(), Error> {
        let was_said = matches!(reason, DisconnectReason::ReceivedDisconnect(_));
        let (message, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                (format!("the server disconnected: {}", escape_untrusted(info.message.as_bytes())), Ok(()))
            }
            DisconnectReason::Error(error @ Error::Disconnect) => {
                ("the server closed the connection".into(), Err(error))
            }
            DisconnectReason::Error(error @ (Error::KeepaliveTimeout | Error::InactivityTimeout)) => {
                ("the server stopped answering".into(), Err(error))
            }
            DisconnectReason::Error(error) => (escape_untrusted(error.to_string().as_bytes()), Err(error)),
        };
        *self.seen.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(End { message, was_said });
        result
    }

    // Nothing that the server opens was asked for. Dropping the handle rejects; russh's defaults accept.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }
}
