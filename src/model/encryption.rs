//! Encryption of Secrets at rest: what its file on a control plane says, and what follows from the files of all of them.
//!
//! ```text
//! turned on    –  →  [identity, key1]  →  [key1, identity]              then every Secret is written anew
//! key rotated  [key1, identity]  →  [key1, key2, identity]  →  [key2, key1, identity]   written anew   →  [key2, identity]
//! ```
//!
//! The first provider writes, all of them read. Nobody writes with what another does not read: each arrow is taken by every
//! control plane before any takes the next. So the files alone tell how far it is.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Serialize;

use super::{facts::Encryption, invalid::Invalid, name::NodeName, secret::Secret};

/// The folder of the file. It lies among the authorities: API servers see that folder already, and whatever keeps, moves or
/// takes off the authorities does so with the keys.
pub const FOLDER: &str = "/etc/kubernetes/pki/encryption";
/// The file that every API server reads.
pub const PATH: &str = "/etc/kubernetes/pki/encryption/config.yaml";
/// There as long as Secrets that were written before encryption was turned on are not written anew.
pub const PENDING: &str = "/etc/kubernetes/pki/encryption/rewrite-pending";
/// API server's flag that names the file.
pub const FLAG: &str = "encryption-provider-config";
/// API server's flag by which it reads the file anew when it changes, within a minute.
pub const RELOAD_FLAG: &str = "encryption-provider-config-automatic-reload";
/// What stands before every value that such a key wrote, with the key's name and a colon after it.
pub const VALUE_PREFIX: &str = "k8s:enc:secretbox:v1:";

/// How Secrets are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncryptionProvider {
    /// XSalsa20 and Poly1305, with a key on the control planes' disks.
    Secretbox,
}

/// The name of a key: `key2-3fa9c1d2`, the second of the cluster and the beginning of the key's SHA-256. Two keys of one
/// name are the same key, and of two keys the newer has the higher number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    pub generation: u32,
    digest: String,
}

impl KeyName {
    /// The name of a key by its digest (hex).
    pub fn new(generation: u32, sha256: &str) -> Self {
        Self { generation, digest: sha256.chars().take(8).collect() }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("key{}-{}", self.generation, self.digest))
    }
}

impl FromStr for KeyName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parts = text.strip_prefix("key").and_then(|rest| rest.split_once('-'));
        let generation = parts.and_then(|(number, _)| number.parse().ok()).filter(|number| *number > 0);
        let hex = |digest: &str| digest.len() == 8 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match (generation, parts) {
            (Some(generation), Some((_, digest))) if hex(digest) => Ok(Self { generation, digest: digest.to_owned() }),
            _ => Err(Invalid::new(format!("`{}` is no name of a key of this program", text.escape_debug()))),
        }
    }
}

/// A key with its 32 bytes in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: KeyName,
    pub secret: Secret<String>,
}

/// What the providers of a file are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Writes plainly, reads what the key wrote.
    Second(KeyName),
    /// Writes with the key, reads plain values, too.
    First(KeyName),
    /// Writes with the old key, reads what the new one wrote.
    OldNew(KeyName, KeyName),
    /// Writes with the new key, reads what the old one wrote.
    NewOld(KeyName, KeyName),
}

impl Shape {
    /// The shape of providers in their order (`identity`, or names of keys); absent where this program makes none such.
    pub fn of<S: AsRef<str>>(providers: &[S]) -> Option<Self> {
        let words: Vec<&str> = providers.iter().map(AsRef::as_ref).collect();
        Some(match words.as_slice() {
            ["identity", key] => Self::Second(key.parse().ok()?),
            [key, "identity"] => Self::First(key.parse().ok()?),
            [first, second, "identity"] => {
                let (first, second): (KeyName, KeyName) = (first.parse().ok()?, second.parse().ok()?);
                match first.generation.cmp(&second.generation) {
                    std::cmp::Ordering::Less => Self::OldNew(first, second),
                    std::cmp::Ordering::Greater => Self::NewOld(second, first),
                    std::cmp::Ordering::Equal => return None,
                }
            }
            _ => return None,
        })
    }

    /// The key that writes; absent where values are written plainly.
    pub fn writes(&self) -> Option<&KeyName> {
        match self {
            Self::Second(_) => None,
            Self::First(key) | Self::OldNew(key, _) | Self::NewOld(_, key) => Some(key),
        }
    }
}

