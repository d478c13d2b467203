//! Limits of time, always with their unit.

use std::str::FromStr;
use std::time::Duration;

use super::invalid::{Invalid, serde_as_text};

/// How long something may take: more than nothing, at most a day. Read and shown with units, such as `90s` or `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeout(Duration);
serde_as_text!(Timeout);

/// The longest limit: what takes longer than a day is not waited for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Timeout {
    /// A limit in whole seconds, for constants.
    ///
    /// # Panics
    /// Where it is zero or more than a day; in a constant that is a compile error.
    pub const fn secs(secs: u64) -> Self {
        assert!(secs > 0 && secs <= 24 * 3600, "a limit is between a moment and a day");
        Self(Duration::from_secs(secs))
    }

    /// A limit of any length.
    ///
    /// # Errors
    /// Where it is zero or more than a day.
    pub fn new(limit: Duration) -> Result<Self, Invalid> {
        if limit.is_zero() {
            return Err(Invalid::new("a limit of no time can only fail"));
        }
        if limit > LONGEST {
            return Err(Invalid::new("a limit is at most a day (24h)"));
        }
        Ok(Self(limit))
    }

    /// The limit as the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl std::fmt::Display for Timeout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (secs, millis) = (self.0.as_secs(), self.0.subsec_millis());
        for (count, unit) in [(secs / 3600, "h"), (secs / 60 % 60, "m"), (secs % 60, "s"), (millis.into(), "ms")] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        // Below a millisecond no unit is shown by the loop: never show nothing.
        if self.0 < Duration::from_millis(1) { write!(f, "{}us", self.0.as_micros().max(1)) } else { Ok(()) }
    }
}

impl FromStr for Timeout {
    type Err = Invalid;

    /// Reads one or more whole numbers with unit, largest unit first: `500ms`, `90s`, `5m`, `1h30m`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = || {
            Invalid::new(format!("`{}` is not a length of time", text.escape_debug()))
                .hint("a whole number with its unit, such as `500ms`, `90s`, `5m` or `1h30m`")
        };
        let mut units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)].iter();
        let (mut rest, mut millis) = (text, 0_u64);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (count, after) = rest.split_at(digits);
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at(letters);
            // The iterator goes on where the last unit was found: a unit given twice or out of order isn't found.
            let (_, size) = units.find(|(name, _)| *name == unit).ok_or_else(refused)?;
            let count: u64 = count.parse().map_err(|_| refused())?;
            millis = count.checked_mul(*size).and_then(|part| millis.checked_add(part)).ok_or_else(refused)?;
            rest = after;
        }
        if text.is_empty() { Err(refused()) } else { Self::new(Duration::from_millis(millis)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows_units() {
        for (text, millis) in [("500ms", 500), ("90s", 90_000), ("5m", 300_000), ("1h30m", 5_400_000), ("1s5ms", 1005)]
        {
            assert_eq!(text.parse::<Timeout>().unwrap().duration(), Duration::from_millis(millis));
        }
        assert_eq!("90s".parse::<Timeout>().unwrap().to_string(), "1m30s");
        for bad in ["", "5", "s", "5 s", "5s1m", "1m1m", "0s", "25h", "-1s", "1.5s", "99999999999999999999s", "5µs"] {
            assert!(bad.parse::<Timeout>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn shows_again_what_it_reads() {
        for text in ["1ms", "59s", "1m", "1h1m1s1ms", "24h"] {
            assert_eq!(text.parse::<Timeout>().unwrap().to_string(), text);
        }
    }
}
