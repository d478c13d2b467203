//! Running one remote command over one channel.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncReadExt, ReadHalf, SimplexStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::model::secret::Secret;
use crate::shell::escape::escape_untrusted;
use crate::transport::{Cause, Exit, Stage};

use super::handler::Seen;
use super::preamble::Preamble;
use super::remote::Remote;
use super::sink::Sink;

/// Standard error kept for the message of a time-out, in bytes.
const TAIL: usize = 2048;

/// What standard input holds: first these bytes, then what comes.
pub(super) struct Input {
    pub(super) first: Vec<Bytes>,
    pub(super) then: Then,
}

/// How standard input goes on.
pub(super) enum Then {
    /// It ends.
    End,
    /// As messages come, until their sender is dropped.
    Messages(mpsc::Receiver<Bytes>),
    /// As bytes are written, until the writer is shut down or dropped.
    Stream(ReadHalf<SimplexStream>),
}

/// One remote command and its limits.
pub(super) struct Command {
    pub(super) remote: Remote,
    pub(super) password: Option<Secret<String>>,
    pub(super) input: Input,
    /// Absent where it may run on.
    pub(super) timeout: Option<Duration>,
}

/// How far a command is, told by its outputs to whoever feeds its input.
enum Progress {
    Asked,
    Started,
}