/// A step on the way to another first provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The new key can read.
    Second,
    /// The new key writes.
    First,
    /// The old key is gone.
    Only,
}

/// What the files of all control planes of a living cluster say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has any.
    Off,
    /// Being turned on; nothing is lost by going on, nor by staying.
    TurningOn,
    /// The same on all.
    On {
        key: KeyName,
        /// Whether Secrets of before may still be plain.
        pending: bool,
    },
    /// A key is being rotated; what is left begins with this.
    Rotating { from: Phase, old: KeyName, new: KeyName },
    /// Some have another file, or none, and it is certain which is right.
    Drift {
        /// SHA-256 (hex) of the right file.
        right: String,
        wrong: Vec<NodeName>,
    },
    /// It is not certain what is right; why.
    Unclear(String),
}

/// Tells the state from what was seen on every control plane that has joined.
pub fn state(seen: &BTreeMap<NodeName, Option<&Encryption>>) -> State {
    let file = |seen: &Option<&Encryption>| seen.and_then(|seen| seen.file.clone());
    let files: Vec<(&NodeName, Option<_>)> = seen.iter().map(|(name, seen)| (name, file(seen))).collect();
    let there: Vec<_> = files.iter().filter_map(|(name, file)| Some((*name, file.as_ref()?))).collect();
    if there.is_empty() {
        return State::Off;
    }
    let missing: Vec<NodeName> =
        files.iter().filter(|(_, file)| file.is_none()).map(|(name, _)| (*name).clone()).collect();
    let shapes: Option<Vec<Shape>> = there.iter().map(|(_, file)| Shape::of(&file.providers)).collect();
    // What has the same providers must be the same, or a key is another under the same name.
    let alike =
        there.iter().all(|(_, a)| there.iter().all(|(_, b)| (a.providers == b.providers) == (a.sha256 == b.sha256)));
    let pending = seen.values().flatten().any(|seen| seen.pending);
    if let Some(mut shapes) = shapes.filter(|_| alike) {
        shapes.sort_by_key(|shape| format!("{shape:?}"));
        shapes.dedup();
        match (shapes.as_slice(), missing.is_empty()) {
            ([Shape::First(key)], true) => return State::On { key: key.clone(), pending },
            ([Shape::First(_)], false) => return State::Drift { right: there[0].1.sha256.clone(), wrong: missing },
            ([Shape::Second(_)], _) => return State::TurningOn,
            ([Shape::First(a), Shape::Second(b)], true) if a == b => return State::TurningOn,
            (shapes, true) => {
                if let Some(rotating) = rotating(shapes) {
                    return rotating;
                }
            }
            _ => {}
        }
    }
    majority(&files)
}

/// How far a rotation is, if these shapes are of one.
fn rotating(shapes: &[Shape]) -> Option<State> {
    let (old, new) = shapes.iter().find_map(|shape| match shape {
        Shape::OldNew(old, new) | Shape::NewOld(old, new) => Some((old.clone(), new.clone())),
        _ => None,
    })?;
    let (before, second) = (Shape::First(old.clone()), Shape::OldNew(old.clone(), new.clone()));
    let (first, only) = (Shape::NewOld(old.clone(), new.clone()), Shape::First(new.clone()));
    let only_of = |two: [&Shape; 2]| shapes.iter().all(|shape| two.contains(&shape));
    let from = if only_of([&before, &second]) {
        Phase::Second
    } else if only_of([&second, &first]) {
        // Those that are behind go first; whether it is loaded everywhere is seen again.
        if shapes.contains(&second) { Phase::Second } else { Phase::First }
    } else if only_of([&first, &only]) {
        Phase::Only
    } else {
        return None;
    };
    Some(State::Rotating { from, old, new })
}

