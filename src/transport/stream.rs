//! Running scripts that are talked with: what they write arrives as events, through a buffer that is bounded in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::error::{OutputStream, TransportError};
use super::script::Exit;

/// Bytes that wait for a reader before its stream is closed: whoever falls further behind has stopped reading.
pub const BACKLOG: usize = 16 << 20;

/// What a running script does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowEvent {
    /// It wrote this to standard output; chunks do not end at lines.
    Stdout(Bytes),
    /// It wrote this to standard error.
    Stderr(Bytes),
    /// It ended; nothing follows.
    Exit(Exit),
}

impl FollowEvent {
    fn len(&self) -> usize {
        match self {
            Self::Stdout(bytes) | Self::Stderr(bytes) => bytes.len(),
            Self::Exit(_) => 0,
        }
    }
}

/// Makes the two ends of a script's events. At most [`BACKLOG`] bytes wait in between.
pub(super) fn events() -> (EventSender, Events) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let queued = Arc::new(AtomicUsize::new(0));
    (EventSender { sender, queued: queued.clone() }, Events { receiver, queued })
}

/// The end that the script's channel writes to. It never waits: a reader that is slow must not stall its neighbours.
pub(super) struct EventSender {
    sender: mpsc::UnboundedSender<Result<FollowEvent, TransportError>>,
    queued: Arc<AtomicUsize>,
}

impl EventSender {
    /// Hands an event over; the stream that overflowed comes back where the reader is too far behind.
    pub(super) fn send(&self, event: FollowEvent) -> Result<(), OutputStream> {
        let len = event.len();
        if self.queued.fetch_add(len, Ordering::Relaxed) + len > BACKLOG {
            return Err(match event {
                FollowEvent::Stderr(_) => OutputStream::Stderr,
                _ => OutputStream::Stdout,
            });
        }
        // A reader that is gone needs nothing; the channel notices by `closed`.
        let _ = self.sender.send(Ok(event));
        Ok(())
    }

    /// Ends the events with an error.
    pub(super) fn fail(&self, error: TransportError) {
        let _ = self.sender.send(Err(error));
    }

    /// Waits until the reader is dropped.
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }
}

/// The end that is read.
#[derive(Debug)]
pub(super) struct Events {
    receiver: mpsc::UnboundedReceiver<Result<FollowEvent, TransportError>>,
    queued: Arc<AtomicUsize>,
}

impl Events {
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<FollowEvent, TransportError>>> {
        let event = ready!(self.receiver.poll_recv(cx));
        if let Some(Ok(event)) = &event {
            self.queued.fetch_sub(event.len(), Ordering::Relaxed);
        }
        Poll::Ready(event)
    }

    pub(super) async fn next(&mut self) -> Option<Result<FollowEvent, TransportError>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

/// A running script whose output is followed. Dropping it closes the channel; the script itself may run on.
#[derive(Debug)]
pub struct Follow(pub(super) Events);

impl Follow {
    /// The next event; absent after [`FollowEvent::Exit`]. Cancelling it loses nothing.
    ///
    /// # Errors
    /// The connection was lost, the time is over, or more than [`BACKLOG`] bytes waited to be read. Nothing follows.
    pub async fn next(&mut self) -> Result<Option<FollowEvent>, TransportError> {
        self.0.next().await.transpose()
    }
}
