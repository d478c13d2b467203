//! Running a plan: chains, gates, events, journal, report.

pub mod account;
mod chain;
mod events;
mod forecast;
mod gates;
pub mod history;
pub mod journal;
mod report;
mod stop;

use std::{collections::BTreeMap, sync::Arc};

use futures::future::join_all;

pub use events::Events;
pub use report::{ChainReport, Report};
pub use stop::Stop;

use crate::{
    action::Actions,
    exec::{Link, Locks},
    model::{
        event::{Event, Outcome},
        name::NodeName,
        plan::{Owner, Plan},
    },
};
use forecast::Forecast;
use gates::Gates;

/// All that a run works with, made by the command.
pub struct Run {
    /// The run's id, as it names files and units on the nodes.
    pub id: String,
    pub plan: Plan,
    /// What is not locked any more is not worked on.
    pub locks: Arc<Locks>,
    /// Of every node that has something to be done.
    pub links: BTreeMap<NodeName, Arc<Link>>,
    pub actions: Arc<Actions>,
    pub events: Events,
    pub stop: Stop,
}

impl Run {
    /// Runs the plan as it is, every chain at once, to the end of each. A failed chain never ends another that does not
    /// wait for it.
    pub async fn execute(&self) -> Report {
        if !self.plan.founds() {
            // Members of etcd as a service begin before there is an API, and all of them at once where their certificates have
            // ended: nobody else would ever say so.
            self.actions.founded();
        }
        let gates = Gates::of(&self.plan);
        let forecast = Forecast::of(&self.plan);
        let chains = join_all(self.plan.chains.iter().map(|chain| chain::run(self, chain, &gates, &forecast))).await;
        let report = Report::new(chains, self.events.elapsed());
        let outcome = if report.failed() {
            Outcome::Failed
        } else if self.plan.has_changes() {
            Outcome::Changed
        } else {
            Outcome::Satisfied
        };
        self.events.send(Event::RunFinished { outcome, seconds: self.events.elapsed() });
        report
    }

    fn link(&self, owner: &Owner) -> Option<&Arc<Link>> {
        match owner {
            Owner::Node(node) => self.links.get(node),
            Owner::Cluster => None,
        }
    }
}
