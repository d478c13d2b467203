//! Asking before what disrupts.

use std::io::{IsTerminal, Write, stderr, stdin};

use crate::{
    error::{Error, ExitStatus},
    model::plan::{Plan, Verdict},
};

/// Asks whether what the plan disrupts may be done. Without a terminal it must have been said by `--yes`.
///
/// # Errors
/// It may not.
pub fn disruptions(plan: &Plan, yes: bool) -> Result<(), Error> {
    let lines: Vec<String> = plan
        .items()
        .filter_map(|(owner, item)| match &item.verdict {
            Verdict::Change(change) => change.disrupts.as_ref().map(|why| format!("  {owner}  {}: {why}", item.step)),
            _ => None,
        })
        .collect();
    if yes || lines.is_empty() {
        return Ok(());
    }
    let refused = |cause: &str| {
        Error::new("go on with what disrupts")
            .cause(cause.to_owned())
            .details(&lines)
            .hint("say --yes where it may be done")
    };
    if !(stdin().is_terminal() && stderr().is_terminal()) {
        return Err(refused("nobody can be asked here").exit(ExitStatus::Usage));
    }
    eprint!("This disrupts:\n{}\nGo on? [y/N] ", lines.join("\n"));
    let _ = stderr().flush();
    let mut answer = String::new();
    let _ = stdin().read_line(&mut answer);
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(refused("not confirmed").exit(ExitStatus::Interrupted)),
    }
}

/// Asks for a cluster's name, which must be typed; `option` says it without a terminal.
///
/// # Errors
/// It was not.
pub fn by_name(attempted: &str, option: &str, wanted: &str) -> Result<(), Error> {
    let refused = |cause: &str, exit| Error::new(attempted).cause(cause.to_owned()).exit(exit);
    if !(stdin().is_terminal() && stderr().is_terminal()) {
        return Err(refused("nobody can be asked here", ExitStatus::Usage)
            .hint(format!("say {option} with the name of the cluster; it is {wanted:?}")));
    }
    eprint!("This does all that is shown above, to cluster: {wanted}\nType that name to go on: ");
    let _ = stderr().flush();
    let mut answer = String::new();
    let _ = stdin().read_line(&mut answer);
    if answer.trim() == wanted {
        return Ok(());
    }
    Err(refused("not confirmed; nothing was changed", ExitStatus::Interrupted))
}
