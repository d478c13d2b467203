//! The lock of a node: `flock` on `/run/kbootstrap/lock`, held by a script that reads a heartbeat.
//!
//! When the program or the network dies the beats stop, the script ends, and the kernel frees the lock: nobody ever
//! has to break one by hand. Each taking has a number, so that a run whose network was away knows whether another one
//! was there meanwhile: only if not may it take its lock again and go on.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::{Link, RUN_DIR};
use crate::{
    shell::{quote, wrap_listening},
    transport::{Effect, Script, TransportError},
};

/// Time between beats.
const BEAT: Duration = Duration::from_secs(2);

/// Seconds without a beat after which the node lets go.
const EXPIRY: u32 = 15;

/// How long a run waits for its own lock, which the node may hold yet for a connection that is lost.
const LAPSE: Duration = Duration::from_secs(20);

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
    holder: Holder,
    /// Its number among all takings since the node's boot.
    turn: u64,
    beats: JoinHandle<()>,
    last_beat: Arc<Mutex<Instant>>,
}

/// Why a lock was not had.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else holds it; what the file says of them.
    Held(String),
    /// It was lost, and somebody else had it since, or the node was rebooted.
    Overtaken,
    Transport(TransportError),
    /// The script that takes it failed: its last words.
    Failed(String),
}

impl std::fmt::Display for LockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held(by) => write!(f, "another run is at work: {by}"),
            Self::Overtaken => {
                f.write_str("the lock was lost, and another run was at work since, or the node was rebooted")
            }
            Self::Transport(error) => error.fmt(f),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for LockError {}

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
        waits: impl FnMut(&str),
    ) -> Result<Self, LockError> {
        Self::take_after(None, node, holder, patience, waits).await
    }

    /// As [`take`](Self::take); after a turn that was lost, only where no other was since.
    async fn take_after(
        lost: Option<u64>,
        node: &dyn Effect,
        holder: &Holder,
        patience: Duration,
        mut waits: impl FnMut(&str),
    ) -> Result<Self, LockError> {
        let seconds = patience.as_millis().div_ceil(1000);
        let mut held = node.hold(&Script::new(script(holder, seconds, lost))).await.map_err(LockError::Transport)?;
        let mut by: Option<String> = None;
        let turn = loop {
            let Some(line) = held.next_line().await.map_err(LockError::Transport)? else {
                return Err(by.map_or_else(|| LockError::Failed(held.stderr()), LockError::Held));
            };
            if line == "overtaken" {
                return Err(LockError::Overtaken);
            }
            if let Some(turn) = line.strip_prefix("locked ").and_then(|turn| turn.parse().ok()) {
                break turn;
            }
            let said = Holder::read(line.strip_prefix("held ").unwrap_or(&line));
            if seconds > 0 && by.is_none() {
                waits(&said);
            }
            by = Some(said);
        };
        let last_beat = Arc::new(Mutex::new(Instant::now()));
        let beaten = Arc::clone(&last_beat);
        let beats = tokio::spawn(async move {
            let mut tick = tokio::time::interval(BEAT);
            loop {
                tick.tick().await;
                if !held.beat() {
                    return;
                }
                *beaten.lock().expect("no holder panics") = Instant::now();
            }
        });
        Ok(Self { holder: holder.clone(), turn, beats, last_beat })
    }

    /// Takes it again after it was lost with its connection.
    ///
    /// # Errors
    /// Another run had it since, or the node can't be reached any more.
    pub async fn regain(&mut self, link: &Link) -> Result<(), LockError> {
        self.beats.abort();
        *self = match self.again(link.get().await).await {
            Err(LockError::Transport(error)) if error.is_transient() => {
                self.again(link.reopen(|_, _| {}).await).await?
            }
            other => other?,
        };
        Ok(())
    }

    /// Its next turn, over this connection.
    async fn again(&self, connection: Result<Arc<dyn Effect>, TransportError>) -> Result<Self, LockError> {
        let connection = connection.map_err(LockError::Transport)?;
        Self::take_after(Some(self.turn), connection.as_ref(), &self.holder, LAPSE, |_| {}).await
    }

    /// Whether it may still be held: false once the script or its connection has ended, and where no beat was sent for
    /// so long that the node has let go (a laptop that slept).
    pub fn is_held(&self) -> bool {
        let last = *self.last_beat.lock().expect("no holder panics");
        !self.beats.is_finished() && last.elapsed() < Duration::from_secs(EXPIRY.into())
    }
}

impl Drop for NodeLock {
    fn drop(&mut self) {
        self.beats.abort();
    }
}

/// `head` gets the beats: dash's `read` knows no time limit. The descriptor of the lock is closed for it, so that an
/// orphan can't keep the lock. Who dies while it waits gets the lock yet, reads the end of its input, and lets go.
fn script(holder: &Holder, patience: u128, lost: Option<u64>) -> String {
    let lost = lost.map(|turn| turn.to_string()).unwrap_or_default();
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
turn=$(cat {RUN_DIR}/turn 2>/dev/null) || turn=0
[ -z "{lost}" ] || [ "$turn" = "{lost}" ] || {{ echo overtaken; exit 0; }}
turn=$((${{turn:-0}} + 1))
echo "$turn" > {RUN_DIR}/turn
printf '%s\n' {} > {RUN_DIR}/lock
echo "locked $turn"
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
        for (patience, lost) in [(0, None), (90, Some(7))] {
            let text = script(&holder, patience, lost);
            let out = std::process::Command::new("sh").args(["-n", "-c", &text]).output().expect("sh runs");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
    }
}
