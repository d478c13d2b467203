//! Encryption of Secrets, which only one may look after.

use crate::diag::Problem;
use crate::diag::toml::Document;
use crate::inventory::raw::Inventory;
use crate::model::encryption::{FLAG, RELOAD_FLAG};

pub fn check(document: &Document<'_>, raw: &Inventory) {
    let Some(provider) = &raw.encryption.provider else { return };
    let given = raw.overrides.cluster.get("apiServer").and_then(|server| server.get("extraArgs"));
    // A table, or a list of `{ name, value }`.
    let named = |flag: &str| match given {
        Some(serde_json::Value::Object(table)) => table.contains_key(flag),
        Some(serde_json::Value::Array(list)) => list.iter().any(|one| one["name"] == *flag),
        _ => false,
    };
    for flag in [FLAG, RELOAD_FLAG].into_iter().filter(|flag| named(flag)) {
        let problem = Problem::at(provider.span.clone(), format!("`[override.cluster]` sets `{flag}`, too"));
        document.push(problem.label("kbootstrap sets it").hint("leave one of the two out: keys have one keeper"));
    }
}
