//! What all judgements of one look share: put together once, whoever plans.

use std::collections::BTreeMap;

use super::{
    build::{self, Bearings, Input},
    item,
};
use crate::{
    kind::Context,
    model::{
        cluster::ClusterSpec,
        facts::Facts,
        live::Cluster,
        name::NodeName,
        node::NodeSpec,
        observe::{Observation, Seen},
        plan::{Item, Verdict},
    },
};

/// The wanted cluster, the cluster that is there, and what follows from all nodes that were seen.
pub struct Basis<'a> {
    spec: &'a ClusterSpec,
    cluster: &'a Cluster,
    /// Of every node that answered.
    pub facts: BTreeMap<NodeName, Facts>,
    /// The cluster's authority, where any control plane has it; while it is exchanged for another, both.
    pub ca_crt: Option<String>,
    pub bearings: Bearings,
}

impl<'a> Basis<'a> {
    pub fn of(input: &Input<'a>) -> Self {
        let seen = build::facts(input.observations);
        Self {
            spec: input.spec,
            cluster: input.cluster,
            ca_crt: build::known_ca(input.spec, &seen),
            bearings: build::bearings(input.spec, input.cluster, input.observations),
            facts: seen.into_iter().map(|(name, facts)| (name, facts.clone())).collect(),
        }
    }

    /// What the steps of a node are judged by.
    pub fn context<'c>(&'c self, node: &'c NodeSpec, seen: &'c Seen) -> Context<'c> {
        Context {
            spec: self.spec,
            node,
            seen,
            cluster: self.cluster,
            facts: &self.facts,
            ca_crt: self.ca_crt.as_deref(),
            leader: &self.bearings.leader,
            identity: self.bearings.identity.as_ref(),
        }
    }

    /// A node's items; one that tells why where nothing is known of it, none where it was not looked at.
    pub fn items(
        &self,
        input: &Input<'_>,
        node: &NodeSpec,
        (step, title): (&str, &str),
        items: impl FnOnce(&Context<'_>) -> Vec<Item>,
    ) -> Vec<Item> {
        match input.observations.get(&node.name) {
            Some(Observation::Seen(seen)) => items(&self.context(node, seen)),
            Some(Observation::Unknown { error, .. }) => vec![item(step, title, Verdict::Unknown(error.clone()))],
            None => Vec::new(),
        }
    }
}
