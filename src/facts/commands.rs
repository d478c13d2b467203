//! Read-only commands for whatever the other readers don't cover.

use std::collections::BTreeMap;

use super::{error::FactError, section::Sections};
use crate::model::observe::CommandSeen;
use crate::shell;

/// Each script in a subshell of its own, by `eval`: a syntax error, an `exit` or a function of one touches no other.
/// What it writes on standard error is nobody's.
pub fn command<'a>(scripts: impl IntoIterator<Item = &'a str>) -> String {
    let one = |(index, script): (usize, &str)| {
        format!("(eval {}) 2>/dev/null </dev/null 3>&-; _s command.{index} $?", shell::quote(script))
    };
    let all: Vec<String> = scripts.into_iter().enumerate().map(one).collect();
    all.join("\n")
}

/// The answers by id, in the order of the scripts.
///
/// # Errors
/// A script has no answer.
pub fn parse<'a>(
    sections: &Sections<'_>,
    ids: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, CommandSeen>, FactError> {
    let one = |(index, id): (usize, &str)| {
        let section = sections.need(&format!("command.{index}"))?;
        let seen = CommandSeen { code: section.code, stdout: section.out.to_vec() };
        Ok((id.to_owned(), seen))
    };
    ids.into_iter().enumerate().map(one).collect()
}
