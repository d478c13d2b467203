//! The lock of a node: `flock` on `/run/kbootstrap/lock`, held by a script that reads a heartbeat.
//!
//! When the program or the network dies the beats stop, the script ends, and the kernel frees the lock: nobody ever
//! has to break one by hand.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::RUN_DIR;
use crate::{
    shell::{quote, wrap_listening},
    transport::{Effect, Script, TransportError},
};

/// Time between beats.
const BEAT: Duration = Duration::from_secs(2);

/// Seconds without a beat after which the node lets go.
const EXPIRY: u32 = 15;

/// Who holds a lock, as the file says it to the next operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub run: String,
    /// `user@host` of the operator's machine.
    pub operator: String,
    /// The command as typed, without secrets: it has none.
    pub command: String,
    /// Start, RFC 3339.
    pub since: String,
}

impl Holder {
    /// A holder for a person, from what a lock's file says; those words themselves where they are not of this program.
    pub fn read(words: &str) -> String {
        serde_json::from_str::<Self>(words).map_or_else(|_| words.to_owned(), |holder| holder.to_string())
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}, since {}, run {})", self.operator, self.command, self.since, self.run)
    }
}

/// A lock that is held; dropping it lets go.
pub struct NodeLock {
    beats: JoinHandle<()>,
}

/// Why a lock was not had.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else holds it; what the file says of them.
    Held(String),
    Transport(TransportError),
    /// The script that takes it failed: its last words.
    Failed(String),
}

impl NodeLock {
    /// Takes the lock of a node, or tells who holds it. Where that is somebody else, it waits for at most `patience`
    /// (rounded up to seconds; nothing: not at all), and `waits` hears for whom.
    ///
    /// # Errors
    /// Still held by another run, or the node can't be worked on.
    pub async fn take(
        node: &dyn Effect,
        holder: &Holder,
        patience: Duration,
        mut waits: impl FnMut(&str),
    ) -> Result<Self, LockError> {
        let seconds = patience.as_millis().div_ceil(1000);
        let mut held = node.hold(&Script::new(script(holder, seconds))).await.map_err(LockError::Transport)?;
        let mut by: Option<String> = None;
        loop {
            match held.next_line().await.map_err(LockError::Transport)?.as_deref() {
                Some("locked") => break,
                Some(line) => {
                    let words = line.strip_prefix("held ").unwrap_or(line);
                    let said = Holder::read(words);
                    if seconds > 0 && by.is_none() {
                        waits(&said);
                    }
                    by = Some(said);
                }
                None => return Err(by.map_or_else(|| LockError::Failed(held.stderr()), LockError::Held)),
            }
        }
        let beats = tokio::spawn(async move {
            let mut tick = tokio::time::interval(BEAT);
            loop {
                tick.tick().await;
                if !held.beat() {
                    return;
                }
            }
        });
        Ok(Self { beats })
    }

    /// Whether it may still be held: false once the script or its connection has ended.
    pub fn is_held(&self) -> bool {
        !self.beats.is_finished()
    }
}

impl Drop for NodeLock {
    fn drop(&mut self) {
        self.beats.abort();
    }
}

/// `head` gets the beats: dash's `read` knows no time limit. The descriptor of the lock is closed for it, so that an
/// orphan can't keep the lock. Who dies while it waits gets the lock yet, reads the end of its input, and lets go.
fn script(holder: &Holder, patience: u128) -> String {
    let words = serde_json::to_string(holder).expect("strings become JSON");
    wrap_listening(&format!(
        r#"umask 077
mkdir -p {RUN_DIR} || exit 1
exec 9>>{RUN_DIR}/lock
if ! flock -n 9; then
  echo "held $(head -c 2000 {RUN_DIR}/lock)"
  [ {patience} != 0 ] || exit 0
  flock -w {patience} 9 || {{ echo "held $(head -c 2000 {RUN_DIR}/lock)"; exit 0; }}
fi
printf '%s\n' {} > {RUN_DIR}/lock
echo locked
while x=$(timeout {EXPIRY} head -c 1 9>&- | od -An -c) && [ -n "$x" ]; do :; done
: > {RUN_DIR}/lock"#,
        quote(&words)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_shell() {
        let holder = Holder {
            run: "r".into(),
            operator: "o'brien@host".into(),
            command: "kbootstrap up".into(),
            since: "2026-01-01T00:00:00Z".into(),
        };
        for patience in [0, 90] {
            let text = script(&holder, patience);
            let out = std::process::Command::new("sh").args(["-n", "-c", &text]).output().expect("sh runs");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
    }
}
