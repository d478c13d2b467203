//! Tables, asked key by key.

use std::str::FromStr;

use serde_json::Map;
use toml::de::DeTable;

use super::document::Document;
use super::value::{At, Value};
use crate::diag::{Problem, Span, did_you_mean};
use crate::model::invalid::Invalid;

/// A table being read: what was asked for is known, the rest is not.
#[derive(Debug)]
pub struct Table<'d> {
    document: &'d Document<'d>,
    path: String,
    title: String,
    table: &'d DeTable<'d>,
    span: Span,
    known: Vec<&'static str>,
    needed: Vec<(&'static str, &'static str)>,
}

impl<'d> Table<'d> {
    pub(super) fn new(
        document: &'d Document<'d>,
        path: String,
        title: String,
        table: &'d DeTable<'d>,
        span: Span,
    ) -> Self {
        Self { document, path, title, table, span, known: Vec::new(), needed: Vec::new() }
    }

    /// Where its header or braces stand; the beginning of the file for the document itself.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// The document that it is part of.
    pub fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// The value of a key that may be absent.
    pub fn value(&mut self, key: &'static str) -> Option<Value<'d>> {
        self.known.push(key);
        let path = self.path_of(key);
        self.document.ask(path.clone());
        self.table.get(key).map(|value| Value::new(self.document, path, value))
    }

    /// A string that reads as this type, absent or refused.
    pub fn parsed<T: FromStr<Err = Invalid>>(&mut self, key: &'static str) -> Option<At<T>> {
        self.value(key)?.parsed()
    }

    /// A whole number within bounds, absent or refused.
    pub fn number(&mut self, key: &'static str, least: u64, most: u64) -> Option<At<u64>> {
        self.value(key)?.number(least, most)
    }

    /// `true` or `false`, absent or refused.
    pub fn boolean(&mut self, key: &'static str) -> Option<At<bool>> {
        self.value(key)?.boolean()
    }

    /// A word of a closed list, absent or refused.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<At<T>> {
        self.value(key)?.choice(words)
    }

    /// One string or a list of strings that all read as this type; empty where absent.
    pub fn one_or_more<T: FromStr<Err = Invalid>>(&mut self, key: &'static str) -> Vec<At<T>> {
        let values = self.value(key).map(|value| value.one_or_more()).unwrap_or_default();
        values.iter().filter_map(Value::parsed).collect()
    }

    /// A list of strings that all read as this type; empty where absent.
    pub fn list<T: FromStr<Err = Invalid>>(&mut self, key: &'static str) -> Vec<At<T>> {
        let values = self.value(key).map(|value| value.array()).unwrap_or_default();
        values.iter().filter_map(Value::parsed).collect()
    }

    /// A table inside this one, absent or refused.
    pub fn table(&mut self, key: &'static str) -> Option<Table<'d>> {
        self.value(key)?.table()
    }

    /// The tables of an array of tables; empty where absent.
    pub fn tables(&mut self, key: &'static str) -> Vec<Table<'d>> {
        let values = self.value(key).map(|value| value.array()).unwrap_or_default();
        values.iter().filter_map(Value::table).collect()
    }

    /// Says that this key must be given, with an example of what to write. [`Table::finish`] tells of its absence.
    pub fn need(&mut self, key: &'static str, example: &'static str) {
        self.needed.push((key, example));
    }

    /// Keys and values in the order of the text, for tables whose keys are the user's own.
    pub fn entries(&self) -> Vec<(At<&'d str>, Value<'d>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| {
                let at = At { value: key.get_ref().as_ref(), span: key.span() };
                (at, Value::new(self.document, self.path_of(key.get_ref()), value))
            })
            .collect();
        entries.sort_by_key(|(key, _)| key.span.start);
        entries
    }

    /// Place and value of a key inside tables inside this one; absent where any of them is. Asking makes it no known
    /// one: this is for tables whose keys are the user's own.
    pub fn find(&self, path: &[&str]) -> Option<(Span, Value<'d>)> {
        let (first, rest) = path.split_first()?;
        let (name, value) = self.table.get_key_value(*first)?;
        let value = Value::new(self.document, self.path_of(first), value);
        if rest.is_empty() { Some((name.span(), value)) } else { value.as_table()?.find(rest) }
    }

    /// The whole table as JSON, for what the program doesn't look into.
    pub fn json(&self) -> Option<Map<String, serde_json::Value>> {
        let parts: Vec<_> =
            self.entries().into_iter().map(|(key, value)| Some((key.value.to_owned(), value.json()?))).collect();
        parts.into_iter().collect()
    }

    /// Ends the reading: a key that was not asked for is unknown, one that is needed and not there is missing.
    /// `elsewhere` may know what was meant by an unknown one where no key of this table is near.
    pub fn finish(mut self, elsewhere: impl Fn(&str) -> Option<String>) {
        for (key, _) in self.entries() {
            if self.known.contains(&key.value) {
                continue;
            }
            let message = format!("unknown key `{}`{}", key.value.escape_debug(), self.inside());
            let meant = did_you_mean(key.value, self.known.iter().copied());
            // A key that is only misspelt is not missing as well: one mistake, one problem.
            self.needed.retain(|(needed, _)| Some(*needed) != meant);
            let hint = meant.map(|meant| format!("did you mean `{meant}`?"));
            let hint = hint.or_else(|| elsewhere(key.value)).unwrap_or_else(|| self.known_in_words());
            self.document.push(Problem::at(key.span, message).hint(hint));
        }
        // Where parts of the document were lost, absence proves nothing.
        for (key, example) in self.needed.iter().filter(|_| self.document.is_whole()) {
            if !self.table.contains_key(*key) {
                self.document.push(self.missing(key).hint(format!("add {example}")));
            }
        }
    }

    fn missing(&self, key: &str) -> Problem {
        match self.title.as_str() {
            "" => Problem::whole(format!("the file has no `{key}`")),
            title => Problem::at(self.span(), format!("{title} has no `{key}`")),
        }
    }

    fn known_in_words(&self) -> String {
        let keys: Vec<String> = self.known.iter().map(|key| format!("`{key}`")).collect();
        format!("known here are {}", keys.join(", "))
    }

    fn inside(&self) -> String {
        if self.title.is_empty() { String::new() } else { format!(" in {}", self.title) }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
