//! What a step of a node is judged by.

use std::collections::BTreeMap;

use crate::{
    model::{
        cluster::{ClusterSpec, NodeSpec},
        facts::{ClusterIdentity, Facts},
        live::{Cluster, Live, LiveNode},
        name::NodeName,
        observe::Seen,
        step::{Content, LateFile},
    },
    render,
};

/// All that a judgement may look at: what is wanted, and what was seen of this node, of the others and of the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub spec: &'a ClusterSpec,
    pub node: &'a NodeSpec,
    /// What this node's observation brought.
    pub seen: &'a Seen,
    pub cluster: &'a Cluster,
    /// Facts of every node that answered, this one among them.
    pub facts: &'a BTreeMap<NodeName, Facts>,
    /// The cluster's authority (PEM), where any control plane has it; absent before it is made.
    pub ca_crt: Option<&'a str>,
    /// The control plane that initialises, or a healthy one of the living cluster.
    pub leader: &'a NodeName,
    /// The cluster's identity; absent before it is made.
    pub identity: Option<&'a ClusterIdentity>,
}

impl<'a> Context<'a> {
    /// The cluster, if its API answered.
    pub fn live(&self) -> Option<&'a Live> {
        match self.cluster {
            Cluster::Live(live) => Some(live),
            _ => None,
        }
    }

    /// This machine's Node object: of its name and its machine-id.
    pub fn live_node(&self) -> Option<&'a LiveNode> {
        let node = self.live()?.nodes.get(&self.node.name)?;
        (node.machine_id == self.seen.facts.identity.machine_id).then_some(node)
    }

    /// Whether work of the cluster may run on this machine: from the moment that a kubelet has its configuration,
    /// whatever the API says of it now.
    pub fn has_joined(&self) -> bool {
        self.seen.facts.kubernetes.configs.iter().any(|name| name == "kubelet.conf")
    }

    /// Whether this node is the one that leads.
    pub fn leads(&self) -> bool {
        self.node.name == *self.leader
    }

    /// The content of a file, if it is known when planning.
    pub fn text(&self, content: &'a Content) -> Option<String> {
        match content {
            Content::Text(text) => Some(text.clone()),
            Content::Late(LateFile::ClusterCa) => self.ca_crt.map(String::from),
            Content::Late(LateFile::Identity) => self.identity.map(render::identity::text),
        }
    }
}
