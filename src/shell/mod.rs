//! POSIX shell text: quoting and composing, so that no value ever becomes syntax.
//!
//! Everything that runs on a node is text for `/bin/sh` (dash on Debian and Ubuntu). A value enters such text through
//! [`quote`] or [`words`] and in no other way; a whole script leaves through [`wrap`].

mod bytes;
pub mod escape;
mod quote;
mod script;
mod until;

pub use bytes::print_bytes;
pub use quote::{NulByte, quote, try_quote, words};
pub use script::{all_of, subshell, wrap, wrap_listening};
pub use until::Until;
