//! A scripted node for unit tests: it answers what it was told to, in that order, and panics on anything else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use tokio::sync::mpsc;

use crate::model::{mode::Mode, ssh::SshTarget};

use super::stream::{self, Events};
use super::{
    Attempt, Cause, Connector, Dial, Effect, Exit, Follow, FollowEvent, Held, Limits, Observe, Output, Probe, Script,
    Stream, TransportError,
};

/// One thing that the fake expects to be asked, and its answer.
#[derive(Debug)]
enum Told {
    Observe(String, Result<Output, Cause>),
    Probe(String, Result<Output, Cause>),
    Run(String, Result<Output, Cause>),
    Follow(String, Vec<FollowEvent>),
    Hold(String, Vec<String>),
    Dial(Dial, Vec<u8>),
    Upload(String, Result<(), Cause>),
}

/// A node that was told what it will be asked. Dropping it with something left unasked panics.
#[derive(Debug)]
pub struct FakeNode {
    name: String,
    told: Mutex<VecDeque<Told>>,
    held: Mutex<Vec<mpsc::Receiver<Bytes>>>,
    uploads: Mutex<Vec<(String, Mode, Bytes)>>,
}

/// The answer of a script that exits with 0 and writes this.
pub fn says(stdout: &str) -> Result<Output, Cause> {
    Ok(Output { stdout: stdout.into(), stderr: Vec::new(), exit: Exit::Code(0) })
}

/// The answer of a script that exits with this status and writes this on standard error.
pub fn fails(code: u32, stderr: &str) -> Result<Output, Cause> {
    Ok(Output { stdout: Vec::new(), stderr: stderr.into(), exit: Exit::Code(code) })
}

impl FakeNode {
    /// A node that expects nothing yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), told: Mutex::default(), held: Mutex::default(), uploads: Mutex::default() }
    }

    /// Expects an observing script that contains `part`.
    pub fn on_observe(self, part: &str, answer: Result<Output, Cause>) -> Self {
        self.tell(Told::Observe(part.into(), answer))
    }

    /// Expects a probing script that contains `part`.
    pub fn on_probe(self, part: &str, answer: Result<Output, Cause>) -> Self {
        self.tell(Told::Probe(part.into(), answer))
    }

    /// Expects a changing script that contains `part`.
    pub fn on_run(self, part: &str, answer: Result<Output, Cause>) -> Self {
        self.tell(Told::Run(part.into(), answer))
    }

    /// Expects a followed script that contains `part`; without a last [`FollowEvent::Exit`] it ends as lost.
    pub fn on_follow(self, part: &str, events: Vec<FollowEvent>) -> Self {
        self.tell(Told::Follow(part.into(), events))
    }

    /// Expects a held script that contains `part`, which writes these lines and then runs until it is dropped.
    pub fn on_hold(self, part: &str, lines: &[&str]) -> Self {
        self.tell(Told::Hold(part.into(), lines.iter().map(|line| format!("{line}\n")).collect()))
    }

    /// Expects a stream to be opened, which answers these bytes and then ends.
    pub fn on_dial(self, to: Dial, bytes: &[u8]) -> Self {
        self.tell(Told::Dial(to, bytes.into()))
    }

    /// Expects a file to be put at `path`.
    pub fn on_upload(self, path: &str, answer: Result<(), Cause>) -> Self {
        self.tell(Told::Upload(path.into(), answer))
    }

    /// The files that were put in place, in order.
    pub fn uploads(&self) -> Vec<(String, Mode, Bytes)> {
        lock(&self.uploads).clone()
    }

    fn tell(self, told: Told) -> Self {
        lock(&self.told).push_back(told);
        self
    }

    fn error(&self, cause: Cause) -> TransportError {
        TransportError::new(&self.name, "fake:22", cause)
    }

    fn next(&self, asked: &str) -> Told {
        let told = lock(&self.told).pop_front();
        told.unwrap_or_else(|| panic!("node {} was not told of this:\n{asked}", self.name))
    }

    fn surprised(&self, told: &Told, asked: &str) -> ! {
        panic!("node {} expected {told:?}, but was asked:\n{asked}", self.name)
    }

    fn finished<T: Send + 'static>(&self, answer: Result<T, Cause>) -> Attempt<'_, T> {
        let answer = answer.map_err(|cause| self.error(cause));
        async { answer }.boxed()
    }

    fn events(&self, all: Vec<FollowEvent>) -> Events {
        let (sender, events) = stream::events();
        let ended = matches!(all.last(), Some(FollowEvent::Exit(_)));
        for event in all {
            sender.send(event).expect("the events of a test are few");
        }
        if !ended {
            sender.fail(self.error(Cause::Lost { message: "the fake has no more events".into() }));
        }
        events
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let left = lock(&self.told);
            assert!(left.is_empty(), "node {} was never asked for {left:?}", self.name);
        }
    }
}

