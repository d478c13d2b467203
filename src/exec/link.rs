//! The way to one node for the length of a run: one connection, opened when there is work, opened again when lost.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::Instant};

use crate::{
    model::ssh::SshTarget,
    transport::{Connector, Effect, TransportError},
};

/// How long a lost connection is tried again before its node counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(180);

/// One node and how it is reached.
pub struct Link {
    connector: Arc<dyn Connector>,
    target: SshTarget,
    open: Mutex<Option<Arc<dyn Effect>>>,
}

impl Link {
    pub fn new(connector: Arc<dyn Connector>, target: SshTarget, open: Option<Arc<dyn Effect>>) -> Self {
        Self { connector, target, open: Mutex::new(open) }
    }

    /// The open connection, or a new one.
    ///
    /// # Errors
    /// The node can't be reached, or doesn't let us in.
    pub async fn get(&self) -> Result<Arc<dyn Effect>, TransportError> {
        let mut open = self.open.lock().await;
        if let Some(connection) = &*open {
            return Ok(connection.clone());
        }
        let connection = self.connector.connect(&self.target).await?;
        *open = Some(connection.clone());
        Ok(connection)
    }

    /// A second connection, for what must not wait for the first one's two sessions.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn another(&self) -> Result<Arc<dyn Effect>, TransportError> {
        self.connector.connect(&self.target).await
    }

    /// Forgets a connection that failed, so that the next [`get`](Self::get) opens a new one.
    pub async fn drop_connection(&self) {
        *self.open.lock().await = None;
    }

    /// Opens a new connection after a lost one, with growing pauses, for three minutes at most. `told` hears of each failed
    /// attempt.
    ///
    /// # Errors
    /// The last attempt's error; at once where trying again can't help.
    pub async fn reopen(&self, mut told: impl FnMut(&TransportError, u32)) -> Result<Arc<dyn Effect>, TransportError> {
        self.drop_connection().await;
        let end = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(200);
        for attempt in 1.. {
            match self.get().await {
                Ok(connection) => return Ok(connection),
                Err(error) if !error.is_transient() || Instant::now() + pause > end => return Err(error),
                Err(error) => told(&error, attempt),
            }
            tokio::time::sleep(pause.mul_f64(0.75 + rand::random::<f64>() / 2.0)).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        unreachable!("the loop ends by returning")
    }
}
