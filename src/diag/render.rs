//! Problems as a person reads them: the way of rustc, lines with carets.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::problem::{Problem, Problems, Span, boundary, line_and_column};

/// The longest line that is shown, in bytes.
const LONG_LINE: usize = 400;

/// What an age identity begins with: given where its recipient belongs, it must not be shown.
const SECRET: &str = "AGE-SECRET-KEY-";

impl Problems {
    /// All problems with their lines, carets and hints, parted by empty lines. Colour is the caller's choice.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut reports: Vec<String> = self.list().iter().map(|problem| self.render_one(problem, &renderer)).collect();
        if self.left_out() > 0 {
            reports.push(format!("... and {} problems more", self.left_out()));
        }
        reports.join("\n\n")
    }

    fn render_one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(&problem.message));
        if let Some(span) = problem.span.as_ref().filter(|span| self.is_place_only(span)) {
            let (line, column) = line_and_column(self.source(), span.start);
            group = group.element(Origin::path(self.file()).line(line).char_column(column));
        } else if let Some(span) = &problem.span {
            let label = (!problem.label.is_empty()).then_some(problem.label.as_str());
            let mut snippet = Snippet::source(self.source())
                .path(self.file())
                .annotation(AnnotationKind::Primary.span(self.fitting(span)).label(label));
            if let Some((other, label)) = &problem.other {
                snippet =
                    snippet.annotation(AnnotationKind::Context.span(self.fitting(other)).label(Some(label.as_str())));
            }
            group = group.element(snippet);
        } else {
            group = group.element(Origin::path(self.file()));
        }
        if let Some(hint) = &problem.hint {
            group = group.element(Level::HELP.message(hint));
        }
        renderer.render(&[group])
    }

    /// Whether only the place is told: of a line that nobody reads, or one that holds what nobody may read.
    fn is_place_only(&self, span: &Span) -> bool {
        let (before, after) = self.source().split_at(boundary(self.source(), span.start));
        let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = &self.source()[begin..before.len() + after.find('\n').unwrap_or(after.len())];
        line.len() > LONG_LINE || line.to_ascii_uppercase().contains(SECRET)
    }

    /// The span within one line and on characters' boundaries: a caret under a whole multi-line value explains less
    /// than one under its beginning.
    fn fitting(&self, span: &Span) -> Span {
        let source = self.source();
        let start = boundary(source, span.start);
        let end = boundary(source, span.end).max(start);
        let line = source[start..end].find(['\n', '\r']).map_or(end, |newline| start + newline);
        start..line.max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_line_caret_label_other_place_and_hint() {
        let source = "a = 1\nb = 2\n";
        let problem = Problem::at(6..7, "`b` again").label("here").other(0..1, "first here").hint("remove one");
        let problems = Problems::new("x.toml", source, vec![problem, Problem::whole("too much")]).unwrap();
        insta::assert_snapshot!(problems.render(false), @r"
        error: too much
        --> x.toml

        error: `b` again
         --> x.toml:2:1
          |
        1 | a = 1
          | - first here
        2 | b = 2
          | ^ here
          |
          = help: remove one
        ");
    }

    #[test]
    fn of_a_very_long_line_only_the_place_is_told() {
        let source = format!("a = 1\n{}", "x".repeat(10_000));
        let problems = Problems::new("x.toml", source, vec![Problem::at(5_006..5_007, "no")]).unwrap();
        assert_eq!(problems.render(false), "error: no\n--> x.toml:2:5001");
    }

    #[test]
    fn odd_places_never_panic() {
        let source = "é\r\n\"\"\"\nü";
        for start in 0..20 {
            for end in 0..20 {
                let problems = Problems::new("x", source, vec![Problem::at(start..end, "m")]).unwrap();
                assert!(problems.render(true).contains('m'));
            }
        }
    }
}
