//! A whole document and the problems found in it.

use std::cell::RefCell;
use std::collections::BTreeSet;

use toml::de::DeTable;

use super::table::Table;
use crate::diag::{Problem, Problems, Span};

/// A parsed document with the problems found so far. Shared by all readers of its parts.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
    root: DeTable<'a>,
    syntax: Vec<Span>,
    problems: RefCell<Vec<Problem>>,
    asked: RefCell<BTreeSet<String>>,
    describe: fn(&str) -> Option<String>,
}

impl<'a> Document<'a> {
    /// Parses the text as far as it can be understood; what can't be is among the problems.
    pub fn parse(text: &'a str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut syntax = Vec::new();
        let mut problems = Vec::new();
        for error in errors {
            let span = error.span().unwrap_or_default();
            syntax.push(span.clone());
            problems.push(Problem::at(span, error.message()));
        }
        Self {
            text,
            root: root.into_inner(),
            syntax,
            problems: RefCell::new(problems),
            asked: RefCell::default(),
            describe: |_| None,
        }
    }

    /// The same with words on what the key of a path is: the hint of a refused value that has no better one.
    #[must_use]
    pub fn describing(self, describe: fn(&str) -> Option<String>) -> Self {
        Self { describe, ..self }
    }

    pub(super) fn description(&self, path: &str) -> Option<String> {
        (self.describe)(path)
    }

    /// The table of the whole document.
    pub fn root(&self) -> Table<'_> {
        Table::new(self, String::new(), String::new(), &self.root, 0..0)
    }

    /// Adds a problem.
    pub fn push(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Whether anything is wrong so far.
    pub fn has_problems(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// Whether the text is TOML. Where it isn't, parts may be lost: a missing key then proves nothing.
    pub fn is_whole(&self) -> bool {
        self.syntax.is_empty()
    }

    /// Every key that was asked for, with dots between tables and without numbers of array elements.
    pub fn asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }

    pub(super) fn ask(&self, path: String) {
        self.asked.borrow_mut().insert(path);
    }

    /// All problems; absent where there are none.
    ///
    /// On a line that isn't TOML only that is told: whatever else was found there is a guess about half a line.
    pub fn into_problems(self, file: &str) -> Option<Problems> {
        let newlines: Vec<usize> = self.text.match_indices('\n').map(|(at, _)| at).collect();
        let line = |offset: usize| newlines.partition_point(|newline| *newline < offset);
        let broken: BTreeSet<usize> = self.syntax.iter().map(|span| line(span.start)).collect();
        let mut problems = self.problems.into_inner();
        let mut index = 0;
        problems.retain(|problem| {
            index += 1;
            let of_syntax = index <= self.syntax.len();
            of_syntax || problem.span.as_ref().is_none_or(|span| !broken.contains(&line(span.start)))
        });
        Problems::new(file, self.text, problems)
    }
}