impl Observe for FakeNode {
    fn observe<'a>(&'a self, script: &'a Script, _: Limits) -> Attempt<'a, Output> {
        match self.next(script.expose()) {
            Told::Observe(part, answer) if script.expose().contains(&part) => self.finished(answer),
            told => self.surprised(&told, script.expose()),
        }
    }
}

impl Probe for FakeNode {
    fn probe<'a>(&'a self, script: &'a Script, _: Limits) -> Attempt<'a, Output> {
        match self.next(script.expose()) {
            Told::Probe(part, answer) if script.expose().contains(&part) => self.finished(answer),
            told => self.surprised(&told, script.expose()),
        }
    }
}

impl Effect for FakeNode {
    fn run<'a>(&'a self, script: &'a Script, _: Limits) -> Attempt<'a, Output> {
        match self.next(script.expose()) {
            Told::Run(part, answer) if script.expose().contains(&part) => self.finished(answer),
            told => self.surprised(&told, script.expose()),
        }
    }

    fn follow<'a>(&'a self, script: &'a Script, _: Duration) -> Attempt<'a, Follow> {
        match self.next(script.expose()) {
            Told::Follow(part, events) if script.expose().contains(&part) => {
                self.finished(Ok(Follow(self.events(events))))
            }
            told => self.surprised(&told, script.expose()),
        }
    }

    fn hold<'a>(&'a self, script: &'a Script) -> Attempt<'a, Held> {
        match self.next(script.expose()) {
            Told::Hold(part, lines) if script.expose().contains(&part) => {
                let (input, beats) = mpsc::channel(8);
                let (sender, events) = stream::events();
                for line in lines {
                    sender.send(FollowEvent::Stdout(line.into())).expect("the lines of a test are few");
                }
                // Runs until it is dropped: its events end no earlier than the reader.
                tokio::spawn(async move { sender.closed().await });
                lock(&self.held).push(beats);
                self.finished(Ok(Held::new(input, events)))
            }
            told => self.surprised(&told, script.expose()),
        }
    }

    fn dial(&self, to: Dial) -> Attempt<'_, Stream> {
        match self.next(&format!("{to:?}")) {
            Told::Dial(expected, bytes) if expected == to => {
                let (_, input) = tokio::io::simplex(64 << 10);
                let events = self.events(vec![FollowEvent::Stdout(bytes.into()), FollowEvent::Exit(Exit::Code(0))]);
                self.finished(Ok(Stream::new(input, events)))
            }
            told => self.surprised(&told, &format!("{to:?}")),
        }
    }

    fn upload<'a>(&'a self, path: &'a str, mode: Mode, content: Bytes) -> Attempt<'a, ()> {
        match self.next(&format!("upload of {path}")) {
            Told::Upload(expected, answer) if expected == path => {
                lock(&self.uploads).push((path.into(), mode, content));
                self.finished(answer)
            }
            told => self.surprised(&told, &format!("upload of {path}")),
        }
    }
}

/// A connector to fake nodes, by name; a node that it does not know is unreachable, as it would be.
#[derive(Debug, Default)]
pub struct FakeConnector(BTreeMap<String, Arc<FakeNode>>);

impl FakeConnector {
    /// A connector that reaches these nodes.
    pub fn to(nodes: impl IntoIterator<Item = FakeNode>) -> Self {
        Self(nodes.into_iter().map(|node| (node.name.clone(), Arc::new(node))).collect())
    }
}

impl Connector for FakeConnector {
    fn connect<'a>(&'a self, target: &'a SshTarget) -> Attempt<'a, Arc<dyn Effect>> {
        let node = self.0.get(&target.node).cloned();
        async move {
            match node {
                Some(node) => Ok(node as Arc<dyn Effect>),
                None => {
                    let cause = Cause::Unreachable { message: "No route to host".into() };
                    Err(TransportError::new(&target.node, &target.host, cause))
                }
            }
        }
        .boxed()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_what_it_was_told() {
        let node = FakeNode::new("cp1").on_observe("uname", says("Linux\n")).on_hold("flock", &["held"]);
        let look: &dyn Observe = &node;
        let out = look.observe(&Script::new("uname -s"), Limits::default()).await.unwrap();
        assert_eq!(out.stdout, b"Linux\n");
        let mut held = node.hold(&Script::new("flock")).await.unwrap();
        assert_eq!(held.next_line().await.unwrap().as_deref(), Some("held"));
        assert!(held.beat());
    }

    #[tokio::test]
    #[should_panic(expected = "was not told of this")]
    async fn panics_on_what_it_was_not_told() {
        let node = FakeNode::new("cp1");
        let _ = node.run(&Script::new("reboot"), Limits::default()).await;
    }

    #[test]
    #[should_panic(expected = "was never asked")]
    fn panics_on_what_it_was_not_asked() {
        drop(FakeNode::new("cp1").on_run("reboot", says("")));
    }
}
