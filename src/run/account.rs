//! What a run's events add up to: how long each step took, what was waited for, what the whole waited for in the end.

use std::collections::BTreeMap;

use crate::model::{
    event::{Event, Failure, Outcome, Stamped},
    plan::{Gate, Owner},
    step::StepId,
};

/// A run as its events tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    pub run: String,
    pub command: String,
    pub cluster: String,
    pub operator: String,
    /// Digest of the plan.
    pub plan: String,
    /// Start, in seconds since 1970.
    pub unix: u64,
    /// How it ended; absent where it died, or goes on.
    pub outcome: Option<Outcome>,
    /// Until its end, or its last event.
    pub seconds: f64,
    /// By owner, in the order in which they first did something.
    pub chains: Vec<ChainAccount>,
    /// What the run's length was made of, first to last.
    pub critical: Vec<Span>,
}

/// What became of one chain.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainAccount {
    pub owner: Owner,
    /// Absent where the run died before the chain's end.
    pub outcome: Option<Outcome>,
    /// Steps that took time, in their order.
    pub steps: Vec<Span>,
    pub failure: Option<Failure>,
    pub remarks: Vec<String>,
    /// How often the connection was lost.
    pub reconnects: usize,
}

/// A step's time within a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub owner: Owner,
    pub step: StepId,
    /// Seconds since the run began.
    pub from: f64,
    pub to: f64,
    /// The gate that it waited for, and since when.
    pub waited: Option<(Gate, f64)>,
}

impl Span {
    pub fn seconds(&self) -> f64 {
        self.to - self.from
    }
}

impl Account {
    /// Adds up the events of one run. Events of nothing make an empty account.
    pub fn of(events: &[Stamped]) -> Self {
        let mut account = Self::default();
        let mut open: BTreeMap<(Owner, StepId), f64> = BTreeMap::new();
        let mut waits: BTreeMap<(Owner, StepId), (Gate, f64)> = BTreeMap::new();
        for Stamped { at, event } in events {
            account.seconds = account.seconds.max(*at);
            match event {
                Event::RunStarted { run, command, cluster, plan, operator, unix } => {
                    account.run.clone_from(run);
                    account.command.clone_from(command);
                    account.cluster.clone_from(cluster);
                    account.plan.clone_from(plan);
                    account.operator.clone_from(operator);
                    account.unix = *unix;
                }
                Event::Waiting { owner, step, gate } => {
                    waits.insert((owner.clone(), step.clone()), (gate.clone(), *at));
                }
                Event::StepStarted { owner, step } => {
                    open.insert((owner.clone(), step.clone()), *at);
                }
                Event::StepFinished { owner, step, outcome, .. } => {
                    let key = (owner.clone(), step.clone());
                    if let Some(from) = open.remove(&key)
                        && *outcome != Outcome::NotReached
                    {
                        account.span(key, from, *at, &mut waits);
                    }
                }
                Event::Failed { owner, failure } => {
                    let key = (owner.clone(), failure.step.clone());
                    if let Some(from) = open.remove(&key) {
                        account.span(key, from, *at, &mut waits);
                    }
                    account.chain(owner).failure = Some(failure.clone());
                }
                Event::Remark { owner, text, .. } => account.chain(owner).remarks.push(text.clone()),
                Event::Reconnecting { node, attempt, .. } => {
                    account.chain(&Owner::Node(node.clone())).reconnects += usize::from(*attempt == 0);
                }
                Event::ChainFinished { owner, outcome } => account.chain(owner).outcome = Some(outcome.clone()),
                Event::RunFinished { outcome, seconds } => {
                    account.outcome = Some(outcome.clone());
                    account.seconds = *seconds;
                }
                Event::OpStarted { .. } | Event::OpFinished { .. } | Event::FoundUnit { .. } => {}
            }
        }
        // What was at work when the run died.
        for (key, from) in open {
            let end = account.seconds;
            account.span(key, from, end, &mut waits);
        }
        account.critical = account.critical_path();
        account
    }

    fn chain(&mut self, owner: &Owner) -> &mut ChainAccount {
        if let Some(at) = self.chains.iter().position(|chain| chain.owner == *owner) {
            return &mut self.chains[at];
        }
        self.chains.push(ChainAccount {
            owner: owner.clone(),
            outcome: None,
            steps: Vec::new(),
            failure: None,
            remarks: Vec::new(),
            reconnects: 0,
        });
        self.chains.last_mut().expect("one was pushed")
    }

