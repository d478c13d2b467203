//! Planning: desired and observed in, a plan out. Pure.

mod build;
pub mod expand;
mod values;

pub use build::{Bearings, Input, bearings, build};
