//! A script whose standard input stays open: the holder of a lock.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::shell::escape::escape_untrusted;

use super::error::TransportError;
use super::script::Exit;
use super::stream::{Events, FollowEvent};

/// Longest line that is kept in one piece, in bytes.
const LONGEST_LINE: usize = 64 << 10;

/// A script that runs as long as it is held. Dropping it closes the script's standard input, then the channel.
#[derive(Debug)]
pub struct Held {
    input: mpsc::Sender<Bytes>,
    events: Events,
    lines: Vec<u8>,
    stderr: Vec<u8>,
    heard: bool,
    exit: Option<Exit>,
}

impl Held {
    pub(super) fn new(input: mpsc::Sender<Bytes>, events: Events) -> Self {
        Self { input, events, lines: Vec::new(), stderr: Vec::new(), heard: false, exit: None }
    }

    /// Sends one newline to the script's standard input, without waiting. False once the script or connection ended;
    /// [`next_line`](Self::next_line) tells why.
    ///
    /// Nothing is sent before the script's first line was read: until then the shell may still be reading its script from
    /// the same input. That a beat was sent does not prove that it arrived: a script that answers each with a line does.
    pub fn beat(&mut self) -> bool {
        if self.heard {
            // A full queue means that beats are on their way already.
            let _ = self.input.try_send(Bytes::from_static(b"\n"));
        }
        !self.input.is_closed()
    }

    /// The next line of standard output, escaped, without its newline; absent when the script ended. A line of more than
    /// 64 KiB comes in pieces. Cancelling the wait loses nothing.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn next_line(&mut self) -> Result<Option<String>, TransportError> {
        loop {
            let end = self.lines.iter().position(|b| *b == b'\n');
            if let Some(end) = end.or((self.lines.len() > LONGEST_LINE).then_some(LONGEST_LINE)) {
                let line: Vec<u8> = self.lines.drain(..=end).collect();
                self.heard = true;
                return Ok(Some(escape_untrusted(line.trim_ascii_end())));
            }
            match self.events.next().await.transpose()? {
                Some(FollowEvent::Stdout(bytes)) => self.lines.extend_from_slice(&bytes),
                Some(FollowEvent::Stderr(bytes)) => {
                    self.stderr.extend_from_slice(&bytes);
                    let excess = self.stderr.len().saturating_sub(LONGEST_LINE);
                    self.stderr.drain(..excess);
                }
                Some(FollowEvent::Exit(exit)) => self.exit = Some(exit),
                None => return Ok(None),
            }
        }
    }

    /// How the script ended; absent while it runs.
    pub fn exit(&self) -> Option<&Exit> {
        self.exit.as_ref()
    }

    /// The last 64 KiB of standard error, escaped.
    pub fn stderr(&self) -> String {
        escape_untrusted(&self.stderr)
    }
}
