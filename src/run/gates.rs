//! Gates: what chains wait for, open or failed exactly once.

use std::{collections::BTreeMap, sync::Mutex};

use tokio::sync::watch;

use crate::model::{
    plan::{Gate, Owner, Plan},
    step::StepId,
};

/// Who failed, so that those who waited can say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    pub owner: Owner,
    pub step: StepId,
}

#[derive(Clone, Debug)]
enum State {
    Closed,
    Open,
    Failed(Blocker),
}

/// All gates of one run.
pub struct Gates {
    states: BTreeMap<Gate, watch::Sender<State>>,
    /// How many items that open a gate are still to be done.
    openers: Mutex<BTreeMap<Gate, usize>>,
    /// Chains whose preflight, and chains whose end, is still out.
    left: Mutex<Left>,
    /// How many workers of a roll may still fail without ending it.
    forgiven: Mutex<usize>,
}

struct Left {
    preflight: usize,
    nodes: usize,
    /// The first node that did not come to its end.
    failed: Option<Blocker>,
}

impl Gates {
    /// The gates that the items of a plan wait for or open, all closed.
    pub fn of(plan: &Plan) -> Self {
        let mut states = BTreeMap::new();
        let mut openers = BTreeMap::new();
        for (_, item) in plan.items() {
            if let Some(gate) = &item.opens {
                *openers.entry(gate.clone()).or_insert(0) += 1;
            }
            for gate in item.waits.iter().chain(&item.opens) {
                states.entry(gate.clone()).or_insert_with(|| watch::Sender::new(State::Closed));
            }
        }
        let nodes = plan.chains.iter().filter(|chain| chain.owner != Owner::Cluster).count();
        let left = Mutex::new(Left { preflight: nodes, nodes, failed: None });
        let gates = Self { states, openers: Mutex::new(openers), left, forgiven: Mutex::new(plan.max_failed) };
        if nodes == 0 {
            gates.open(&Gate::AllPreflightPassed);
            gates.open(&Gate::NodesSettled);
        }
        gates
    }

    /// One of the items that open a gate is done: with the last of them it is open. A gate that has failed stays so.
    pub fn open(&self, gate: &Gate) {
        let mut openers = self.openers.lock().expect("no holder panics");
        if let Some(left) = openers.get_mut(gate) {
            *left = left.saturating_sub(1);
            if *left > 0 {
                return;
            }
        }
        self.set(gate, State::Open);
    }

    /// Fails a gate: whoever waits for it is blocked by this.
    pub fn fail(&self, gate: &Gate, blocker: Blocker) {
        self.set(gate, State::Failed(blocker));
    }

    /// Whether the failure of one who was to open this gate does not close it: one of the workers of a roll that may fail.
    pub fn forgives(&self, gate: &Gate) -> bool {
        let mut forgiven = self.forgiven.lock().expect("no holder panics");
        let one_more = matches!(gate, Gate::Batch(_)) && *forgiven > 0;
        *forgiven -= usize::from(one_more);
        one_more
    }

    fn set(&self, gate: &Gate, to: State) {
        if let Some(state) = self.states.get(gate) {
            state.send_if_modified(|now| {
                let closed = matches!(now, State::Closed);
                if closed {
                    *now = to;
                }
                closed
            });
        }
    }

    /// A node chain's probes have passed (or it has none, or its node is unknown and will do nothing).
    pub fn preflight_passed(&self) {
        let mut left = self.left.lock().expect("no holder panics");
        left.preflight -= 1;
        if left.preflight == 0 {
            self.open(&Gate::AllPreflightPassed);
        }
    }

    /// A node chain has ended; `failed` where not well.
    pub fn node_settled(&self, failed: Option<Blocker>) {
        let mut left = self.left.lock().expect("no holder panics");
        left.nodes -= 1;
        left.failed = left.failed.take().or(failed);
        if left.nodes == 0 {
            self.open(&Gate::NodesSettled);
        }
    }

    /// The first node chain that did not end well, so far.
    pub fn failed_node(&self) -> Option<Blocker> {
        self.left.lock().expect("no holder panics").failed.clone()
    }

    /// Whether waiting would end at once.
    pub fn is_open(&self, gate: &Gate) -> bool {
        self.states.get(gate).is_some_and(|state| matches!(*state.borrow(), State::Open))
    }

    /// Waits for a gate.
    ///
    /// # Errors
    /// Whoever was to open it has failed.
    pub async fn wait(&self, gate: &Gate) -> Result<(), Blocker> {
        let Some(state) = self.states.get(gate) else { return Ok(()) };
        let mut watched = state.subscribe();
        let state = watched.wait_for(|state| !matches!(state, State::Closed)).await.expect("the gates outlive waiting");
        match &*state {
            State::Failed(blocker) => Err(blocker.clone()),
            State::Open | State::Closed => Ok(()),
        }
    }
}
