//! `kbootstrap.facts/v1`: what nodes told of themselves.

use serde::Serialize;

use crate::model::{facts, node::NodeSpec, observe::Observation};

/// The whole document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    /// In the inventory's order.
    nodes: Vec<Node<'a>>,
}

#[derive(Debug, Serialize)]
struct Node<'a> {
    name: &'a str,
    role: &'static str,
    address: String,
    /// Null where the node could not be asked, or its answer not be understood: nothing is known then.
    facts: Option<&'a facts::Facts>,
    /// Why nothing is known.
    error: Option<&'a str>,
    hint: Option<&'a str>,
}

impl<'a> Document<'a> {
    /// The nodes that were looked at.
    pub fn of(nodes: impl IntoIterator<Item = (&'a NodeSpec, &'a Observation)>) -> Self {
        Self { schema: "kbootstrap.facts/v1", nodes: nodes.into_iter().map(|(spec, seen)| node(spec, seen)).collect() }
    }
}

fn node<'a>(spec: &'a NodeSpec, observation: &'a Observation) -> Node<'a> {
    let (facts, error, hint) = match observation {
        Observation::Seen(seen) => (Some(&seen.facts), None, None),
        Observation::Unknown { error, hint } => (None, Some(error.as_str()), hint.as_deref()),
    };
    Node { name: spec.name.as_str(), role: spec.role.as_str(), address: spec.address.to_string(), facts, error, hint }
}
