//! A connection as the three rights see it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};

use crate::model::mode::Mode;
use crate::model::ssh::Sudo;
use crate::transport::stream::{self, Events};
use crate::transport::{
    Attempt, Dial, Effect, Follow, Held, Limits, Observe, Output, Probe, Script, Stream, TransportError,
};

use super::connection::Connection;
use super::exec::{Command, Input, Then};
use super::remote::{Body, Remote};
use super::sink::Sink;
use super::upload;

/// Bytes that wait to be written to a stream.
const STREAM_BUFFER: usize = 256 << 10;
/// Beats that wait to be written to a holder.
const BEATS: usize = 8;

/// A connection that is logged in. It closes when this and everything started on it is dropped.
pub(super) struct Node(Arc<Connection>);

impl Node {
    pub(super) fn new(connection: Connection) -> Self {
        Self(Arc::new(connection))
    }

    /// Composes a command: what it does, its input, and how long it may take.
    fn command(&self, body: &Body, input: Input, timeout: Option<Duration>) -> Command {
        let sudo = &self.0.target().sudo;
        let remote = Remote::compose(body, sudo, &format!("{:016x}", rand::random::<u64>()));
        let password = match sudo {
            Sudo::Password(password) if remote.prompt.is_some() => Some(password.clone()),
            _ => None,
        };
        Command { remote, password, input, timeout }
    }

    /// Runs a command to its end, in a task of its own that outlives an impatient caller until the channel is closed.
    async fn collect(&self, body: Body, first: Vec<Bytes>, limits: Limits) -> Result<Output, TransportError> {
        let (done, result) = oneshot::channel();
        let command = self.command(&body, Input { first, then: Then::End }, Some(limits.timeout));
        let sink = Sink::Collect { stdout: Vec::new(), stderr: Vec::new(), limits, done };
        tokio::spawn(self.0.clone().perform(command, sink, None));
        result.await.unwrap_or_else(|_| Err(self.0.lost("its task ended")))
    }

    /// Starts a command and returns as soon as it has a channel.
    async fn start(&self, body: Body, input: Input, timeout: Option<Duration>) -> Result<Events, TransportError> {
        let (sender, mut events) = stream::events();
        let (opened, open) = oneshot::channel();
        let command = self.command(&body, input, timeout);
        tokio::spawn(self.0.clone().perform(command, Sink::Events(sender), Some(opened)));
        match open.await {
            Ok(()) => Ok(events),
            Err(_) => match events.next().await {
                Some(Err(error)) => Err(error),
                _ => Err(self.0.lost("its task ended")),
            },
        }
    }

    async fn script(&self, script: &Script, limits: Limits) -> Result<Output, TransportError> {
        self.collect(Body::Script(Some(limits.timeout)), vec![script.bytes()], limits).await
    }
}

impl Observe for Node {
    fn observe<'a>(&'a self, script: &'a Script, limits: Limits) -> Attempt<'a, Output> {
        self.script(script, limits).boxed()
    }
}

impl Probe for Node {
    fn probe<'a>(&'a self, script: &'a Script, limits: Limits) -> Attempt<'a, Output> {
        self.script(script, limits).boxed()
    }
}

impl Effect for Node {
    fn run<'a>(&'a self, script: &'a Script, limits: Limits) -> Attempt<'a, Output> {
        self.script(script, limits).boxed()
    }

    fn follow<'a>(&'a self, script: &'a Script, timeout: Duration) -> Attempt<'a, Follow> {
        let input = Input { first: vec![script.bytes()], then: Then::End };
        async move { Ok(Follow(self.start(Body::Script(Some(timeout)), input, Some(timeout)).await?)) }.boxed()
    }

    fn hold<'a>(&'a self, script: &'a Script) -> Attempt<'a, Held> {
        self.0.give_up_place();
        let (beats, messages) = mpsc::channel(BEATS);
        let input = Input { first: vec![script.bytes()], then: Then::Messages(messages) };
        async move { Ok(Held::new(beats, self.start(Body::Script(None), input, None).await?)) }.boxed()
    }

    fn dial(&self, to: Dial) -> Attempt<'_, Stream> {
        let (written, writer) = tokio::io::simplex(STREAM_BUFFER);
        let input = Input { first: Vec::new(), then: Then::Stream(written) };
        async move { Ok(Stream::new(writer, self.start(Body::Dial(to), input, None).await?)) }.boxed()
    }

    fn upload<'a>(&'a self, path: &'a str, mode: Mode, content: Bytes) -> Attempt<'a, ()> {
        async move {
            let header = upload::header(path, mode, &content).map_err(|cause| self.0.error(cause))?;
            let limits = upload::limits(content.len());
            let output = self.collect(Body::Upload, vec![header, content], limits).await?;
            upload::check(path, &output).map_err(|cause| self.0.error(cause))
        }
        .boxed()
    }
}
