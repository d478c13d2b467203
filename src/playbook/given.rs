//! A value as a playbook gives it: itself, or a name for it.

use serde_json::Value as Json;

use super::name::{Name, Shape};
use crate::diag::{
    Problem, did_you_mean,
    toml::{At, Value},
};

/// A literal, or the name of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given<T> {
    Literal(T),
    From(Name),
}

/// Whether the value is a table: `{ from = … }` where something else could stand. (What is wrong inside the table is
/// told by whoever reads it.)
pub fn is_table(value: &Value<'_>) -> bool {
    matches!(value.json(), Some(Json::Object(_)))
}

/// Reads `{ from = NAME }` of one shape, or what `literal` makes of anything else.
pub fn given<'d, T>(
    value: &Value<'d>,
    shape: Shape,
    literal: impl FnOnce(&Value<'d>) -> Option<T>,
) -> Option<Given<T>> {
    if is_table(value) { from(value, shape).map(Given::From) } else { literal(value).map(Given::Literal) }
}

/// Reads `{ from = NAME }` of one shape.
pub fn from(value: &Value<'_>, shape: Shape) -> Option<Name> {
    let mut table = value.table()?;
    table.need("from", "from = \"NAME\"");
    let word = table.value("from").and_then(|word| word.text().map(|at| at.map(str::to_owned)));
    let document = table.document();
    table.finish(|_| None);
    let At { value: word, span } = word?;
    let fitting = || Name::ALL.iter().filter(|name| name.shape() == shape);
    match Name::ALL.iter().find(|name| name.as_str() == word) {
        Some(name) if name.shape() == shape => Some(*name),
        Some(name) => {
            let message = format!("`{word}` is of shape {}; {} is needed here", name.shape().as_str(), shape.as_str());
            document.push(Problem::at(span, message).hint(list(fitting())));
            None
        }
        None => {
            let message = format!("there is no value named `{}`", word.escape_debug());
            let hint = match did_you_mean(&word, Name::ALL.iter().map(|name| name.as_str())) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => list(fitting()),
            };
            document.push(Problem::at(span, message).hint(hint));
            None
        }
    }
}

fn list<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{}`", name.as_str())).collect();
    format!("here fit {}", names.join(", "))
}
