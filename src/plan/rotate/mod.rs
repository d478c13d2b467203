//! The plans by which a cluster's authorities are exchanged for new ones while it lives. Pure.
//!
//! How far it is is told by what lies on the nodes and in the cluster: which certificates are trusted where, whose key signs,
//! who signed what is there. So a run that died is gone on with by the same command, and no phase begins before all nodes
//! have the one before behind them.
//!
//! ```text
//! start     stage     every control plane keeps itself as it is, and gets the new authorities beside the old
//!           spread    everybody trusts both; the old ones sign. Control planes one by one, then workers, then the cluster
//! continue  pods      none is older than the trust in the new authority: most programs read whom to trust only once
//!           reissue   the new ones sign, and all certificates are signed anew, in the same order
//! finish    pods      as before
//!           distrust  everybody trusts the new ones alone, in the same order
//!           clean     the old keys go
//! ```

mod clean;
mod member;
mod node;
mod pods;
mod refuse;
mod reissue;
mod spread;
mod stage;
#[cfg(test)]
mod tests;
mod world;

use super::{
    after_preflight, away,
    build::{self},
    item,
};
use crate::model::{
    cluster::ClusterSpec,
    name::NodeName,
    plan::{Chain, Change, Gate, Item, Notice, Owner, Plan, Verdict},
    rotation::Trusting,
};
use world::World;

/// All that the plans are made from.
pub struct Input<'a> {
    /// Its steps: those of the local proxy, of static pods, and the question for certificates.
    pub base: build::Input<'a>,
    /// Whom the cluster's objects trust, or why that is not known.
    pub trusting: Result<&'a Trusting, &'a str>,
    /// Whether pods that are too old are made anew.
    pub restart: bool,
    /// Whether it does not matter how old pods are.
    pub ignore_pods: bool,
}

/// What the command is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Start,
    Continue,
    Finish,
}

/// A part of a phase: one plan, run to its end before the next is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Stage,
    Spread,
    Pods,
    Reissue,
    Distrust,
    Clean,
}

impl Phase {
    /// Its parts in their order.
    pub const fn passes(self) -> &'static [Pass] {
        match self {
            Self::Start => &[Pass::Stage, Pass::Spread],
            Self::Continue => &[Pass::Pods, Pass::Reissue],
            Self::Finish => &[Pass::Pods, Pass::Distrust, Pass::Clean],
        }
    }
}

/// The plan of a part of a phase.
pub fn build(phase: Phase, pass: Pass, input: &Input) -> Plan {
    let mut plan = match World::of(input) {
        Ok(world) => match refuse::refusals(&world, phase) {
            refused if refused.is_empty() => match pass {
                Pass::Stage => stage::plan(&world),
                Pass::Spread => spread::plan(&world, spread::Trust::Both),
                Pass::Pods => pods::plan(&world),
                Pass::Reissue => reissue::plan(&world),
                Pass::Distrust => spread::plan(&world, spread::Trust::NewOnly),
                Pass::Clean => clean::plan(&world),
            },
            chains => Plan { chains, ..Plan::default() },
        },
        Err(chains) => Plan { chains, ..Plan::default() },
    };
    after_preflight(&mut plan);
    plan.notices.extend(notice(phase, pass));
    plan
}

fn notice(phase: Phase, pass: Pass) -> Option<Notice> {
    let text = match (phase, pass) {
        (_, Pass::Stage) => {
            "then everybody is made to trust both, one control plane after the other; the old ones go on signing"
        }
        (Phase::Continue, Pass::Pods) => "then the new authorities sign, and all certificates are signed anew",
        (Phase::Finish, Pass::Pods | Pass::Distrust) => {
            "kubeconfigs that were handed out before are refused from then on, and backups of before hold the old authorities"
        }
        _ => return None,
    };
    Some(Notice { node: None, text: text.to_owned(), hint: None })
}

fn change(diff: Vec<String>, ops: Vec<crate::model::op::Op>, disrupts: Option<&str>) -> Verdict {
    Verdict::Change(Change { diff, ops, disrupts: disrupts.map(str::to_owned) })
}

/// Control planes one after the other, then workers in batches of a tenth, then what of the cluster's chain says so.
fn gate(spec: &ClusterSpec, chains: &mut [Chain]) {
    let control_plane = |name: &NodeName| spec.node(name).is_some_and(|node| node.is_control_plane());
    let mut turn: Option<Gate> = None;
    let mut workers = Vec::new();
    for (at, chain) in chains.iter_mut().enumerate() {
        let Owner::Node(name) = chain.owner.clone() else { continue };
        let Some((first, last)) = changes(&chain.items) else { continue };
        if !control_plane(&name) {
            workers.push(at);
            continue;
        }
        chain.items[first].waits.extend(turn.take());
        let gate = Gate::Turn(name);
        chain.items[last].opens = Some(gate.clone());
        turn = Some(gate);
    }
    let size = workers.len().div_ceil(10).max(1);
    let mut previous = turn;
    for (batch, some) in workers.chunks(size).enumerate() {
        for at in some {
            let (first, last) = changes(&chains[*at].items).expect("it has changes");
            chains[*at].items[first].waits.extend(previous.clone());
            chains[*at].items[last].opens = Some(Gate::Batch(batch));
        }
        previous = Some(Gate::Batch(batch));
    }
    let cluster = chains.iter_mut().filter(|chain| chain.owner == Owner::Cluster);
    for item in cluster.flat_map(|chain| &mut chain.items) {
        if item.verdict.is_change() && item.step.as_str() != spread::IDENTITY {
            item.waits.extend(previous.clone());
        }
    }
}

fn changes(items: &[Item]) -> Option<(usize, usize)> {
    let is = |item: &Item| item.verdict.is_change();
    Some((items.iter().position(is)?, items.iter().rposition(is)?))
}
