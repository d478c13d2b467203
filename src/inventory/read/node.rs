//! `[[node]]`

use std::net::IpAddr;

use super::ssh;
use crate::diag::Problem;
use crate::diag::toml::{At, Table, Value};
use crate::inventory::Places;
use crate::inventory::keys::elsewhere;
use crate::inventory::raw::Node;
use crate::model::cluster::Role;
use crate::model::invalid::Invalid;
use crate::model::label::{LabelKey, LabelValue};

/// One node.
pub fn node(mut table: Table<'_>, places: &Places) -> Node {
    table.need("name", "`name = \"cp1\"`");
    table.need("address", "`address = \"10.0.0.11\"`");
    table.need("role", "`role = \"control-plane\"` or `role = \"worker\"`");
    let given = table.value("node-ip");
    let ips = given.as_ref().map(Value::one_or_more).unwrap_or_default();
    let node_ips: Vec<At<IpAddr>> = ips.iter().filter_map(ip).collect();
    let node = Node {
        span: table.span(),
        name: table.parsed("name"),
        address: table.parsed("address"),
        role: table.choice("role", &[("control-plane", Role::ControlPlane), ("worker", Role::Worker)]),
        zone: zone(&mut table),
        labels: table.table("labels").map(|labels| self::labels(&labels)).unwrap_or_default(),
        taints: table.list("taints"),
        etcd_witness: table.boolean("etcd-witness"),
        node_ip_given: given.is_some(),
        node_ip_refused: node_ips.len() < ips.len(),
        node_ips,
        ssh: table.table("ssh").map(|ssh| ssh::settings(ssh, places)).unwrap_or_default(),
    };
    table.finish(elsewhere);
    node
}

fn zone(table: &mut Table<'_>) -> Option<At<LabelValue>> {
    let value = table.value("zone")?;
    let zone = value.parsed::<LabelValue>()?;
    if zone.value.as_str().is_empty() {
        value.refuse(&Invalid::new("a zone can't be empty").hint("leave the key out"));
        return None;
    }
    Some(zone)
}

fn labels(table: &Table<'_>) -> Vec<(At<LabelKey>, LabelValue)> {
    let mut labels = Vec::new();
    for (key, value) in table.entries() {
        let text = value.parsed::<LabelValue>();
        match LabelKey::new(key.value) {
            Ok(good) => labels.extend(text.map(|text| (key.map(|_| good), text.value))),
            Err(why) => {
                let problem = Problem::at(key.span, why.message());
                let hint = why.way_out().unwrap_or("a key is `name` or `example.com/name`");
                table.document().push(problem.hint(hint));
            }
        }
    }
    labels
}

fn ip(value: &Value<'_>) -> Option<At<IpAddr>> {
    let text = value.text()?;
    if let Ok(ip) = text.value.parse::<IpAddr>() {
        return Some(text.map(|_| ip));
    }
    value.refuse(&Invalid::new(format!("`{}` is not an IP address", text.value.escape_debug())));
    None
}
