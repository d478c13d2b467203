//! Reading a TOML document by hand, so that every mistake is found and not only the first.
//!
//! serde stops at its first error. Here a [`Document`] collects problems while [`Table`]s are asked for the keys that
//! they may have; what nobody asked for is an unknown key, answered with "did you mean".

mod document;
mod table;
mod value;

pub use document::Document;
pub use table::Table;
pub use value::{At, Value};
