//! Where the outputs of a command go: collected whole, or handed on as they come.

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::transport::stream::EventSender;
use crate::transport::{BACKLOG, Cause, Exit, FollowEvent, Limits, Output, OutputStream, TransportError};

/// Takes the outputs of one command and its end. Taking never waits, so that no channel stalls another.
pub(super) enum Sink {
    /// Whole, at the end.
    Collect { stdout: Vec<u8>, stderr: Vec<u8>, limits: Limits, done: oneshot::Sender<Result<Output, TransportError>> },
    /// As they come.
    Events(EventSender),
}

impl Sink {
    pub(super) fn stdout(&mut self, data: Bytes) -> Result<(), Cause> {
        match self {
            Self::Collect { stdout, limits, .. } => append(stdout, &data, limits.stdout, OutputStream::Stdout),
            Self::Events(events) => hand_on(events, data, FollowEvent::Stdout),
        }
    }

    pub(super) fn stderr(&mut self, data: Bytes) -> Result<(), Cause> {
        match self {
            Self::Collect { stderr, limits, .. } => append(stderr, &data, limits.stderr, OutputStream::Stderr),
            Self::Events(events) => hand_on(events, data, FollowEvent::Stderr),
        }
    }

    /// Waits until nobody wants the outputs any more.
    pub(super) async fn abandoned(&mut self) {
        match self {
            Self::Collect { done, .. } => done.closed().await,
            Self::Events(events) => events.closed().await,
        }
    }

    /// Delivers the end.
    pub(super) fn finish(self, result: Result<Exit, TransportError>) {
        match self {
            Self::Collect { stdout, stderr, done, .. } => {
                let _ = done.send(result.map(|exit| Output { stdout, stderr, exit }));
            }
            Self::Events(events) => match result {
                // An exit has no length, so it always fits.
                Ok(exit) => drop(events.send(FollowEvent::Exit(exit))),
                Err(error) => events.fail(error),
            },
        }
    }
}

fn append(whole: &mut Vec<u8>, data: &[u8], limit: usize, stream: OutputStream) -> Result<(), Cause> {
    if whole.len() + data.len() > limit {
        return Err(Cause::TooMuch { stream, limit });
    }
    whole.extend_from_slice(data);
    Ok(())
}

fn hand_on(events: &EventSender, data: Bytes, event: fn(Bytes) -> FollowEvent) -> Result<(), Cause> {
    if data.is_empty() {
        return Ok(());
    }
    events.send(event(data)).map_err(|stream| Cause::TooMuch { stream, limit: BACKLOG })
}
