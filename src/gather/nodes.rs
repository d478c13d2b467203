//! Many nodes at once, with bounded connections and memory.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::JoinSet;

use super::{
    ask::Ask,
    look::{Looked, look},
};
use crate::{
    model::{
        name::NodeName,
        observe::{Observation, SeenSecrets},
        ssh::SshTarget,
    },
    transport::{Connector, Effect},
};

/// Nodes looked at in the same moment: bounds sockets and the raw answers in memory.
const AT_ONCE: usize = 128;

/// A node to look at.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: NodeName,
    pub ssh: SshTarget,
    pub ask: Ask,
    /// Whether its connection stays open for the caller, who goes on working there. A connector opens only so many
    /// connections at once, so not for hundreds of nodes.
    pub keep: bool,
}

/// What was gathered of one node.
pub struct Gathered {
    pub observation: Observation,
    pub secrets: SeenSecrets,
    /// The open connection where it was to be kept and could be had; that an answer was not understood does not close it.
    pub connection: Option<Arc<dyn Effect>>,
}

/// Looks at every node over a connection of its own and tells `seen` of each as soon as it answered (or did not).
pub async fn observe(
    connector: Arc<dyn Connector>,
    targets: Vec<Target>,
    mut seen: impl FnMut(&NodeName, &Observation),
) -> BTreeMap<NodeName, Gathered> {
    // A task each, so that handshakes and parsing use every processor; all end with this future.
    let mut tasks = JoinSet::new();
    let mut waiting = targets.into_iter();
    let mut gathered = BTreeMap::new();
    loop {
        for target in waiting.by_ref().take(AT_ONCE - tasks.len()) {
            tasks.spawn(gather(Arc::clone(&connector), target));
        }
        match tasks.join_next().await {
            None => break,
            Some(Ok((name, node))) => {
                seen(&name, &node.observation);
                gathered.insert(name, node);
            }
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    gathered
}

async fn gather(connector: Arc<dyn Connector>, target: Target) -> (NodeName, Gathered) {
    let node = match connector.connect(&target.ssh).await {
        Ok(connection) => {
            let looked = look(connection.as_ref(), &target.ask).await;
            Gathered::from(looked, target.keep.then_some(connection))
        }
        Err(error) => Gathered::from(Looked::unreached(&error), None),
    };
    (target.name, node)
}

impl Gathered {
    fn from(looked: Looked, connection: Option<Arc<dyn Effect>>) -> Self {
        Self { observation: looked.observation, secrets: looked.secrets, connection }
    }
}
