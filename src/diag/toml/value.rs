//! Single values with their places.

use std::str::FromStr;

use toml::Spanned;
use toml::de::DeValue;

use super::document::Document;
use super::table::Table;
use crate::diag::{Problem, Span, did_you_mean};
use crate::model::invalid::Invalid;

/// A value and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> At<T> {
    /// Another value at the same place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At { value: change(self.value), span: self.span }
    }
}

/// A value of the document that is not yet of any type.
#[derive(Debug, Clone)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    path: String,
    value: &'d Spanned<DeValue<'d>>,
    element: bool,
}

impl<'d> Value<'d> {
    pub(super) fn new(document: &'d Document<'d>, path: String, value: &'d Spanned<DeValue<'d>>) -> Self {
        Self { document, path, value, element: false }
    }

    /// Its place.
    pub fn span(&self) -> Span {
        self.value.span()
    }

    /// Its key with those of the tables around it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Adds a problem at this value.
    pub fn refuse(&self, why: &Invalid) {
        let problem = Problem::at(self.span(), format!("{}: {}", self.path, why.message()));
        let hint = why.way_out().map(str::to_owned).or_else(|| self.document.description(&self.path));
        self.document.push(problem.maybe_hint(hint));
    }

    /// A string.
    pub fn text(&self) -> Option<At<&'d str>> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(self.at(text.as_ref())),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                self.wrong_type("a string", Some("write it in quotes"))
            }
            _ => self.wrong_type("a string", None),
        }
    }

    /// A string; anything else is absent and no problem.
    pub fn as_text(&self) -> Option<&'d str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text.as_ref()),
            _ => None,
        }
    }

    /// A string that reads as this type.
    pub fn parsed<T: FromStr<Err = Invalid>>(&self) -> Option<At<T>> {
        let text = self.text()?;
        match text.value.parse() {
            Ok(value) => Some(self.at(value)),
            Err(why) => {
                self.refuse(&why);
                None
            }
        }
    }

    /// A whole number from `least` to `most`.
    pub fn number(&self, least: u64, most: u64) -> Option<At<u64>> {
        let DeValue::Integer(number) = self.value.get_ref() else {
            let quoted = matches!(self.value.get_ref(), DeValue::String(_));
            return self.wrong_type("a whole number", quoted.then_some("write it without quotes"));
        };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (least..=most).contains(&number) => Some(self.at(number)),
            _ => {
                self.refuse(&Invalid::new(format!("{number} is not between {least} and {most}")));
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<At<bool>> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(self.at(*value)),
            _ => self.wrong_type("`true` or `false`", None),
        }
    }

    /// One word of a closed list.
    pub fn choice<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<At<T>> {
        let text = self.text()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(self.at(*value));
        }
        let names = words.iter().map(|(word, _)| *word);
        let all: Vec<String> = names.clone().map(|word| format!("`{word}`")).collect();
        let hint = match did_you_mean(text.value, names) {
            Some(meant) => format!("did you mean `{meant}`? It is one of {}", all.join(", ")),
            None => format!("it is one of {}", all.join(", ")),
        };
        self.refuse(&Invalid::new(format!("`{}` is not known", text.value.escape_debug())).hint(hint));
        None
    }

    /// The elements of an array, or the value itself where it is none.
    pub fn one_or_more(&self) -> Vec<Value<'d>> {
        match self.value.get_ref() {
            DeValue::Array(_) => self.elements(),
            _ => vec![self.clone()],
        }
    }

    /// The elements of an array; anything else is a problem.
    pub fn array(&self) -> Vec<Value<'d>> {
        match self.value.get_ref() {
            DeValue::Array(_) => self.elements(),
            _ => {
                self.wrong_type::<()>("a list", Some("put it in brackets"));
                Vec::new()
            }
        }
    }

    fn elements(&self) -> Vec<Value<'d>> {
        let DeValue::Array(array) = self.value.get_ref() else { return Vec::new() };
        let element = |value| Value { element: true, ..Value::new(self.document, self.path.clone(), value) };
        array.iter().map(element).collect()
    }

    /// A table.
    pub fn table(&self) -> Option<Table<'d>> {
        self.as_table()
            .or_else(|| self.wrong_type("a table", Some("a table has keys of its own: `{ key = \"value\" }`")))
    }

    /// A table; anything else is absent and no problem.
    pub fn as_table(&self) -> Option<Table<'d>> {
        let DeValue::Table(table) = self.value.get_ref() else { return None };
        let title = if self.element { format!("[[{}]]", self.path) } else { format!("[{}]", self.path) };
        Some(Table::new(self.document, self.path.clone(), title, table, self.span()))
    }

    /// The value as it stands, for what the program doesn't look into; absent (and a problem) where JSON has no such
    /// value.
    pub fn json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match self.value.get_ref() {
            DeValue::String(text) => Json::from(text.as_ref()),
            DeValue::Boolean(value) => Json::from(*value),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Json::from(number),
                Err(_) => return self.wrong_type("a number of 64 bits", None),
            },
            DeValue::Float(number) => {
                let number = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
                match number {
                    Some(number) => Json::Number(number),
                    None => return self.wrong_type("a finite number", None),
                }
            }
            DeValue::Datetime(_) => return self.wrong_type("a string", Some("write it in quotes")),
            // Every element is looked at even when one is refused: all problems at once.
            DeValue::Array(_) => {
                let parts: Vec<_> = self.elements().iter().map(Value::json).collect();
                Json::Array(parts.into_iter().collect::<Option<_>>()?)
            }
            DeValue::Table(_) => Json::Object(self.table()?.json()?),
        })
    }

    fn at<T>(&self, value: T) -> At<T> {
        At { value, span: self.span() }
    }

    fn wrong_type<T>(&self, wanted: &str, hint: Option<&str>) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let problem = Problem::at(self.span(), format!("{}: {wanted} is needed here", self.path));
        let hint = hint.map(str::to_owned).or_else(|| self.document.description(&self.path));
        self.document.push(problem.label(format!("this is {found}")).maybe_hint(hint));
        None
    }
}