    fn span(&mut self, key: (Owner, StepId), from: f64, to: f64, waits: &mut BTreeMap<(Owner, StepId), (Gate, f64)>) {
        let waited = waits.remove(&key);
        let (owner, step) = key;
        let span = Span { owner: owner.clone(), step, from, to, waited };
        self.chain(&owner).steps.push(span);
    }

    /// From the last step backwards: within a chain each step waited for the one before it, and where it waited at a gate,
    /// for whoever ended something last before it went on.
    fn critical_path(&self) -> Vec<Span> {
        let all: Vec<&Span> = self.chains.iter().flat_map(|chain| &chain.steps).collect();
        let latest = |wanted: &dyn Fn(&Span) -> bool| {
            all.iter().copied().filter(|span| wanted(span)).max_by(|a, b| a.to.total_cmp(&b.to))
        };
        let mut path: Vec<Span> = Vec::new();
        let mut next = latest(&|_| true);
        while let Some(span) = next {
            path.push(span.clone());
            if path.len() > all.len() {
                break;
            }
            // Clocks of two tasks: what opened a gate was stamped a moment around it.
            let before = |other: &Span| other.to <= span.from + 0.02 && other.from < span.from;
            next = match &span.waited {
                Some((Gate::Turn(node), _)) => {
                    latest(&|other| other.owner == Owner::Node(node.clone()) && before(other))
                }
                Some(_) => latest(&|other| other.owner != span.owner && before(other)),
                None => None,
            };
            let own = latest(&|other| other.owner == span.owner && before(other));
            next = match (next, own) {
                (Some(opener), Some(own)) if own.to > opener.to => Some(own),
                (opener, own) => opener.or(own),
            };
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Owner {
        Owner::Node(name.parse().unwrap())
    }

    fn event(at: f64, event: Event) -> Stamped {
        Stamped { at, event }
    }

    fn started(at: f64, owner: &str, step: &str) -> Stamped {
        event(at, Event::StepStarted { owner: node(owner), step: StepId::new(step) })
    }

    fn finished(at: f64, owner: &str, step: &str) -> Stamped {
        let outcome = Outcome::Changed;
        event(at, Event::StepFinished { owner: node(owner), step: StepId::new(step), outcome, seconds: 0.0 })
    }

    fn waiting(at: f64, owner: &str, step: &str, gate: Gate) -> Stamped {
        event(at, Event::Waiting { owner: node(owner), step: StepId::new(step), gate })
    }

    #[test]
    fn the_critical_path_follows_who_was_waited_for() {
        let events = [
            started(1.0, "cp1", "a.install"),
            started(1.0, "cp2", "a.install"),
            finished(20.0, "cp1", "a.install"),
            waiting(30.0, "cp2", "k.join", Gate::ApiAnswers),
            finished(30.0, "cp2", "a.install"),
            started(20.0, "cp1", "k.init"),
            finished(40.0, "cp1", "k.init"),
            started(40.01, "cp2", "k.join"),
            event(50.0, Event::ChainFinished { owner: node("cp1"), outcome: Outcome::Changed }),
            finished(60.0, "cp2", "k.join"),
        ];
        let account = Account::of(&events);
        let path: Vec<String> =
            account.critical.iter().map(|span| format!("{} {} {:.0}", span.owner, span.step, span.seconds())).collect();
        assert_eq!(path, ["cp1 a.install 19", "cp1 k.init 20", "cp2 k.join 20"]);
        assert_eq!((account.seconds, account.outcome.is_none()), (60.0, true));
        assert_eq!(account.chains[0].outcome, Some(Outcome::Changed));
    }

    #[test]
    fn a_run_that_died_tells_what_it_was_at() {
        let account = Account::of(&[
            started(1.0, "w1", "a.install"),
            started(2.0, "w2", "a.install"),
            finished(5.0, "w2", "a.install"),
        ]);
        let w1 = account.chains.iter().find(|chain| chain.owner == node("w1")).unwrap();
        assert_eq!((w1.outcome.clone(), w1.steps[0].to), (None, 5.0));
        assert_eq!(Account::of(&[]), Account::default());
    }
}
