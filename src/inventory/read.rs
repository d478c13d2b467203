//! From text to typed values with their places.

mod node;
mod ssh;
mod tables;

use super::Places;
use super::keys::elsewhere;
use super::raw::Inventory;
use crate::diag::Problem;
use crate::diag::toml::Document;

/// Reads every key there is.
pub fn inventory(document: &Document<'_>, places: &Places) -> Inventory {
    let mut root = document.root();
    let mut raw = Inventory {
        default_known_hosts: places.home.as_ref().map(|home| home.join(".ssh/known_hosts")),
        ..Inventory::default()
    };
    root.need("cluster", "`[cluster]` with a `name` and the version of `kubernetes`");
    root.need("node", "`[[node]]`, once for each machine");
    if let Some(mut table) = root.table("cluster") {
        if let Some(endpoint) = table.table("endpoint") {
            raw.endpoint = tables::endpoint(endpoint);
        }
        raw.cluster = tables::cluster(table);
    }
    if let Some(table) = root.table("ssh") {
        raw.ssh = ssh::settings(table, places);
    }
    if let Some(table) = root.table("repository") {
        raw.repository = tables::repository(table);
    }
    if let Some(table) = root.table("runtime") {
        raw.runtime = tables::runtime(table);
    }
    if let Some(table) = root.table("network") {
        raw.network = tables::network(table);
    }
    if let Some(table) = root.table("time") {
        raw.time = tables::time(table);
    }
    if let Some(table) = root.table("etcd") {
        raw.etcd = tables::etcd(table);
    }
    if let Some(table) = root.table("backup") {
        raw.backup = tables::backup(table, places);
    }
    if let Some(table) = root.table("encryption") {
        raw.encryption = tables::encryption(table);
    }
    if let Some(table) = root.table("override") {
        raw.overrides = tables::overrides(table);
    }
    if let Some(value) = root.value("node") {
        // One pair of brackets is the usual slip: say so instead of "a list is needed".
        if value.as_table().is_some() {
            let problem = Problem::at(value.span(), "`[node]` is one table, nodes are a list of them");
            document.push(problem.hint("write `[[node]]`, once for each node"));
        } else {
            raw.nodes = value.array().iter().filter_map(|v| Some(node::node(v.table()?, places))).collect();
        }
    }
    root.finish(elsewhere);
    raw
}
