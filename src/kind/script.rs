//! A user's own script, with its own check.

use super::{Context, op};
use crate::model::{
    observe::Read,
    plan::Verdict,
    step::{Script, StepId},
};

pub fn reads(id: &StepId, script: &Script) -> Vec<Read> {
    vec![Read::Command { id: id.to_string(), script: script.check.clone() }]
}

pub fn judge(id: &StepId, title: &str, script: &Script, context: &Context<'_>) -> Verdict {
    match context.seen.commands.get(id.as_str()) {
        Some(answer) if answer.code == 0 => Verdict::Satisfied,
        Some(answer) => {
            let said = String::from_utf8_lossy(&answer.stdout).trim().chars().take(200).collect::<String>();
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            let diff = vec![format!("~ its check ended with exit status {}{said}", answer.code)];
            let limit = u32::try_from(script.timeout.duration().as_secs()).unwrap_or(u32::MAX).max(1);
            op::change(diff, vec![op::node("script.run", title, script.run.clone(), limit)])
        }
        None => Verdict::Unknown("its check was not run".to_owned()),
    }
}