/// More than half of all with the same file of ours are right against those that have another one, or none.
fn majority(files: &[(&NodeName, Option<super::facts::EncryptionFile>)]) -> State {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, file) in files {
        if let Some(file) = file.as_ref().filter(|file| Shape::of(&file.providers).is_some()) {
            *counts.entry(&file.sha256).or_insert(0) += 1;
        }
    }
    if let Some((right, _)) = counts.iter().find(|(_, count)| **count * 2 > files.len()) {
        let is_wrong =
            |file: &Option<super::facts::EncryptionFile>| file.as_ref().is_none_or(|file| file.sha256 != **right);
        let wrong = files.iter().filter(|(_, file)| is_wrong(file)).map(|(name, _)| (*name).clone()).collect();
        return State::Drift { right: (*right).to_owned(), wrong };
    }
    let told: Vec<String> = files
        .iter()
        .map(|(name, file)| match file {
            None => format!("{name} none"),
            Some(file) if file.providers.is_empty() => format!("{name} one that this program did not write"),
            Some(file) => {
                format!("{name} {} ({})", file.providers.join(", "), &file.sha256[..8.min(file.sha256.len())])
            }
        })
        .collect();
    State::Unclear(told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::EncryptionFile;

    const K1: &str = "key1-00000001";
    const K2: &str = "key2-00000002";

    /// Of each control plane its providers, with a mark where the text differs all the same; none where it has no file.
    fn judged(nodes: &[&[&str]]) -> State {
        let all: Vec<Encryption> = nodes
            .iter()
            .map(|providers| {
                let file = EncryptionFile {
                    providers: providers.iter().map(|word| word.trim_end_matches('!').to_owned()).collect(),
                    sha256: providers.join(","),
                    mode: "600 root:root".into(),
                };
                Encryption { file: (!providers.is_empty()).then_some(file), flag: true, pending: false }
            })
            .collect();
        let name = |at: usize| format!("cp{}", at + 1).parse().unwrap();
        state(&all.iter().enumerate().map(|(at, seen)| (name(at), Some(seen))).collect())
    }

    #[test]
    fn every_half_done_state_is_known_by_its_files() {
        let (none, second, first): (&[&str], &[&str], &[&str]) = (&[], &["identity", K1], &[K1, "identity"]);
        assert_eq!(judged(&[none, none, none]), State::Off);
        for half in [[second, none, none], [none, none, second], [second, second, second], [first, second, second]] {
            assert_eq!(judged(&half), State::TurningOn, "{half:?}");
        }
        let key = |text: &str| text.parse::<KeyName>().unwrap();
        assert_eq!(judged(&[first, first, first]), State::On { key: key(K1), pending: false });

        let (old_new, new_old, only): (&[&str], &[&str], &[&str]) =
            (&[K1, K2, "identity"], &[K2, K1, "identity"], &[K2, "identity"]);
        for (half, from) in [
            ([old_new, first, first], Phase::Second),
            ([old_new, old_new, old_new], Phase::Second),
            ([old_new, new_old, old_new], Phase::Second),
            ([new_old, new_old, new_old], Phase::First),
            ([new_old, only, new_old], Phase::Only),
        ] {
            let wanted = State::Rotating { from, old: key(K1), new: key(K2) };
            assert_eq!(judged(&half), wanted, "{half:?}");
        }
        assert_eq!(judged(&[only, only, only]), State::On { key: key(K2), pending: false });
    }

    #[test]
    fn what_differs_is_repaired_only_where_it_is_certain() {
        let (none, first, other): (&[&str], &[&str], &[&str]) = (&[], &[K1, "identity"], &[K1, "identity!"]);
        let drift = |right: &[&str], wrong: &str| State::Drift {
            right: right.join(","),
            wrong: wrong.split(' ').map(|name| name.parse().unwrap()).collect(),
        };
        assert_eq!(judged(&[first, none, first]), drift(first, "cp2"));
        assert_eq!(judged(&[none, none, first]), drift(first, "cp1 cp2"), "there is no other that could be right");
        assert_eq!(judged(&[first, first, other]), drift(first, "cp3"));
        assert_eq!(judged(&[first, &["x"], first]), drift(first, "cp2"));
        for unclear in [
            vec![first, other],
            vec![&["x"][..]],
            vec![first, &[K2, "identity"]],
            // In the midst of a rotation nobody may lack it; and nobody may be two steps ahead.
            vec![&[K1, K2, "identity"][..], none],
            vec![first, &[K2, K1, "identity"]],
            vec![&["identity", K1][..], first, none],
        ] {
            assert!(matches!(judged(&unclear), State::Unclear(_)), "{unclear:?}: {:?}", judged(&unclear));
        }
    }

    #[test]
    fn names_of_keys() {
        let name = KeyName::new(12, "3fa9c1d2ffff");
        assert_eq!(name.to_string(), "key12-3fa9c1d2");
        assert_eq!(name.to_string().parse::<KeyName>().unwrap(), name);
        for bad in ["", "key1", "key0-3fa9c1d2", "key1-3FA9C1D2", "k1-3fa9c1d2", "key1-3fa9c1d", "identity"] {
            assert!(bad.parse::<KeyName>().is_err(), "{bad}");
        }
    }
}
