//! Problems in a file, shown with file:line:column and a caret, all of them at once.
//!
//! [`toml`] reads a document so that nothing stops at the first mistake: unknown keys, wrong types and refused values
//! are all collected, each with its place and a way out.

mod problem;
mod render;
mod suggest;
pub mod toml;

pub use problem::{Located, Problem, Problems, Span};
pub use suggest::did_you_mean;
