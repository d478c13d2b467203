//! Byte streams to services that listen on a node.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, SimplexStream, WriteHalf};

use crate::shell::escape::escape_untrusted;

use super::stream::{Events, FollowEvent};

/// What a byte stream leads to, as the node itself sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dial {
    /// A TCP port on the node's own 127.0.0.1.
    Loopback {
        /// The port.
        port: u16,
    },
}

/// A byte stream to a service on a node. Dropping it closes the stream.
///
/// Reading fails with the node's words where the service can't be reached, and where more than
/// [`BACKLOG`](super::BACKLOG) bytes waited to be read.
#[derive(Debug)]
pub struct Stream {
    input: WriteHalf<SimplexStream>,
    events: Events,
    rest: Bytes,
    stderr: Vec<u8>,
}

impl Stream {
    pub(super) fn new(input: WriteHalf<SimplexStream>, events: Events) -> Self {
        Self { input, events, rest: Bytes::new(), stderr: Vec::new() }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.events.poll_next(cx)) {
                Some(Ok(FollowEvent::Stdout(bytes))) => self.rest = bytes,
                Some(Ok(FollowEvent::Stderr(bytes))) => {
                    let room = 4096_usize.saturating_sub(self.stderr.len());
                    self.stderr.extend_from_slice(&bytes[..room.min(bytes.len())]);
                }
                Some(Ok(FollowEvent::Exit(exit))) if !exit.is_success() => {
                    let words = escape_untrusted(self.stderr.trim_ascii());
                    return Poll::Ready(Err(io::Error::other(format!("the stream ended with {exit}: {words}"))));
                }
                Some(Ok(FollowEvent::Exit(_))) | None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let len = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..len]);
        self.rest.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}
