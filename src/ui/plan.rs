//! A plan as a tree: every step of every node, and under each change what will be different.

use std::fmt::Write;

use super::Paint;
use crate::model::{
    op::{Keys, Late},
    plan::{Item, Owner, Plan, Verdict},
};

/// How much of a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every step, satisfied or not.
    All,
    /// What will be done or stands in the way; satisfied steps are only counted.
    Changes,
}

impl Detail {
    fn shows(self, item: &Item) -> bool {
        self == Self::All || !matches!(item.verdict, Verdict::Satisfied)
    }
}

/// Renders the whole plan. Marks: `=` satisfied, `~` change, `?` unknown, `!` refused, `·` probed when run.
pub fn plan_tree(plan: &Plan, paint: Paint, detail: Detail) -> String {
    let mut text = String::new();
    for chain in &plan.chains {
        let changes = chain.items.iter().filter(|item| item.verdict.is_change()).count();
        let satisfied = chain.items.iter().filter(|item| matches!(item.verdict, Verdict::Satisfied)).count();
        let count = match changes {
            0 => format!("{satisfied} satisfied"),
            1 => format!("1 change, {satisfied} satisfied"),
            n => format!("{n} changes, {satisfied} satisfied"),
        };
        writeln!(text, "{}  {}", paint.bold(&chain.owner), paint.dim(count)).expect("a String takes all");
        for item in chain.items.iter().filter(|item| detail.shows(item)) {
            tree_item(&mut text, item, plan, paint);
        }
    }
    for notice in &plan.notices {
        let whose = notice.node.as_ref().map(|node| format!("{node}: ")).unwrap_or_default();
        writeln!(text, "{} {whose}{}", paint.yellow("note:"), notice.text).expect("a String takes all");
        if let Some(hint) = &notice.hint {
            writeln!(text, "      {hint}").expect("a String takes all");
        }
    }
    text.push_str(&closing(plan, paint));
    text
}

fn tree_item(text: &mut String, item: &Item, plan: &Plan, paint: Paint) {
    let (mark, name) = match &item.verdict {
        Verdict::Satisfied => (paint.green("="), paint.dim(&item.step)),
        Verdict::Change(_) => (paint.yellow("~"), item.step.to_string()),
        Verdict::Probe(_) => (paint.dim("·"), item.step.to_string()),
        Verdict::Refused(_) => (paint.red("!"), paint.red(&item.step)),
        Verdict::Unknown(_) => (paint.yellow("?"), item.step.to_string()),
    };
    writeln!(text, "  {mark} {name}  {}", paint.dim(&item.title)).expect("a String takes all");
    let mut line = |line: &str| writeln!(text, "      {line}").expect("a String takes all");
    match &item.verdict {
        Verdict::Satisfied | Verdict::Unknown(_) => {}
        Verdict::Probe(ops) => {
            for op in ops {
                line(&format!("will be probed: {}", op.what));
            }
        }
        Verdict::Refused(refusal) => {
            line(&paint.red(&refusal.reason));
            line(&refusal.hint);
        }
        Verdict::Change(change) => {
            for diff in &change.diff {
                line(&match diff.chars().next() {
                    Some('+') => paint.green(diff),
                    Some('-') => paint.red(diff),
                    _ => diff.clone(),
                });
            }
            for op in &change.ops {
                line(&format!("→ {}", op.what));
            }
            for late in change.late() {
                line(&paint.dim(known_after(late, item, plan)));
            }
            if let Some(why) = &change.disrupts {
                line(&paint.yellow(format!("disrupts: {why}")));
            }
            for gate in &item.waits {
                line(&paint.dim(format!("waits for {gate}")));
            }
        }
    }
}

/// What a late input is, in words.
fn late_name(late: Late) -> &'static str {
    match late {
        Late::SharedPki => "the shared authorities",
        Late::ClusterCa => "the cluster's authority",
        Late::Identity => "the cluster's identity",
        Late::EtcdMember | Late::NextEtcdMember => "the certificate of its member of etcd",
        Late::NextPki => "the new authorities",
        Late::JoinToken => "the join token",
        Late::S3Key => "the key of the S3 account",
        Late::Encryption(Keys::Present) => "the keys of Secrets",
        Late::Encryption(Keys::First | Keys::Next) => "the new key",
    }
}

/// Where a late input comes from: a step of this plan, or the living cluster.
fn known_after(late: Late, item: &Item, plan: &Plan) -> String {
    let name = late_name(late);
    if let Late::Encryption(Keys::First | Keys::Next) = late {
        return format!("{name}: made in the run, unless a control plane has it already");
    }
    let maker = match late {
        Late::SharedPki | Late::ClusterCa | Late::EtcdMember => "endpoint.pki",
        Late::Identity => "endpoint.identity",
        Late::NextEtcdMember => return format!("{name}: signed in the run"),
        Late::NextPki => return format!("{name}: read from a control plane, or made, in the run"),
        Late::JoinToken => "kubernetes.init",
        Late::S3Key => return format!("{name}: read on this machine in the run"),
        Late::Encryption(_) => "endpoint.encryption",
    };
    let made = plan.items().find(|(_, other)| other.step.as_str() == maker && other.verdict.is_change());
    match made {
        Some((_, made)) if std::ptr::eq(made, item) => format!("{name}: made in this step"),
        Some((owner, made)) => format!("{name}: known after {} on {owner}", made.step),
        None => format!("{name}: read from a control plane in the run"),
    }
}

/// The last line: how much of what, and the digest that `up --expect` takes.
fn closing(plan: &Plan, paint: Paint) -> String {
    let refusals = plan.refusals().count();
    if refusals > 0 {
        let things = if refusals == 1 { "1 thing stands".to_owned() } else { format!("{refusals} things stand") };
        return paint.red(format!("{things} in the way; nothing can be run until it is cleared.\n"));
    }
    let changes = plan.items().filter(|(_, item)| item.verdict.is_change()).count();
    if changes == 0 {
        return "Nothing to change.\n".to_owned();
    }
    let nodes = plan
        .chains
        .iter()
        .filter(|chain| chain.owner != Owner::Cluster && chain.items.iter().any(|item| item.verdict.is_change()))
        .count();
    format!("Plan: {changes} changes on {nodes} nodes. Digest {}\n", plan.digest())
}