/// Runs a command until it ends, exceeds a limit, or nobody wants it any more. Closing the channel is left to the caller.
pub(super) async fn drive(
    incoming: &mut ChannelReadHalf,
    outgoing: &ChannelWriteHalf<Msg>,
    command: Command,
    sink: &mut Sink,
    seen: &Seen,
) -> Result<Exit, Cause> {
    let mut run = Run::new(&command);
    let deadline = command.timeout.map(|timeout| Instant::now() + timeout);
    let (progress, heard) = mpsc::unbounded_channel();
    let line = command.remote.command.clone();
    let mut feeding = pin!(async {
        // A failed write means a lost connection, which the reading side reports with its reason.
        let _ = outgoing.exec(true, line).await;
        feed(outgoing, command.password, command.input, heard).await
    });
    let mut fed = false;
    loop {
        tokio::select! {
            message = incoming.wait() => match message {
                Some(ChannelMsg::Close) | None => return run.end(seen),
                Some(message) => run.take(message, sink, &progress)?,
            },
            () = &mut feeding, if !fed => fed = true,
            () = sink.abandoned() => return Err(Cause::Lost { message: "nobody waits for it any more".into() }),
            () = sleep_until(deadline) => {
                let after = command.timeout.unwrap_or_default();
                return Err(Cause::Timeout { stage: Stage::Command, after, stderr: run.words() });
            }
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Writes standard input: the password if sudo asks for it, then everything else, then the end.
async fn feed(
    outgoing: &ChannelWriteHalf<Msg>,
    password: Option<Secret<String>>,
    input: Input,
    mut heard: mpsc::UnboundedReceiver<Progress>,
) {
    if let Some(password) = password {
        // Sent unasked, the password would be run as a command where sudo needs none.
        while let Some(Progress::Asked) = heard.recv().await {
            let line = Bytes::from(format!("{}\n", password.expose()));
            if outgoing.data_bytes(line).await.is_err() {
                return;
            }
        }
    }
    for part in input.first {
        if outgoing.data_bytes(part).await.is_err() {
            return;
        }
    }
    match input.then {
        Then::End => {}
        Then::Messages(mut messages) => {
            while let Some(message) = messages.recv().await {
                if outgoing.data_bytes(message).await.is_err() {
                    return;
                }
            }
        }
        Then::Stream(mut stream) => {
            let mut buffer = vec![0; 32 << 10];
            while let Ok(len @ 1..) = stream.read(&mut buffer).await {
                if outgoing.data_bytes(Bytes::copy_from_slice(&buffer[..len])).await.is_err() {
                    return;
                }
            }
        }
    }
    let _ = outgoing.eof().await;
}

/// What a running command has shown so far.
struct Run {
    stdout: Preamble,
    stderr: Preamble,
    /// The last of standard error.
    tail: Vec<u8>,
    prompt: Option<String>,
    asked: bool,
    /// Whether root was to be had by sudo.
    by_sudo: bool,
    eof: bool,
    exit: Option<Exit>,
}

impl Run {
    fn new(command: &Command) -> Self {
        let mark = &command.remote.mark;
        Self {
            stdout: Preamble::until(mark),
            stderr: Preamble::until(mark),
            tail: Vec::new(),
            prompt: command.remote.prompt.clone(),
            asked: false,
            by_sudo: command.remote.command.starts_with("exec sudo "),
            eof: false,
            exit: None,
        }
    }

    /// Takes in one message of the channel.
    fn take(
        &mut self,
        message: ChannelMsg,
        sink: &mut Sink,
        progress: &mpsc::UnboundedSender<Progress>,
    ) -> Result<(), Cause> {
        match message {
            ChannelMsg::Data { data } => {
                let before = self.stdout.has_started();
                let data = self.stdout.pass(data);
                if !before && self.stdout.has_started() {
                    let _ = progress.send(Progress::Started);
                }
                sink.stdout(data)?;
            }
            ChannelMsg::ExtendedData { data, .. } => {
                let data = self.stderr.pass(data);
                self.tail.extend_from_slice(&data);
                let excess = self.tail.len().saturating_sub(TAIL);
                self.tail.drain(..excess);
                self.answer_prompt(progress)?;
                sink.stderr(data)?;
            }
            ChannelMsg::ExitStatus { exit_status } => self.exit = Some(Exit::Code(exit_status)),
            ChannelMsg::ExitSignal { signal_name, error_message, .. } => {
                let name = match signal_name {
                    Sig::Custom(name) => escape_untrusted(name.as_bytes()),
                    known => format!("{known:?}"),
                };
                self.exit = Some(Exit::Signal { name, message: escape_untrusted(error_message.as_bytes()) });
            }
            ChannelMsg::Eof => self.eof = true,
            ChannelMsg::Failure => {
                return Err(Cause::ChannelRefused { message: "it does not run commands for this user".into() });
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends the password when it is asked for the first time. A second time means that it is wrong: sudo would go on
    /// reading its guesses from our input, and count each against the user.
    fn answer_prompt(&mut self, progress: &mpsc::UnboundedSender<Progress>) -> Result<(), Cause> {
        let Some(prompt) = &self.prompt else { return Ok(()) };
        match self.stderr.count(prompt) {
            0 => Ok(()),
            1 => {
                if !std::mem::replace(&mut self.asked, true) {
                    let _ = progress.send(Progress::Asked);
                }
                Ok(())
            }
            _ => Err(Cause::Sudo { message: self.words() }),
        }
    }

    /// The last of standard error, without our own prompts, escaped: the script's, or what kept it from starting.
    fn words(&self) -> String {
        let noise = self.stderr.noise();
        let text = if self.stderr.has_started() { &self.tail } else { &noise[noise.len().saturating_sub(TAIL)..] };
        let text = escape_untrusted(text);
        match &self.prompt {
            Some(prompt) => text.replace(prompt, "").trim().to_owned(),
            None => text.trim().to_owned(),
        }
    }

    /// The channel was closed, by the server or by the loss of the connection.
    fn end(&mut self, seen: &Seen) -> Result<Exit, Cause> {
        // Without an end of the outputs they may be cut off, whatever the exit status says.
        let Some(exit) = self.exit.take().filter(|_| self.eof) else {
            return Err(seen.lost("the server ended the command without an exit status"));
        };
        if self.stdout.has_started() {
            return Ok(exit);
        }
        let mut words = self.words();
        if self.by_sudo && words.contains("sudo") {
            return Err(Cause::Sudo { message: words });
        }
        if words.is_empty() {
            words = escape_untrusted(self.stdout.noise().trim_ascii());
        }
        Err(Cause::NotStarted { exit, words })
    }
}
