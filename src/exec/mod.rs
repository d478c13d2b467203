//! Work on a node that survives the connection: batches as transient units, and locks.
//!
//! A batch is the ops of one node between two gates. Its files lie under `/run/kbootstrap/RUN/BATCH/`, it runs as the
//! transient unit `kbootstrap-batch-RUN-BATCH.service`, and it reports by frames appended to one small file that is
//! followed from a byte offset. So a lost connection or a dead program leaves it to finish, and whoever comes next
//! finds it by its unit's name.

mod batch;
mod files;
mod frame;
mod link;
mod lock;
mod locks;
mod wait;

pub use batch::{Batch, BatchError, BatchEvent, OpFailure};
pub use files::{LateFile, NOT_LOCKED};
pub use link::Link;
pub use lock::{Holder, LockError, NodeLock};
pub use locks::Locks;
pub use wait::wait_for_batches;

/// Where runs keep their files on a node: memory, gone with a reboot, root's alone.
pub const RUN_DIR: &str = "/run/kbootstrap";

/// The prefix of every batch's unit; nothing else may carry it.
pub const UNIT_PREFIX: &str = "kbootstrap-batch-";
