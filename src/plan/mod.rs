//! Planning: desired and observed in, a plan out. Pure.

mod build;

pub use build::{Input, build};
