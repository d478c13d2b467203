//! Opening connections: not too many at once, not all in one moment, and again where the server was merely busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Semaphore;

use crate::model::ssh::SshTarget;
use crate::transport::{Attempt, Cause, Connector, Effect};

use super::connect::{self, Login};
use super::connection::{Connection, error_at};
use super::node::Node;

/// Connections open at once, those aside on which something is held.
const OPEN: usize = 128;
/// Connects under way beyond which each further one waits a moment of its own.
const CROWD: usize = 16;
/// Longest such moment.
const SPREAD: Duration = Duration::from_millis(300);
/// Times that a handshake is tried.
const TRIES: u32 = 3;

/// Connections by SSH.
///
/// At most 128 are open at once; a further one waits. Those on which something is held do not count. A handshake that breaks
/// off, as at a server's `MaxStartups`, is tried three times in all; a refused host key or login never is again.
pub struct SshConnector {
    open: Arc<Semaphore>,
    connecting: AtomicUsize,
}

impl Default for SshConnector {
    fn default() -> Self {
        Self { open: Arc::new(Semaphore::new(OPEN)), connecting: AtomicUsize::new(0) }
    }
}

impl SshConnector {
    /// A connector with no connection open.
    pub fn new() -> Self {
        Self::default()
    }

    async fn login(&self, target: &SshTarget) -> Result<Login, Cause> {
        let crowd = Counted::new(&self.connecting);
        if crowd.size > CROWD {
            tokio::time::sleep(SPREAD.mul_f32(rand::random())).await;
        }
        let mut tries = 1;
        loop {
            match connect::login(target).await {
                Err(Cause::Handshake { .. }) if tries < TRIES => {
                    // 100 to 300 ms, then twice that: as long as others need to get through.
                    let pause = Duration::from_millis(100).mul_f32(1.0 + 2.0 * rand::random::<f32>());
                    tokio::time::sleep(pause * tries).await;
                    tries += 1;
                }
                result => return result,
            }
        }
    }
}

impl Connector for SshConnector {
    fn connect<'a>(&'a self, target: &'a SshTarget) -> Attempt<'a, Arc<dyn Effect>> {
        async move {
            let closed = |_| error_at(target, Cause::Lost { message: "the program is ending".into() });
            let place = self.open.clone().acquire_owned().await.map_err(closed)?;
            let login = self.login(target).await.map_err(|cause| error_at(target, cause))?;
            Ok(Arc::new(Node::new(Connection::new(login, target.clone(), place))) as Arc<dyn Effect>)
        }
        .boxed()
    }
}

/// One of those under way, until it is dropped.
struct Counted<'a> {
    count: &'a AtomicUsize,
    size: usize,
}

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        Self { count, size: count.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
