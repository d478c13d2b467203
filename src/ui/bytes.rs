//! A bar for bytes that come in.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Shown on a terminal only.
pub struct Bytes(ProgressBar);

/// A bar that is shown if it is wanted and stderr is a terminal.
pub fn bytes(wanted: bool) -> Bytes {
    if !wanted || !std::io::stderr().is_terminal() {
        return Bytes(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}");
    Bytes(ProgressBar::new(0).with_style(style.expect("a template")))
}

impl Bytes {
    pub fn show(&self, here: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(here);
    }

    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}
