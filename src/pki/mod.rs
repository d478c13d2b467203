//! The four shared authorities of a cluster, made in memory and checked when read from a node.
//!
//! kubeadm makes every other certificate, on the node that needs it, but for those of etcd where this program runs it. What it takes over it hardly looks at: neither
//! names and usages nor whether a key belongs to its certificate, so [`Authorities::parse`] does.

mod authorities;
mod bundle;
mod check;
mod error;
mod file;
mod generate;
mod inspect;
mod member;
mod request;

pub use authorities::{Authorities, Authority, Pair, SigningPair};
pub use bundle::{Trusted, bundle, bundle_text, is_bundle, trusts_the_same, union};
pub use check::ca_sha256;
pub use error::PkiError;
pub use file::{SharedFile, SharedPath};
pub use inspect::{Certificate, certificates};
pub use member::member;
pub use request::request;
