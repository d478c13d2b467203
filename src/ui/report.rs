//! A run of the past: who spent how long on which stage, what the whole waited for, and what failed.

use std::fmt::Write;

use serde_json::Value;

use super::{Paint, lines, seconds};
use crate::{
    model::{event::Outcome, plan::Owner},
    run::account::{Account, ChainAccount},
};

/// Parts of the critical path below this share of the whole are only counted.
const SMALL: f64 = 0.01;

/// The report for a person. `plan` is the plan as the run's folder has it (`kbootstrap.plan/v1`), where it is there.
pub fn report(account: &Account, plan: Option<&Value>, paint: Paint) -> String {
    let mut text = String::new();
    let say = |text: &mut String, line: &str| writeln!(text, "{}", line.trim_end()).expect("a String takes all");
    say(&mut text, &format!("{}  {}", paint.bold(&account.run), account.command));
    let end = match &account.outcome {
        Some(outcome) => format!("{} after {}", word(outcome, paint), seconds(account.seconds)),
        None => paint.yellow(format!("no end after {}: it died, or goes on", seconds(account.seconds))),
    };
    say(&mut text, &format!("cluster {}, by {}: {end}", account.cluster, account.operator));
    say(&mut text, "");
    table(&mut text, account, paint);
    if !account.critical.is_empty() {
        say(&mut text, "");
        say(&mut text, &format!("{} what the run's length was made of", paint.bold("Critical path:")));
        let mut small = 0;
        let mut at = 0.0;
        for span in &account.critical {
            let idle = span.from - at;
            at = span.to;
            if idle >= account.seconds * SMALL {
                let why = span.waited.as_ref().map(|(gate, _)| format!(" for {gate}")).unwrap_or_default();
                say(&mut text, &paint.dim(format!("{:>10}  nothing at work{why}", seconds(idle))));
            }
            if span.seconds() < account.seconds * SMALL {
                small += 1;
                continue;
            }
            say(&mut text, &format!("{:>10}  {}  {}", seconds(span.seconds()), span.owner, span.step));
        }
        if small > 0 {
            say(&mut text, &paint.dim(format!("{:>10}  and {small} short ones", "")));
        }
    }
    for chain in &account.chains {
        for remark in &chain.remarks {
            say(&mut text, &format!("\n{}  {remark}", chain.owner));
        }
        if let Some(failure) = &chain.failure {
            say(&mut text, &format!("\n{}", paint.red(lines::failed(&chain.owner.to_string(), failure))));
        }
    }
    if let Some(plan) = plan {
        changes(&mut text, plan, paint);
    }
    text
}

/// Owners and stages: seconds of the steps that were worked on.
fn table(text: &mut String, account: &Account, paint: Paint) {
    let mut stages: Vec<&str> = Vec::new();
    for span in account.chains.iter().flat_map(|chain| &chain.steps) {
        let stage = stage(span.step.as_str());
        if !stages.contains(&stage) {
            stages.push(stage);
        }
    }
    let owners = account.chains.iter().map(|chain| chain.owner.to_string().len()).max().unwrap_or(0);
    let width = |stage: &str| stage.len().max(9);
    let mut head = format!("{:owners$}", "");
    for stage in &stages {
        write!(head, "  {stage:>width$}", width = width(stage)).expect("a String takes all");
    }
    writeln!(text, "{}", paint.dim(head)).expect("a String takes all");
    for chain in &account.chains {
        write!(text, "{:owners$}", chain.owner.to_string()).expect("a String takes all");
        for stage in &stages {
            let spent = spent(chain, stage);
            let cell = if spent > 0.0 { seconds(spent) } else { "-".to_owned() };
            write!(text, "  {cell:>width$}", width = width(stage)).expect("a String takes all");
        }
        let end = chain.outcome.as_ref().map_or_else(|| paint.yellow("no end"), |outcome| word(outcome, paint));
        let lost = match chain.reconnects {
            0 => String::new(),
            1 => ", its connection lost once".to_owned(),
            often => format!(", its connection lost {often} times"),
        };
        writeln!(text, "  {end}{lost}").expect("a String takes all");
    }
}

fn stage(step: &str) -> &str {
    step.split('.').next().unwrap_or(step)
}

/// Steps of one batch follow each other, so that their times add up.
fn spent(chain: &ChainAccount, wanted: &str) -> f64 {
    chain.steps.iter().filter(|span| stage(span.step.as_str()) == wanted).map(|span| span.seconds()).sum()
}

fn word(outcome: &Outcome, paint: Paint) -> String {
    match outcome {
        Outcome::Satisfied => paint.green("satisfied"),
        Outcome::Changed => paint.green("changed"),
        Outcome::Failed => paint.red("failed"),
        Outcome::BlockedBy { owner, step } => paint.yellow(format!("blocked by {owner} ({step})")),
        Outcome::NotReached => paint.yellow("not reached"),
    }
}

/// What the plan was to change, with its diffs.
fn changes(text: &mut String, plan: &Value, paint: Paint) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let chains = list(&plan["chains"]);
    if chains.iter().all(|chain| list(&chain["steps"]).iter().all(|step| step["verdict"] != "change")) {
        return;
    }
    writeln!(text, "\n{} what the plan was to change", paint.bold("Changes:")).expect("a String takes all");
    for chain in &chains {
        let owner: Option<Owner> = serde_json::from_value(chain["owner"].clone()).ok();
        let Some(owner) = owner else { continue };
        for step in list(&chain["steps"]).iter().filter(|step| step["verdict"] == "change") {
            let name = crate::shell::escape::escape_untrusted(step["step"].as_str().unwrap_or_default().as_bytes());
            writeln!(text, "{owner}  {name}").expect("a String takes all");
            for line in list(&step["diff"]).iter().filter_map(Value::as_str) {
                let line = crate::shell::escape::escape_untrusted(line.as_bytes());
                let line = match line.as_bytes().first() {
                    Some(b'-') => paint.red(line),
                    Some(b'+') => paint.green(line),
                    _ => line,
                };
                writeln!(text, "    {line}").expect("a String takes all");
            }
        }
    }
}

/// One run as the list shows it.
pub fn run_line(account: &Account, started: &str, paint: Paint) -> String {
    let end = account.outcome.as_ref().map_or_else(|| paint.yellow("no end"), |outcome| word(outcome, paint));
    let (run, took) = (paint.bold(&account.run), seconds(account.seconds));
    format!("{run}  {started}  {end} after {took}  {}  {}", account.operator, account.command)
}
