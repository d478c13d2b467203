//! Values compared with each other.

mod encryption;
mod endpoint;
mod networks;
mod nodes;
mod ssh;

use super::Count;
use super::raw::Inventory;
use crate::diag::toml::Document;

/// Looks for everything that can't stand together. Where parts of the document were lost, what is absent proves
/// nothing, so only what is there is compared.
pub fn all(document: &Document<'_>, raw: &Inventory, count: Count) {
    nodes::check(document, raw, count);
    networks::check(document, raw);
    endpoint::check(document, raw);
    encryption::check(document, raw);
    ssh::check(document, raw);
}
