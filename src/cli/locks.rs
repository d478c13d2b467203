//! Taking the locks of a changing run.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::join_all;

use super::survey::{Desired, Survey};
use crate::{
    error::Error,
    exec::{Holder, LockError, NodeLock},
    model::{live::Cluster, name::NodeName, observe::Observation, plan::Owner},
    transport::Effect,
};

/// Which of the voters must be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// More than half: no other run can have as many.
    Majority,
    /// Those that can be reached: of a cluster that is taken down.
    Reachable,
}

/// The locks of one run, let go when dropped.
pub type Locks = BTreeMap<NodeName, NodeLock>;

/// Takes the locks of the etcd voters, one by one in name order, and then of all other nodes that the plan changes.
///
/// A majority of the voters is needed, so that no two runs change membership or cluster objects from disjoint nodes.
///
/// # Errors
/// A lock is held by somebody else, or too few voters can be locked.
pub async fn take(desired: &Desired, survey: &Survey, holder: &Holder, quorum: Quorum) -> Result<Locks, Error> {
    let voters = voters(desired, survey);
    let mut locks = Locks::new();
    let mut missing = Vec::new();
    for voter in &voters {
        match survey.connections.get(voter) {
            Some(connection) => match lock(voter, connection, holder).await? {
                Some(lock) => drop(locks.insert(voter.clone(), lock)),
                None => missing.push(voter.to_string()),
            },
            None => missing.push(voter.to_string()),
        }
    }
    if quorum == Quorum::Majority && locks.len() * 2 <= voters.len() {
        return Err(Error::new(format!("lock the majority of {} control planes", voters.len()))
            .cause(format!("no lock on {}", missing.join(", ")))
            .hint(
                "without a majority two runs could change the cluster at once; bring the control planes back first",
            ));
    }
    let changed = survey.plan.chains.iter().filter_map(|chain| match &chain.owner {
        Owner::Node(name) if chain.items.iter().any(|item| item.verdict.is_change()) => Some(name),
        _ => None,
    });
    let others: Vec<(&NodeName, &Arc<dyn Effect>)> = changed
        .filter(|name| !voters.contains(name))
        .filter_map(|name| Some((name, survey.connections.get(name)?)))
        .collect();
    let taken = join_all(others.iter().map(|(name, connection)| lock(name, connection, holder))).await;
    for ((name, _), taken) in others.iter().zip(taken) {
        if let Some(lock) = taken? {
            locks.insert((*name).clone(), lock);
        }
    }
    Ok(locks)
}

/// Members of etcd of the living cluster that the inventory has; before there is one, the inventory's control planes.
fn voters(desired: &Desired, survey: &Survey) -> Vec<NodeName> {
    let mut voters: Vec<NodeName> = Vec::new();
    if let Cluster::Live(_) = survey.cluster {
        let members = survey.observations.values().find_map(|observation| match observation {
            Observation::Seen(seen) => seen.facts.kubernetes.etcd.as_ref(),
            Observation::Unknown { .. } => None,
        });
        let names = members.into_iter().flat_map(|etcd| &etcd.members).filter(|member| !member.learner);
        voters = names.filter_map(|member| NodeName::new(member.name.clone()).ok()).collect();
        voters.retain(|name| desired.spec.node(name).is_some());
    }
    if voters.is_empty() {
        voters = desired.spec.control_planes().map(|node| node.name.clone()).collect();
    }
    voters.sort();
    voters
}

/// One node's lock; absent where the node can't be worked on any more.
async fn lock(name: &NodeName, connection: &Arc<dyn Effect>, holder: &Holder) -> Result<Option<NodeLock>, Error> {
    match NodeLock::take(connection.as_ref(), holder).await {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Held(by)) => Err(Error::new("lock the node")
            .node(name)
            .cause(format!("another run is at work: {by}"))
            .hint("wait until it has ended; a lock frees itself within 20 s of its holder's death")),
        Err(LockError::Failed(why)) => Err(Error::new("lock the node").node(name).cause(why)),
        Err(LockError::Transport(error)) => {
            tracing::warn!("{error}");
            Ok(None)
        }
    }
}
