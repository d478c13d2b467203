//! Quantities of Kubernetes (`100m`, `1Gi`, `1e3`), as far as comparing two of them needs.

/// An exact number of billionths: Kubernetes has no finer unit than `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);

/// Suffixes and what one of them is, in units of 10⁻⁹.
const SUFFIXES: [(&str, i128); 16] = [
    ("Ki", GIGA << 10),
    ("Mi", GIGA << 20),
    ("Gi", GIGA << 30),
    ("Ti", GIGA << 40),
    ("Pi", GIGA << 50),
    ("Ei", GIGA << 60),
    ("n", 1),
    ("u", 1_000),
    ("m", 1_000_000),
    ("k", GIGA * 1_000),
    ("M", GIGA * 1_000_000),
    ("G", GIGA * GIGA),
    ("T", GIGA * GIGA * 1_000),
    ("P", GIGA * GIGA * 1_000_000),
    ("E", GIGA * GIGA * GIGA),
    ("", GIGA),
];
const GIGA: i128 = 1_000_000_000;

impl Quantity {
    /// Reads a quantity; `None` where the text is none, or is finer or larger than can be held.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (digits, suffix) = text.split_at(end);
        let unit = match suffix.strip_prefix(['e', 'E']).and_then(|power| power.parse::<i32>().ok()) {
            Some(power) if power >= 0 => GIGA.checked_mul(10_i128.checked_pow(power.unsigned_abs())?)?,
            Some(power) => GIGA / 10_i128.checked_pow(power.unsigned_abs()).filter(|by| GIGA % by == 0)?,
            None => SUFFIXES.iter().find(|(name, _)| *name == suffix)?.1,
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<i128>().ok() };
        let scale = 10_i128.checked_pow(fraction.len().try_into().ok()?)?;
        let scaled = number(whole)?.checked_mul(scale)?.checked_add(number(fraction)?)?.checked_mul(unit)?;
        let value = (scaled % scale == 0).then_some(scaled / scale)?;
        Some(Self(if negative { -value } else { value }))
    }

    /// Whether two texts are quantities of the same amount.
    pub fn same(a: &str, b: &str) -> bool {
        a == b || Self::parse(a).is_some_and(|a| Self::parse(b) == Some(a))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_in_different_words() {
        for (a, b) in [
            ("1", "1000m"),
            ("0.1", "100m"),
            (".5", "500m"),
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("5e-1", "500m"),
            ("-1", "-1000m"),
            ("+2", "2"),
            ("64E", "64000P"),
        ] {
            assert!(Quantity::same(a, b), "{a} {b}");
        }
        for (a, b) in
            [("1", "2"), ("1G", "1Gi"), ("100m", "100M"), ("1", "1x"), ("", "0"), (".", "0"), ("1.2.3", "1.2")]
        {
            assert!(!Quantity::same(a, b), "{a} {b}");
        }
        assert!(Quantity::same("odd", "odd"));
    }
}
