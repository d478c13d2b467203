//! Taking the locks of a changing run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;

use super::{
    Output,
    survey::{Desired, Survey},
};
use crate::{
    error::Error,
    exec::{Holder, LockError, Locks, NodeLock},
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

/// How a run takes its locks.
pub struct Taking<'a> {
    pub desired: &'a Desired,
    pub holder: &'a Holder,
    /// When to give up waiting for others; now, where nobody wants to wait.
    pub until: Instant,
    pub quorum: Quorum,
    /// Where waiting is told.
    pub output: &'a Output,
}

impl<'a> Taking<'a> {
    /// Waits for others at most so long; absent: not at all.
    pub fn new(
        desired: &'a Desired,
        holder: &'a Holder,
        patience: Option<Duration>,
        quorum: Quorum,
        output: &'a Output,
    ) -> Self {
        let until = Instant::now() + patience.unwrap_or_default();
        Self { desired, holder, until, quorum, output }
    }

    /// Takes what `locks` lacks: those of the etcd voters, one by one in name order, and then of all other nodes that the
    /// plan changes. Gives whether any was lacking.
    ///
    /// A majority of the voters is needed, so that no two runs change membership or cluster objects from disjoint nodes.
    /// Two that wait cannot wait for each other: everybody takes the voters first, and all in the same order.
    ///
    /// # Errors
    /// A lock is held by somebody else, or too few voters can be locked.
    pub async fn take(&self, survey: &Survey, locks: &mut Locks) -> Result<bool, Error> {
        let before = locks.count();
        let voters = voters(self.desired, survey);
        let needed = match self.quorum {
            Quorum::Majority => voters.len() / 2 + 1,
            Quorum::Reachable => 0,
        };
        let mut missing = Vec::new();
        for voter in &voters {
            if locks.contains(voter) {
                continue;
            }
            match survey.connections.get(voter) {
                Some(connection) => match self.lock(voter, connection, self.patience()).await? {
                    Some(lock) => locks.insert(voter.clone(), lock),
                    None => missing.push(voter.to_string()),
                },
                None => missing.push(voter.to_string()),
            }
        }
        if voters.len() - missing.len() < needed {
            let hint = "without a majority two runs could change the cluster at once; bring the control planes back, and \
                        those that it lacks into the inventory, first";
            return Err(Error::new(format!("lock the majority of {} control planes", voters.len()))
                .cause(format!("no lock on {}", missing.join(", ")))
                .hint(hint));
        }
        locks.require(voters.clone(), needed);
        let others: Vec<(&NodeName, &Arc<dyn Effect>)> = changed(survey)
            .filter(|name| !voters.contains(name) && !locks.contains(name))
            .filter_map(|name| Some((name, survey.connections.get(name)?)))
            .collect();
        let at_once =
            join_all(others.iter().map(|(name, connection)| self.lock(name, connection, Duration::ZERO))).await;
        if at_once.iter().any(Result::is_err) && !self.patience().is_zero() {
            drop(at_once);
            let mut ordered = others;
            ordered.sort_by_key(|(name, _)| *name);
            for (name, connection) in ordered {
                if let Some(lock) = self.lock(name, connection, self.patience()).await? {
                    locks.insert(name.clone(), lock);
                }
            }
        } else {
            for ((name, _), taken) in others.iter().zip(at_once) {
                if let Some(lock) = taken? {
                    locks.insert((*name).clone(), lock);
                }
            }
        }
        Ok(locks.count() > before)
    }

    fn patience(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// One node's lock; absent where the node can't be worked on any more.
    async fn lock(
        &self,
        name: &NodeName,
        connection: &Arc<dyn Effect>,
        patience: Duration,
    ) -> Result<Option<NodeLock>, Error> {
        let waits = |by: &str| {
            self.output.say(&format!("{name}  waits for the lock of {by}"));
        };
        match NodeLock::take(connection.as_ref(), self.holder, patience, waits).await {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Held(by)) => Err(held(name, &by)),
            Err(LockError::Transport(error)) => {
                tracing::warn!("{error}");
                Ok(None)
            }
            Err(error) => Err(Error::new("lock the node").node(name).cause(error)),
        }
    }
}

/// What the second of two operators is told.
pub fn held(name: &NodeName, by: &str) -> Error {
    Error::new("lock the node")
        .node(name)
        .cause(format!("another run is at work: {by}"))
        .hint("wait until it has ended, as --wait does; a lock frees itself within 20 s of its holder's death")
}

/// Who holds the lock of any node, as an observation saw it.
pub fn holder_seen(survey: &Survey) -> Option<(&NodeName, String)> {
    survey.observations.iter().find_map(|(name, observation)| match observation {
        Observation::Seen(seen) => {
            let words = seen.facts.runs.lock_holder.as_deref()?;
            Some((name, Holder::read(words)))
        }
        Observation::Unknown { .. } => None,
    })
}

fn changed(survey: &Survey) -> impl Iterator<Item = &NodeName> {
    survey.plan.chains.iter().filter_map(|chain| match &chain.owner {
        Owner::Node(name) if chain.items.iter().any(|item| item.verdict.is_change()) => Some(name),
        _ => None,
    })
}

/// Members of etcd of the living cluster, whether the inventory has them or not; before there is one, the inventory's
/// control planes.
fn voters(desired: &Desired, survey: &Survey) -> Vec<NodeName> {
    let mut voters: Vec<NodeName> = Vec::new();
    if let Cluster::Live(_) = survey.cluster {
        let members = survey.observations.values().find_map(|observation| match observation {
            Observation::Seen(seen) => seen.facts.kubernetes.etcd.as_ref(),
            Observation::Unknown { .. } => None,
        });
        let names = members.into_iter().flat_map(|etcd| &etcd.members).filter(|member| !member.learner);
        voters = names.filter_map(|member| NodeName::new(member.name.clone()).ok()).collect();
    }
    if voters.is_empty() {
        voters = desired.spec.control_planes().map(|node| node.name.clone()).collect();
    }
    voters.sort();
    voters
}
