//! Where a run's events go: one queue, read by the screen and the journal.

use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use crate::model::event::{Event, Stamped};

/// The sending end; clones share one clock.
#[derive(Clone)]
pub struct Events {
    began: Instant,
    queue: UnboundedSender<Stamped>,
}

impl Events {
    pub fn new(queue: UnboundedSender<Stamped>) -> Self {
        Self { began: Instant::now(), queue }
    }

    /// Seconds since the run began.
    pub fn elapsed(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Stamps and sends. A reader that is gone misses it; the run goes on.
    pub fn send(&self, event: Event) {
        let _ = self.queue.send(Stamped { at: self.elapsed(), event });
    }
}
