//! Observing many nodes at once, one round trip each.
//!
//! All facts and all reads of a node compile into one script (`script`); its answer is parsed whole or not at all
//! (`answer`). [`look`] does this over a connection that is there; [`observe`] does it to many nodes, each over a
//! connection of its own, which is closed at once unless the caller wants to go on working there.

mod answer;
mod ask;
mod look;
mod nodes;
mod script;

pub use ask::Ask;
pub use look::{Looked, look};
pub use nodes::{Gathered, Target, observe};
