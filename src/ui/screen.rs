//! Where the events of a run are shown while it runs.

use std::io::Write;

use super::{bars::Bars, lines::Titles};
use crate::model::{event::Stamped, plan::Plan};

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Bars on a terminal.
    Bars,
    /// A line on stderr for each thing that ended.
    Lines,
    /// Every event as a line of JSON on stdout (`kbootstrap.event/v1`).
    Json,
    /// Failures only.
    Quiet,
}

pub enum Screen {
    Bars(Box<Bars>),
    Lines(Titles),
    Json,
    Quiet(Titles),
}

impl Screen {
    pub fn new(style: Style, plan: &Plan) -> Self {
        match style {
            Style::Bars => Self::Bars(Box::new(Bars::new(plan))),
            Style::Lines => Self::Lines(Titles::of(plan)),
            Style::Json => Self::Json,
            Style::Quiet => Self::Quiet(Titles::of(plan)),
        }
    }

    pub fn show(&self, event: &Stamped) {
        match self {
            Self::Bars(bars) => bars.show(event),
            Self::Lines(titles) => {
                if let Some(line) = titles.line(event) {
                    eprintln!("{line}");
                }
            }
            Self::Json => {
                let mut out = std::io::stdout().lock();
                let _ = serde_json::to_writer(&mut out, &super::json::event(event));
                let _ = out.write_all(b"\n");
            }
            Self::Quiet(titles) => {
                if let (crate::model::event::Event::Failed { .. }, Some(line)) = (&event.event, titles.line(event)) {
                    eprintln!("{line}");
                }
            }
        }
    }

    pub fn end(&self) {
        if let Self::Bars(bars) = self {
            bars.end();
        }
    }
}
