//! The node's clock, and the daemon that keeps it.

use std::collections::BTreeMap;

use super::{error::FactError, section::Section};
use crate::model::{facts::Clock, observe::UnitSeen};

/// The section's name.
pub const NAME: &str = "clock";

/// Units that keep time, by what Debian and Ubuntu call them; the first active one is told.
pub const DAEMONS: &[&str] =
    &["chrony.service", "systemd-timesyncd.service", "ntpsec.service", "ntp.service", "openntpd.service"];

/// The first command of a script.
pub fn begin() -> String {
    "_t=$(date +%s.%N); read -r _u _x </proc/uptime".to_owned()
}

/// The last command of a script: how long it ran is told by the kernel's uptime, which costs no process.
pub fn end() -> String {
    format!("read -r _w _x </proc/uptime; printf '%s %s %s' \"$_t\" \"$_u\" \"$_w\"; _s {NAME} 0")
}

/// The clock when a script began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Unix time, seconds.
    pub unix: f64,
    /// How long the script ran from then on, seconds, to a hundredth.
    pub took_s: f64,
}

/// # Errors
/// The answer is not three numbers.
pub fn parse(section: &Section<'_>) -> Result<Reading, FactError> {
    let text = section.text("the clock")?;
    let numbers: Vec<f64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [unix, begin, end] if unix.is_finite() => Ok(Reading { unix, took_s: (end - begin).max(0.0) }),
        _ => Err(FactError::new("the clock", format!("`{text}` makes no sense"))),
    }
}

impl Reading {
    /// The fact: with the daemon, if one of [`DAEMONS`] is active. The offset is left to whoever timed the round trip.
    pub fn with_daemon(self, units: &BTreeMap<String, UnitSeen>) -> Clock {
        let active = |unit: &&&str| units.get(**unit).is_some_and(|seen| seen.active == "active");
        let daemon = DAEMONS.iter().find(active).and_then(|unit| unit.strip_suffix(".service"));
        Clock { unix: self.unix, offset_s: None, daemon: daemon.map(str::to_owned) }
    }

    /// The node's clock less the operator's as far as it is certain, given when (Unix seconds) the operator asked and had
    /// the answer.
    ///
    /// The script began at some moment in between, by the operator's clock: late where login and sudo are slow, early where
    /// the answer was. What such a moment can explain is no offset, so that a busy machine is not taken for a wrong clock.
    pub fn offset_s(&self, asked: f64, answered: f64) -> f64 {
        // The uptimes are cut to hundredths.
        let latest = (answered - self.took_s + 0.01).max(asked);
        self.unix - self.unix.clamp(asked, latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Reading, FactError> {
        parse(&Section { code: 0, out: text.as_bytes(), err: b"" })
    }

    #[test]
    fn only_what_the_round_trip_cannot_explain_is_an_offset() {
        let reading = read("1700000005.250000000 100.00 101.00").expect("read");
        assert_eq!(reading.took_s, 1.0);
        let offset = |asked: f64, answered: f64| reading.offset_s(1_700_000_000.0 + asked, 1_700_000_000.0 + answered);
        assert_eq!(offset(5.0, 6.3), 0.0);
        // Login took four seconds, or the answer did.
        assert_eq!(offset(1.0, 6.3), 0.0);
        assert_eq!(offset(5.2, 10.0), 0.0);
        assert!((offset(0.0, 1.5) - 4.74).abs() < 1e-6, "ahead");
        assert!((offset(8.0, 9.5) + 2.75).abs() < 1e-6, "behind");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(read("1700000005.%N 100.00 101.00").is_err());
        assert!(read("").is_err());
        assert!(read("NaN 1 2").is_err());
    }

    #[test]
    fn the_active_daemon_is_told() {
        let seen = |active: &str| UnitSeen { active: active.to_owned(), ..UnitSeen::default() };
        let units = BTreeMap::from([
            ("chrony.service".to_owned(), seen("inactive")),
            ("systemd-timesyncd.service".to_owned(), seen("active")),
        ]);
        let clock = Reading { unix: 1.0, took_s: 0.0 }.with_daemon(&units);
        assert_eq!(clock.daemon.as_deref(), Some("systemd-timesyncd"));
    }
}
