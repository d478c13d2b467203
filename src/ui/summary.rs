//! The end of a run: one line for each node, then one for all.

use std::fmt::Write;

use super::{Paint, seconds};
use crate::model::{
    event::{Failure, Outcome},
    plan::Owner,
};

/// One chain's end as the summary shows it.
pub struct Row<'a> {
    pub owner: &'a Owner,
    pub outcome: &'a Outcome,
    pub changed: usize,
    pub seconds: f64,
    pub failure: Option<&'a Failure>,
}

/// The table of all chains.
pub fn summary(rows: &[Row], total: f64, paint: Paint) -> String {
    let width = rows.iter().map(|row| row.owner.to_string().len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let owner = format!("{:width$}", row.owner.to_string());
        let what = match row.outcome {
            Outcome::Satisfied => paint.green("satisfied"),
            Outcome::Changed => paint.green(format!("changed ({} steps)", row.changed)),
            Outcome::Failed => {
                let step = row.failure.map(|failure| format!(" at {}", failure.step)).unwrap_or_default();
                paint.red(format!("failed{step}"))
            }
            Outcome::BlockedBy { owner, step } => paint.yellow(format!("blocked by {owner} ({step})")),
            Outcome::NotReached => paint.yellow("not reached"),
        };
        writeln!(text, "{owner}  {what}  {}", paint.dim(seconds(row.seconds))).expect("a String takes all");
    }
    writeln!(text, "{}", paint.dim(format!("in all {}", seconds(total)))).expect("a String takes all");
    text
}
