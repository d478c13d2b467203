//! Three rights over a node: observe, probe, effect; and SSH, the one way they are had.
//!
//! A right is a type: code that plans holds only [`Observe`] and so can't change anything; [`Effect`] holds the other two.
//! Scripts of all three run as root, each as one function on standard input of `sh -s`.

mod dial;
mod error;
#[cfg(test)]
pub mod fake;
mod held;
mod script;
pub mod ssh;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::model::{mode::Mode, ssh::SshTarget};

pub use dial::{Dial, Stream};
pub use error::{Cause, OutputStream, Stage, TransportError};
pub use held::Held;
pub use script::{Exit, Limits, Output, Script};
pub use stream::{BACKLOG, Follow, FollowEvent};

/// What every attempt over a connection comes to.
pub type Attempt<'a, T> = BoxFuture<'a, Result<T, TransportError>>;

/// The right to look: scripts that change nothing and answer in milliseconds.
pub trait Observe: Send + Sync {
    /// Runs a script that only reads, to its end. Dropping the future closes the script's channel.
    ///
    /// # Errors
    /// A limit was exceeded, the script could not be started, or its exit status never came. An exit status other than 0
    /// is no error here.
    fn observe<'a>(&'a self, script: &'a Script, limits: Limits) -> Attempt<'a, Output>;
}

/// The right to try: scripts that may write something temporary or wait on a network.
pub trait Probe: Observe {
    /// Runs a script that leaves nothing behind, to its end.
    ///
    /// # Errors
    /// As [`Observe::observe`].
    fn probe<'a>(&'a self, script: &'a Script, limits: Limits) -> Attempt<'a, Output>;
}

/// The right to change.
///
/// A connection carries at most two scripts or streams at once, so that it fits a server's `MaxSessions 2`: a held lock and
/// one piece of work. A third waits until one of them has ended.
pub trait Effect: Probe {
    /// Runs a script that changes something, to its end.
    ///
    /// # Errors
    /// As [`Observe::observe`]. After an error it is unknown how far the script came.
    fn run<'a>(&'a self, script: &'a Script, limits: Limits) -> Attempt<'a, Output>;

    /// Starts a script and hands over its output as it comes, for at most `timeout`.
    ///
    /// # Errors
    /// No channel could be had. What goes wrong later is told by [`Follow::next`].
    fn follow<'a>(&'a self, script: &'a Script, timeout: Duration) -> Attempt<'a, Follow>;

    /// Starts a script whose standard input stays open until the [`Held`] is dropped, without a time limit.
    ///
    /// The script's first line of output says that it runs; from then on its standard input holds one newline per beat. So
    /// it is wrapped by `shell::wrap_listening`: `shell::wrap` gives its body an empty input, and such a holder ends at once.
    /// A connection on which something is held does not count among those that a [`Connector`] has open at once.
    ///
    /// # Errors
    /// No channel could be had. What goes wrong later is told by [`Held::next_line`].
    fn hold<'a>(&'a self, script: &'a Script) -> Attempt<'a, Held>;

    /// Opens a byte stream to a service on the node, by `socat` as the login user, whatever forwarding allows.
    ///
    /// # Errors
    /// No channel could be had. That the service can't be reached is told by reading the [`Stream`].
    fn dial(&self, to: Dial) -> Attempt<'_, Stream>;

    /// Puts a file in place: written to a dot-file in the same folder, its SHA-256 checked there, given its mode, and renamed
    /// over `path`, which must be absolute. The owner is root. After an error the old file, or its absence, is unchanged,
    /// save after [`Cause::Lost`] or a time-out, when the old or the new file is there, whole.
    ///
    /// # Errors
    /// As [`Observe::observe`], and [`Cause::Upload`] with the node's words.
    fn upload<'a>(&'a self, path: &'a str, mode: Mode, content: Bytes) -> Attempt<'a, ()>;
}

/// Opens connections to nodes.
pub trait Connector: Send + Sync {
    /// Opens a new connection; it is closed when the last reference to it, and to what was started on it, is dropped.
    ///
    /// # Errors
    /// The node can't be reached, its host key is not the known one, no key was accepted, or a stage took too long.
    fn connect<'a>(&'a self, target: &'a SshTarget) -> Attempt<'a, Arc<dyn Effect>>;
}
