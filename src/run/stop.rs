//! Stopping a run: the first Ctrl-C lets every op end and starts no other.

use tokio::sync::watch;

/// A flag that can be waited for; clones share it.
#[derive(Clone)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody asks to stop.
    pub async fn requested(&self) {
        let _ = self.0.subscribe().wait_for(|stop| *stop).await;
    }
}
