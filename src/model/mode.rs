//! Permission bits of files and folders.

use std::str::FromStr;

use super::invalid::{Invalid, serde_as_text};

/// Permission bits, set-id and sticky bits included: `0000` to `7777`. Displayed with four octal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(u16);
serde_as_text!(Mode);

impl Mode {
    /// `0600`: what only root may read.
    pub const PRIVATE: Self = Self::of(0o600);
    /// `0644`: what all may read.
    pub const PUBLIC: Self = Self::of(0o644);
    /// `0755`: folders that all may enter, and programs.
    pub const FOLDER: Self = Self::of(0o755);
    /// `0700`: folders that only root may enter.
    pub const PRIVATE_FOLDER: Self = Self::of(0o700);

    /// The mode with these bits, for constants.
    ///
    /// # Panics
    /// Where a bit above `7777` is set; in a constant that is a compile error.
    pub const fn of(bits: u16) -> Self {
        assert!(bits <= 0o7777, "permission bits end at 7777");
        Self(bits)
    }

    /// The bits as a number.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for Mode {
    type Err = Invalid;

    /// Reads three or four octal digits.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if matches!(text.len(), 3 | 4) && text.bytes().all(|b| matches!(b, b'0'..=b'7')) {
            return Ok(Self(u16::from_str_radix(text, 8).expect("four octal digits fit")));
        }
        Err(Invalid::new(format!(
            "`{}` is not a file mode: three or four octal digits such as `0644`",
            text.escape_debug()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_octal_and_shows_four_digits() {
        assert_eq!("644".parse::<Mode>().unwrap().to_string(), "0644");
        assert_eq!("1777".parse::<Mode>().unwrap().bits(), 0o1777);
        for bad in ["", "64", "0o644", "888", "+644", "06444", "rw-"] {
            assert!(bad.parse::<Mode>().is_err(), "{bad:?}");
        }
    }
}
