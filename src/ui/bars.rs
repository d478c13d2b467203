//! Events as bars, for terminals: one per node with its current step, and one over all.

use std::{collections::BTreeMap, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{lines::Titles, seconds};
use crate::model::{
    event::{Event, Outcome, Stamped},
    plan::{Owner, Plan},
};

/// More nodes than this get no bar each: a screen holds no more.
const MOST: usize = 40;

pub struct Bars {
    all: MultiProgress,
    overall: ProgressBar,
    chains: BTreeMap<Owner, ProgressBar>,
    titles: Titles,
}

impl Bars {
    pub fn new(plan: &Plan) -> Self {
        let all = MultiProgress::new();
        let style = |template| ProgressStyle::with_template(template).expect("a valid template");
        let width = plan.chains.iter().map(|chain| chain.owner.to_string().len()).max().unwrap_or(0);
        let mut chains = BTreeMap::new();
        let mut steps = 0;
        let busy = plan.chains.iter().filter(|chain| chain.items.iter().any(|item| item.verdict.is_change()));
        for chain in busy {
            let changes = chain.items.iter().filter(|item| item.verdict.is_change()).count() as u64;
            steps += changes;
            if chains.len() < MOST {
                let bar = all.add(ProgressBar::new(changes));
                bar.set_style(style("{prefix} {bar:20} {pos:>2}/{len:2} {wide_msg}"));
                bar.set_prefix(format!("{:width$}", chain.owner.to_string()));
                chains.insert(chain.owner.clone(), bar);
            }
        }
        let overall = all.add(ProgressBar::new(steps));
        overall.set_style(style("{prefix} {bar:20} {pos:>2}/{len:2} {elapsed}"));
        overall.set_prefix(format!("{:width$}", "all"));
        overall.enable_steady_tick(Duration::from_millis(250));
        Self { all, overall, chains, titles: Titles::of(plan) }
    }

    pub fn show(&self, stamped: &Stamped) {
        let bar = |owner: &Owner| self.chains.get(owner);
        match &stamped.event {
            Event::StepStarted { owner, step } => {
                if let Some(bar) = bar(owner) {
                    bar.set_message(self.titles.title(step.as_str()));
                }
            }
            Event::Waiting { owner, gate, .. } => {
                if let Some(bar) = bar(owner) {
                    bar.set_message(format!("waits for {gate}"));
                }
            }
            Event::StepFinished { owner, outcome: Outcome::Changed, .. } => {
                self.overall.inc(1);
                if let Some(bar) = bar(owner) {
                    bar.inc(1);
                }
            }
            Event::ChainFinished { owner, outcome } => {
                if let Some(bar) = bar(owner) {
                    bar.finish_with_message(match outcome {
                        Outcome::Satisfied | Outcome::Changed => format!("done after {}", seconds(stamped.at)),
                        Outcome::Failed => "failed".to_owned(),
                        Outcome::BlockedBy { owner, step } => format!("blocked by {owner} ({step})"),
                        Outcome::NotReached => "stopped".to_owned(),
                    });
                }
            }
            Event::Failed { .. } | Event::Remark { .. } | Event::Reconnecting { .. } | Event::FoundUnit { .. } => {
                if let Some(line) = self.titles.line(stamped) {
                    let _ = self.all.println(line);
                }
            }
            _ => {}
        }
    }

    pub fn end(&self) {
        self.overall.finish();
    }
}
