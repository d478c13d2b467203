//! What a run came to.

use crate::model::{
    event::{Failure, Outcome},
    plan::Owner,
};

/// One chain's end.
#[derive(Clone, Debug)]
pub struct ChainReport {
    pub owner: Owner,
    pub outcome: Outcome,
    pub changed: usize,
    pub seconds: f64,
    pub failure: Option<Failure>,
}

/// The whole run's end.
#[derive(Clone, Debug)]
pub struct Report {
    pub chains: Vec<ChainReport>,
    pub seconds: f64,
}

impl Report {
    pub fn new(chains: Vec<ChainReport>, seconds: f64) -> Self {
        Self { chains, seconds }
    }

    /// Whether any chain did not reach its end.
    pub fn failed(&self) -> bool {
        self.chains.iter().any(|chain| !matches!(chain.outcome, Outcome::Satisfied | Outcome::Changed))
    }
}
