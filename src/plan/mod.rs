//! Planning: desired and observed in, a plan out. Pure.

mod build;
pub mod defrag;
pub mod expand;
pub mod remove;
pub mod reset;
pub mod upgrade;
mod values;

pub use build::{Bearings, Input, bearings, build};
