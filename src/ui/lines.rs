//! Events as plain lines, for CI and logs: each begins with the node's name.

use std::collections::BTreeMap;

use super::seconds;
use crate::model::{
    event::{Event, Failure, Outcome, Stamped},
    plan::{Owner, Plan},
};

/// What the lines need of the plan: titles by step.
pub struct Titles {
    steps: BTreeMap<String, String>,
    width: usize,
}

impl Titles {
    pub fn of(plan: &Plan) -> Self {
        let steps = plan.items().map(|(_, item)| (item.step.to_string(), item.title.clone())).collect();
        let width = plan.chains.iter().map(|chain| chain.owner.to_string().len()).max().unwrap_or(0);
        Self { steps, width }
    }

    pub fn title(&self, step: &str) -> String {
        self.steps.get(step).cloned().unwrap_or_else(|| step.to_owned())
    }

    fn name(&self, owner: &Owner) -> String {
        format!("{:width$}", owner.to_string(), width = self.width)
    }

    /// The line of an event; absent for those that a person need not see.
    pub fn line(&self, stamped: &Stamped) -> Option<String> {
        let line = match &stamped.event {
            Event::RunStarted { .. }
            | Event::StepStarted { .. }
            | Event::OpStarted { .. }
            | Event::OpFinished { .. }
            | Event::ChainFinished { .. }
            | Event::RunFinished { .. } => return None,
            Event::StepFinished { outcome: Outcome::Satisfied, .. } => return None,
            Event::StepFinished { owner, step, seconds: took, .. } => {
                format!("{}  {}  {}", self.name(owner), self.title(step.as_str()), seconds(*took))
            }
            Event::Waiting { owner, gate, .. } => format!("{}  waits for {gate}", self.name(owner)),
            Event::Remark { owner, text, .. } => format!("{}  {text}", self.name(owner)),
            Event::Reconnecting { node, error, attempt } => {
                format!("{node}  connection lost, coming back (attempt {attempt}): {error}")
            }
            Event::FoundUnit { node, unit } => format!("{node}  waits for {unit}, which is at work there"),
            Event::Failed { owner, failure } => return Some(failed(&self.name(owner), failure)),
        };
        Some(format!("{:>6.1}  {line}", stamped.at))
    }
}

/// A failure in full: node, step, what was tried, how it ended, the last words, the way out.
pub fn failed(name: &str, failure: &Failure) -> String {
    let mut text = format!("{name}  FAILED at {}: {}: {}", failure.step, failure.what, failure.cause);
    for line in &failure.stderr {
        text.push_str(&format!("\n{name}    | {line}"));
    }
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("\n{name}    hint: {hint}"));
    }
    text
}
