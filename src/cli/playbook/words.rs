//! Playbooks for a person.

use crate::playbook::{Name, Playbook, Template};

/// Every stage with its steps, in lines with a final newline; stages bold where colour is wanted.
pub fn steps(playbook: &Playbook, colour: bool) -> String {
    let id = playbook.steps.iter().map(|step| step.id.as_str().len()).max().unwrap_or(0);
    let kind = playbook.steps.iter().map(|step| step.kind.word().len()).max().unwrap_or(0);
    let mut text = String::new();
    for stage in &playbook.stages {
        let (on, off) = if colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        text.push_str(&format!("{on}{}{off}\n", stage.title));
        for step in playbook.steps.iter().filter(|step| step.stage == stage.id) {
            let line =
                format!("  {:<id$}  {:<kind$}  {}{}", step.id.as_str(), step.kind.word(), step.title, notes(step));
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    for skipped in &playbook.skipped {
        text.push_str(&format!("skipped by {}: {} ({})\n", skipped.file, skipped.step, skipped.why));
    }
    text
}

/// When it belongs, and who changed it.
fn notes(step: &Template) -> String {
    let mut notes = step.when.words();
    notes.extend(step.patched_by.iter().map(|file| format!("changed by {file}")));
    if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) }
}

/// Every name that `{ from = NAME }` can give.
pub fn values() -> String {
    let name = Name::ALL.iter().map(|name| name.as_str().len()).max().unwrap_or(0);
    let shape = Name::ALL.iter().map(|name| name.shape().as_str().len()).max().unwrap_or(0);
    Name::ALL
        .iter()
        .map(|it| format!("{:<name$}  {:<shape$}  {}\n", it.as_str(), it.shape().as_str(), it.about()))
        .collect()
}

/// What a user's files change of the built-in playbook.
pub fn changes(playbook: &Playbook) -> String {
    let builtin = crate::playbook::builtin();
    let mut lines = Vec::new();
    for step in &playbook.steps {
        if builtin.step(step.id.as_str()).is_none() {
            lines.push(format!("+ {} {} ({})", step.id, step.title, step.file));
        }
        lines.extend(step.patched_by.iter().map(|file| format!("~ {} {} ({file})", step.id, step.title)));
    }
    for skipped in &playbook.skipped {
        lines.push(format!("- {} ({}): {}", skipped.step, skipped.file, skipped.why));
    }
    if lines.is_empty() {
        lines.push("changes nothing".to_owned());
    }
    lines.join("\n") + "\n"
}
