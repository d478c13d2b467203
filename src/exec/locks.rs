//! All locks of one run, and what it may do with those it has.

use std::collections::BTreeMap;

use futures::future::join_all;
use tokio::sync::Mutex;

use super::{Link, LockError, NodeLock};
use crate::model::name::NodeName;

/// The locks of one run, let go when dropped.
#[derive(Default)]
pub struct Locks {
    held: BTreeMap<NodeName, Mutex<NodeLock>>,
    /// Voters of etcd, and how many of them must be locked for what concerns the cluster as a whole.
    voters: Vec<NodeName>,
    needed: usize,
}

impl Locks {
    pub fn contains(&self, node: &NodeName) -> bool {
        self.held.contains_key(node)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.held.len()
    }

    pub fn insert(&mut self, node: NodeName, lock: NodeLock) {
        self.held.insert(node, Mutex::new(lock));
    }

    /// What concerns the cluster as a whole needs so many of these locks.
    pub fn require(&mut self, voters: Vec<NodeName>, needed: usize) {
        self.voters = voters;
        self.needed = needed;
    }

    /// Makes sure of a node's lock before something is done there: one that was lost with its connection is taken again.
    ///
    /// # Errors
    /// Another run had it since, or the node can't be reached.
    pub async fn keep(&self, node: &NodeName, link: &Link) -> Result<(), LockError> {
        let Some(lock) = self.held.get(node) else { return Ok(()) };
        let mut lock = lock.lock().await;
        if lock.is_held() { Ok(()) } else { lock.regain(link).await }
    }

    /// Takes a node's lock again of which the node says that it is lost.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    pub async fn regain(&self, node: &NodeName, link: &Link) -> Result<(), LockError> {
        let Some(lock) = self.held.get(node) else { return Ok(()) };
        lock.lock().await.regain(link).await
    }

    /// Makes sure of a majority before something is done to the cluster.
    ///
    /// # Errors
    /// Too few voters are locked, and can't be locked again: the first reason.
    pub async fn keep_quorum<L: AsRef<Link>>(
        &self,
        links: &BTreeMap<NodeName, L>,
    ) -> Result<(), (NodeName, LockError)> {
        let held = |node: &&NodeName| match self.held.get(*node) {
            // One that is just being taken again is not there yet.
            Some(lock) => lock.try_lock().is_ok_and(|lock| lock.is_held()),
            None => false,
        };
        if self.voters.iter().filter(held).count() >= self.needed {
            return Ok(());
        }
        let ours = self.voters.iter().filter(|node| self.contains(node));
        let again = ours.filter_map(|node| Some((node, links.get(node)?)));
        let again = join_all(again.map(async |(node, link)| (node, self.keep(node, link.as_ref()).await))).await;
        let (had, lost): (Vec<_>, Vec<_>) = again.into_iter().partition(|(_, kept)| kept.is_ok());
        match lost.into_iter().find_map(|(node, kept)| Some((node.clone(), kept.err()?))) {
            Some(first) if had.len() < self.needed => Err(first),
            _ => Ok(()),
        }
    }
}
