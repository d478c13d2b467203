//! One problem, and all problems of one file.

use std::ops::Range;

use serde::Serialize;

/// A place in a text: byte offsets, the end not included.
pub type Span = Range<usize>;

/// Something wrong at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; absent where it is the file as a whole.
    pub span: Option<Span>,
    /// What is wrong, as a sentence without its place.
    pub message: String,
    /// What stands beside the caret; empty where the message says it all.
    pub label: String,
    /// Another place that explains it, with what stands beside its mark.
    pub other: Option<(Span, String)>,
    /// The way out; absent where the message is it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at a place.
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::whole(message) }
    }

    /// A problem of the file as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), label: String::new(), other: None, hint: None }
    }

    /// The same with words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same with another place that explains it.
    #[must_use]
    pub fn other(mut self, span: Span, label: impl Into<String>) -> Self {
        self.other = Some((span, label.into()));
        self
    }

    /// The same with the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with the way out, if there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into).or(self.hint);
        self
    }
}

/// All problems of one file, in the order of their places; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    file: String,
    source: String,
    list: Vec<Problem>,
    left_out: usize,
}

/// How many problems of one file are kept. More are those of a file that is no inventory at all, or of one mistake made
/// many times; each costs a look through the whole text.
const KEPT: usize = 100;

/// A problem as `--output json` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Located<'a> {
    /// The file as the user named it.
    pub file: &'a str,
    /// Line, from 1; absent where it is the file as a whole.
    pub line: Option<usize>,
    /// Column in characters, from 1; absent with the line.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: &'a str,
    /// The way out.
    pub hint: Option<&'a str>,
}

impl Problems {
    /// The problems of a file with this name and text, sorted by place and freed of repetitions; absent where the list
    /// is empty.
    pub fn new(file: impl Into<String>, source: impl Into<String>, mut list: Vec<Problem>) -> Option<Self> {
        let start = |problem: &Problem| problem.span.as_ref().map(|span| span.start);
        list.sort_by_key(start);
        list.dedup();
        let left_out = list.len().saturating_sub(KEPT);
        list.truncate(KEPT);
        (!list.is_empty()).then(|| Self { file: file.into(), source: source.into(), list, left_out })
    }

    /// The file as the user named it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The whole text of the file.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The first hundred problems in the order of their places, those of the whole file first.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// How many problems there are beyond those.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// `1 problem` or `N problems`, those that are left out among them.
    pub fn count_in_words(&self) -> String {
        match self.list.len() + self.left_out {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        }
    }

    /// The problems with line and column, for programs.
    pub fn located(&self) -> impl Iterator<Item = Located<'_>> {
        self.list.iter().map(|problem| {
            let place = problem.span.as_ref().map(|span| line_and_column(&self.source, span.start));
            Located {
                file: &self.file,
                line: place.map(|(line, _)| line),
                column: place.map(|(_, column)| column),
                message: &problem.message,
                hint: problem.hint.as_deref(),
            }
        })
    }
}

/// Line and column of a byte offset, both from 1; columns count characters.
pub(super) fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before = &source[..boundary(source, offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The nearest offset at or before this one that is in the text and begins a character.
pub(super) fn boundary(source: &str, offset: usize) -> usize {
    let begins = |offset: &usize| source.is_char_boundary(*offset);
    (0..=offset.min(source.len())).rev().find(begins).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_in_the_order_of_their_places_and_once() {
        let twice = Problem::at(5..6, "b");
        let list = vec![twice.clone(), Problem::at(1..2, "a"), twice, Problem::whole("w")];
        let problems = Problems::new("f.toml", "0\n23456789", list).unwrap();
        let messages: Vec<_> = problems.located().map(|p| (p.message, p.line, p.column)).collect();
        assert_eq!(messages, [("w", None, None), ("a", Some(1), Some(2)), ("b", Some(2), Some(4))]);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_and_column("é = 1", 3), (1, 3));
        assert_eq!(line_and_column("a\nb", 99), (2, 2));
    }

    #[test]
    fn a_flood_of_problems_is_cut_and_counted() {
        let list = (0..250).map(|at| Problem::at(at..at + 1, "m")).collect();
        let problems = Problems::new("f", "x".repeat(250), list).unwrap();
        assert_eq!((problems.list().len(), problems.left_out()), (100, 150));
        assert_eq!(problems.count_in_words(), "250 problems");
        assert!(problems.render(false).ends_with("... and 150 problems more"));
    }

    #[test]
    fn no_problem_is_no_problems() {
        assert_eq!(Problems::new("f", "", Vec::new()), None);
    }
}
