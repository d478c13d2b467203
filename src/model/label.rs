//! Labels and taints of nodes.

use std::str::FromStr;

use serde::Serialize;

use super::invalid::{Invalid, checked_text, serde_as_text};
use super::name::DnsName;

/// Key of a label or taint: an optional DNS name and `/`, then a name of at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelKey(String);
checked_text!(LabelKey);

impl LabelKey {
    fn check(text: &str) -> Result<(), Invalid> {
        let name = match text.rsplit_once('/') {
            Some((prefix, name)) => {
                DnsName::new(prefix)
                    .map_err(|why| Invalid::new(format!("before the `/` of a label's key stands a DNS name: {why}")))?;
                name
            }
            None => text,
        };
        if name.is_empty() {
            return Err(Invalid::new("a label's key can't be empty"));
        }
        qualified("a label's key", name)
    }
}

/// Value of a label or taint: empty, or at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelValue(String);
checked_text!(LabelValue);

impl LabelValue {
    fn check(text: &str) -> Result<(), Invalid> {
        if text.is_empty() { Ok(()) } else { qualified("a label's value", text) }
    }
}

/// What a taint does to pods that don't tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum TaintEffect {
    /// New pods are not scheduled.
    NoSchedule,
    /// New pods are scheduled only where nothing else is left.
    PreferNoSchedule,
    /// New pods are not scheduled and running ones leave.
    NoExecute,
}

impl std::fmt::Display for TaintEffect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        })
    }
}

/// A taint, written as kubectl does: `key=value:Effect` or `key:Effect`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taint {
    /// What it is called.
    pub key: LabelKey,
    /// Its value, empty where none was given.
    pub value: LabelValue,
    /// What it does.
    pub effect: TaintEffect,
}
serde_as_text!(Taint);

impl std::fmt::Display for Taint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let equals = if self.value.as_str().is_empty() { "" } else { "=" };
        write!(f, "{}{equals}{}:{}", self.key, self.value, self.effect)
    }
}

impl FromStr for Taint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form = "a taint is written `key=value:Effect` or `key:Effect`";
        let (rest, effect) = text
            .rsplit_once(':')
            .ok_or_else(|| Invalid::new(format!("`{}` has no effect", text.escape_debug())).hint(form))?;
        let effect = match effect {
            "NoSchedule" => TaintEffect::NoSchedule,
            "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
            "NoExecute" => TaintEffect::NoExecute,
            other => {
                return Err(Invalid::new(format!("`{}` is not an effect", other.escape_debug()))
                    .hint("effects are NoSchedule, PreferNoSchedule and NoExecute"));
            }
        };
        let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
        Ok(Self { key: LabelKey::new(key)?, value: LabelValue::new(value)?, effect })
    }
}

/// Checks what Kubernetes calls a qualified name, its prefix aside.
fn qualified(what: &str, text: &str) -> Result<(), Invalid> {
    if text.len() > 63 {
        return Err(Invalid::new(format!("{what} has at most 63 characters, this one has {}", text.len())));
    }
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(odd) = text.chars().find(|c| !inner(*c)) {
        return Err(Invalid::new(format!(
            "{what} has letters, digits, `-`, `_` and `.` only, not `{}`",
            odd.escape_debug()
        )));
    }
    let ends = [text.chars().next(), text.chars().last()];
    if ends.iter().flatten().all(char::is_ascii_alphanumeric) {
        return Ok(());
    }
    Err(Invalid::new(format!("{what} begins and ends with a letter or digit")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values() {
        for good in ["tier", "example.com/tier", "a.b_c-d", "A1"] {
            assert!(LabelKey::new(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "-a", "a-", "a b", "Example.com/a", "a/b/c", &"a".repeat(64)] {
            assert!(LabelKey::new(bad).is_err(), "{bad}");
        }
        assert!(LabelValue::new("").is_ok());
        assert!(LabelValue::new("a/b").is_err());
    }

    #[test]
    fn taints_read_and_show_alike() {
        for text in ["dedicated=gpu:NoSchedule", "example.com/x:NoExecute", "a:PreferNoSchedule"] {
            assert_eq!(text.parse::<Taint>().unwrap().to_string(), text);
        }
        for bad in ["", "a", "a=b", "a:noschedule", ":NoSchedule", "a=b=c:NoSchedule"] {
            assert!(bad.parse::<Taint>().is_err(), "{bad}");
        }
    }
}
