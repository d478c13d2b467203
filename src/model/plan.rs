//! The plan: one chain per node and one for the cluster, every step in it, satisfied or not. What is shown is what
//! is run; a plan is never recomputed inside a run.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    name::NodeName,
    op::{Late, Op},
    step::StepId,
};

/// All that a run will do, and all that it found right.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Node chains in the inventory's order, the cluster's chain last.
    pub chains: Vec<Chain>,
    /// What a person should know though nothing is done about it: a node of the cluster that the inventory lacks, an
    /// unreachable worker.
    pub notices: Vec<Notice>,
    /// How many workers of a roll may fail before no further batch is begun.
    pub max_failed: usize,
    /// Whether what stands in the way may pass by itself within a minute: a roll that died has restarted something.
    pub settling: bool,
}

/// Whose chain it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    Node(NodeName),
    Cluster,
}

/// The items of one owner, in playbook order.
#[derive(Clone, Debug)]
pub struct Chain {
    pub owner: Owner,
    pub items: Vec<Item>,
}

/// One step of one owner, judged.
#[derive(Clone, Debug)]
pub struct Item {
    pub step: StepId,
    pub title: String,
    pub verdict: Verdict,
    /// Gates that must be open before this item's ops begin.
    pub waits: Vec<Gate>,
    /// The gate that opens when this item is done (or was satisfied).
    pub opens: Option<Gate>,
}

/// What an observation says of a step.
#[derive(Clone, Debug)]
pub enum Verdict {
    Satisfied,
    /// Not as wanted, and these ops make it so.
    Change(Change),
    /// Looked at in the run, before any change: ops that change nothing.
    Probe(Vec<Op>),
    /// Not as wanted, and it is not ours to change: nothing is run while a plan has one of these.
    Refused(Refusal),
    /// The node did not answer; nothing is known of the step.
    Unknown(String),
}

/// A change with what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Lines for a person: `- was`, `+ will be`, or a plain remark.
    pub diff: Vec<String>,
    pub ops: Vec<Op>,
    /// Why somebody might be disturbed; such a change asks first.
    pub disrupts: Option<String>,
}

/// Why a plan cannot be run, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub reason: String,
    pub hint: String,
}

/// A remark on the whole plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub node: Option<NodeName>,
    pub text: String,
    pub hint: Option<String>,
}

/// The closed set of things a chain waits for. No free edges.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Every chain's probes have passed.
    AllPreflightPassed,
    /// The first control plane holds the authorities and the cluster's identity on disk.
    Founded,
    /// Every member that forms etcd as a service is started: there is a quorum for an API server. Opened by several items.
    MembersStarted,
    /// The first control plane's API server answers and init is done.
    ApiAnswers,
    /// This control plane's join is done: the next one may begin.
    Turn(NodeName),
    /// This node's local proxy leads to the API servers that it shall.
    Proxy(NodeName),
    /// Every node chain has ended, well or not.
    NodesSettled,
    /// What can be brought to the nodes beforehand is on all of them: package sources, images, backups. Opened by several
    /// items; open once all of them are done.
    Prepared,
    /// This control plane's API server, controllers and etcd are rolled and well: the next one's may be.
    Served(NodeName),
    /// The roll is done with this control plane: the next node may be taken.
    Rolled(NodeName),
    /// The roll is done with all workers of this batch. Opened by several items, too.
    Batch(usize),
    /// Every control plane is through this part of a change of the keys of Secrets. Opened by several items, too.
    Keys(KeysGate),
}

/// Parts of a change of the keys that Secrets are encrypted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeysGate {
    /// Who joins later gets the flags.
    Configured,
    Readable,
    Kept,
    Writing,
    Rewritten,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gate::AllPreflightPassed => f.write_str("preflight of every node"),
            Gate::Founded => f.write_str("the cluster's authorities"),
            Gate::MembersStarted => f.write_str("all members of etcd to be started"),
            Gate::ApiAnswers => f.write_str("the API to answer"),
            Gate::Turn(node) => write!(f, "the join of {node}"),
            Gate::Proxy(node) => write!(f, "the local proxy of {node}"),
            Gate::NodesSettled => f.write_str("every node"),
            Gate::Prepared => f.write_str("images, packages and backups on every node"),
            Gate::Served(node) => write!(f, "the API server of {node}"),
            Gate::Rolled(node) => write!(f, "the roll of {node}"),
            Gate::Batch(batch) => write!(f, "workers of batch {}", batch + 1),
            Gate::Keys(part) => f.write_str(match part {
                KeysGate::Configured => "kubeadm's configuration",
                KeysGate::Readable => "every API server to read what the new key writes",
                KeysGate::Kept => "a backup with the new key on every control plane",
                KeysGate::Writing => "every API server to write with the new key",
                KeysGate::Rewritten => "every Secret to be written anew",
            }),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Node(node) => write!(f, "{node}"),
            Owner::Cluster => f.write_str("cluster"),
        }
    }
}

impl Verdict {
    /// The ops that a run would perform.
    pub fn ops(&self) -> &[Op] {
        match self {
            Verdict::Change(change) => &change.ops,
            Verdict::Probe(ops) => ops,
            Verdict::Satisfied | Verdict::Refused(_) | Verdict::Unknown(_) => &[],
        }
    }

    pub fn is_change(&self) -> bool {
        matches!(self, Verdict::Change(_))
    }
}

impl Change {
    /// The late inputs of all ops, each once.
    pub fn late(&self) -> Vec<Late> {
        let mut all: Vec<Late> = self
            .ops
            .iter()
            .flat_map(|op| match &op.work {
                super::op::Work::Node { inputs, .. } => inputs.clone(),
                super::op::Work::Cluster(_) => Vec::new(),
            })
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

impl Plan {
    pub fn items(&self) -> impl Iterator<Item = (&Owner, &Item)> {
        self.chains.iter().flat_map(|chain| chain.items.iter().map(move |item| (&chain.owner, item)))
    }

    /// Whether it puts what is made only once on the leader's disk, before anybody else may get it. Where it does not, that lies
    /// there from before.
    pub fn founds(&self) -> bool {
        self.items().any(|(_, item)| item.opens == Some(Gate::Founded))
    }

    /// Whether a run would change anything.
    pub fn has_changes(&self) -> bool {
        self.items().any(|(_, item)| item.verdict.is_change())
    }

    /// Every refusal, with whose it is.
    pub fn refusals(&self) -> impl Iterator<Item = (&Owner, &Item, &Refusal)> {
        self.items().filter_map(|(owner, item)| match &item.verdict {
            Verdict::Refused(refusal) => Some((owner, item, refusal)),
            _ => None,
        })
    }

    /// Nodes that did not answer.
    pub fn unknown(&self) -> Vec<&NodeName> {
        self.chains
            .iter()
            .filter(|chain| chain.items.iter().any(|item| matches!(item.verdict, Verdict::Unknown(_))))
            .filter_map(|chain| match &chain.owner {
                Owner::Node(node) => Some(node),
                Owner::Cluster => None,
            })
            .collect()
    }

    /// SHA-256 (hex) over owners, steps and op digests: equal for plans that do the same.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (owner, item) in self.items() {
            hash.update(format!("{owner}\0{}\0", item.step));
            for op in item.verdict.ops() {
                hash.update(op.digest());
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
