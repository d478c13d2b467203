//! Colour, where it is wanted.

use std::fmt::Display;

/// Whether text gets colours: never where stdout or stderr is no terminal, or `NO_COLOR` is set (no-color.org).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    pub colour: bool,
}

impl Paint {
    fn paint(self, code: &str, text: impl Display) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    pub fn bold(self, text: impl Display) -> String {
        self.paint("1", text)
    }

    pub fn dim(self, text: impl Display) -> String {
        self.paint("2", text)
    }

    pub fn red(self, text: impl Display) -> String {
        self.paint("31", text)
    }

    pub fn green(self, text: impl Display) -> String {
        self.paint("32", text)
    }

    pub fn yellow(self, text: impl Display) -> String {
        self.paint("33", text)
    }
}
