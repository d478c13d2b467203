//! `kbootstrap.runs/v1` and `kbootstrap.report/v1`: runs of the past.

use serde::Serialize;
use serde_json::Value;

use crate::{
    model::{
        event::{Failure, Outcome},
        plan::{Gate, Owner},
    },
    run::account::{Account, ChainAccount, Span},
};

/// The list of runs.
#[derive(Serialize)]
pub struct Runs<'a> {
    schema: &'static str,
    runs: Vec<Head<'a>>,
}

#[derive(Serialize)]
struct Head<'a> {
    run: &'a str,
    command: &'a str,
    cluster: &'a str,
    operator: &'a str,
    /// Seconds since 1970.
    started: u64,
    /// Null where the run died, or goes on.
    outcome: Option<&'a Outcome>,
    seconds: f64,
}

/// One run.
#[derive(Serialize)]
pub struct Report<'a> {
    schema: &'static str,
    #[serde(flatten)]
    head: Head<'a>,
    plan_digest: &'a str,
    chains: Vec<Chain<'a>>,
    /// What the run's length was made of, first to last.
    critical_path: Vec<Step<'a>>,
    /// The plan as `plan --output json` shows it (`kbootstrap.plan/v1`); null where the run's folder has none.
    plan: Option<&'a Value>,
}

#[derive(Serialize)]
struct Chain<'a> {
    owner: &'a Owner,
    /// Null where the run died before the chain's end.
    outcome: Option<&'a Outcome>,
    /// Steps that took time, in their order.
    steps: Vec<Step<'a>>,
    failure: Option<&'a Failure>,
    remarks: &'a [String],
    /// How often the connection was lost.
    connection_lost: usize,
}

#[derive(Serialize)]
struct Step<'a> {
    owner: &'a Owner,
    step: &'a str,
    /// Seconds since the run began.
    from: f64,
    to: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    waited_for: Option<&'a Gate>,
}

fn head(account: &Account) -> Head<'_> {
    Head {
        run: &account.run,
        command: &account.command,
        cluster: &account.cluster,
        operator: &account.operator,
        started: account.unix,
        outcome: account.outcome.as_ref(),
        seconds: account.seconds,
    }
}

fn step(span: &Span) -> Step<'_> {
    Step {
        owner: &span.owner,
        step: span.step.as_str(),
        from: span.from,
        to: span.to,
        waited_for: span.waited.as_ref().map(|(gate, _)| gate),
    }
}

fn chain(chain: &ChainAccount) -> Chain<'_> {
    Chain {
        owner: &chain.owner,
        outcome: chain.outcome.as_ref(),
        steps: chain.steps.iter().map(step).collect(),
        failure: chain.failure.as_ref(),
        remarks: &chain.remarks,
        connection_lost: chain.reconnects,
    }
}

/// The list of runs in its public form.
pub fn runs(accounts: &[Account]) -> Runs<'_> {
    Runs { schema: "kbootstrap.runs/v1", runs: accounts.iter().map(head).collect() }
}

/// One run in its public form.
pub fn report<'a>(account: &'a Account, plan: Option<&'a Value>) -> Report<'a> {
    Report {
        schema: "kbootstrap.report/v1",
        head: head(account),
        plan_digest: &account.plan,
        chains: account.chains.iter().map(chain).collect(),
        critical_path: account.critical.iter().map(step).collect(),
        plan,
    }
}
