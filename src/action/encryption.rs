//! The keys that Secrets are encrypted with: read from control planes, or made.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{ActionError, Actions, LateContent, os_rng};
use crate::kube::Link;
use crate::model::encryption::{Key, KeyName, PATH};
use crate::model::name::NodeName;
use crate::model::op::Keys;
use crate::model::secret::Secret;
use crate::render::encryption::{Provider, parse, text};
use crate::shell::wrap;
use crate::transport::{Limits, Script};

/// Bytes of a key of secretbox.
const KEY_BYTES: usize = 32;

impl Actions {
    /// The files of keys for a node, made or read once in a run.
    pub(super) async fn encryption(&self, keys: Keys) -> Result<Vec<LateContent>, ActionError> {
        if keys == Keys::Present {
            let text = self.keys.get_or_try_init(|| self.present()).await?;
            return Ok(vec![LateContent::new("encryption/config.yaml", text.expose())]);
        }
        let steps = self.key_steps.get_or_try_init(async || {
            let files = read_all(&self.session.link).await?;
            let found = distinct(&files).map_err(|cause| ActionError::new("change the keys of Secrets", cause))?;
            let (old, new) =
                pair(keys, found).map_err(|cause| ActionError::new("change the keys of Secrets", cause))?;
            Ok(steps(old, new))
        });
        Ok(steps.await?.clone())
    }

    /// The file that the control planes have: that of most of them. Where a cluster is formed, its leader's, or a new one.
    async fn present(&self) -> Result<Secret<String>, ActionError> {
        let link = &self.session.link;
        if let Some(leader) = &self.setup.forming {
            return Ok(match read(link, leader).await? {
                Some(text) => text,
                None => text(&[Provider::Key(make(1, &mut os_rng())), Provider::Identity]),
            });
        }
        let files = read_all(link).await?;
        let count = |text: &Secret<String>| files.iter().filter(|(_, other)| other == text).count();
        // Of as many the first: whoever is asked first is likeliest to be well.
        let most = files.iter().map(|(_, text)| text).rev().max_by_key(|text| count(text)).cloned();
        most.ok_or_else(|| ActionError::new("read the keys of Secrets", "no control plane has any"))
    }
}

/// The file of every control plane that has one. Each must answer: one that does not may have a key that the others lack.
async fn read_all(link: &Link) -> Result<Vec<(NodeName, Secret<String>)>, ActionError> {
    let mut files = Vec::new();
    for node in link.nodes() {
        if let Some(text) = read(link, &node).await? {
            files.push((node, text));
        }
    }
    Ok(files)
}

/// A control plane's file; absent where it has none.
async fn read(link: &Link, node: &NodeName) -> Result<Option<Secret<String>>, ActionError> {
    let what = format!("read the keys of Secrets on {node}");
    let script = Script::new(wrap(&format!("[ ! -e {PATH} ] || cat {PATH}")));
    let output = link.look(node, &script, Limits::within(Duration::from_secs(15))).await;
    let output = output.map_err(|error| ActionError::new(&what, error))?;
    let stdout = Zeroizing::new(output.stdout);
    if !output.exit.is_success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(ActionError::new(&what, &output.exit).details(said.lines().map(String::from)));
    }
    let text = std::str::from_utf8(&stdout).map_err(|_| ActionError::new(&what, format!("{PATH} is not text")))?;
    Ok((!text.is_empty()).then(|| Secret::new(text.to_owned())))
}

/// The key that writes on every control plane.
///
/// # Errors
/// They differ, or any writes plainly.
pub(super) async fn writing(link: &Link) -> Result<KeyName, ActionError> {
    let what = "tell the key that writes";
    let mut all: Vec<(NodeName, Option<KeyName>)> = Vec::new();
    for node in link.nodes() {
        let providers = match read(link, &node).await? {
            Some(text) => parse(text.expose()).map_err(|why| ActionError::new(what, format!("{node}: {why}")))?,
            None => Vec::new(),
        };
        let first = match providers.into_iter().next() {
            Some(Provider::Key(key)) => Some(key.name),
            Some(Provider::Identity) | None => None,
        };
        all.push((node, first));
    }
    match all.first() {
        Some((_, Some(key))) if all.iter().all(|(_, other)| other.as_ref() == Some(key)) => Ok(key.clone()),
        _ => {
            let told = all.iter().map(|(node, key)| match key {
                Some(key) => format!("{node} writes with {key}"),
                None => format!("{node} writes plainly"),
            });
            Err(ActionError::new(what, "the control planes do not write alike").details(told.collect::<Vec<_>>()))
        }
    }
}

/// Every key of these files, once, the oldest first.
fn distinct(files: &[(NodeName, Secret<String>)]) -> Result<Vec<Key>, String> {
    let mut keys: Vec<Key> = Vec::new();
    for (node, file) in files {
        for provider in parse(file.expose()).map_err(|why| format!("{PATH} on {node}: {why}"))? {
            let Provider::Key(key) = provider else { continue };
            match keys.iter().find(|known| known.name == key.name) {
                Some(known) if *known == key => {}
                Some(_) => return Err(format!("{} is another key on {node} than elsewhere", key.name)),
                None => keys.push(key),
            }
        }
    }
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(keys)
}

/// The old key, where there is one, and the new one: found, or made.
fn pair(keys: Keys, found: Vec<Key>) -> Result<(Option<Key>, Key), String> {
    let count = found.len();
    let mut found = found.into_iter();
    match (keys, found.next(), found.next()) {
        (Keys::First, None, None) => Ok((None, make(1, &mut os_rng()))),
        (Keys::First, Some(first), None) => Ok((None, first)),
        (Keys::Next, Some(old), None) => {
            let new = make(old.name.generation + 1, &mut os_rng());
            Ok((Some(old), new))
        }
        (Keys::Next, Some(old), Some(new)) if count == 2 => Ok((Some(old), new)),
        _ => Err(format!("the control planes have {count} keys, which no step of this change leaves")),
    }
}

fn make(generation: u32, rng: &mut impl CryptoRng) -> Key {
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
    rng.fill_bytes(&mut bytes[..]);
    let digest: String = Sha256::digest(&bytes[..]).iter().map(|byte| format!("{byte:02x}")).collect();
    Key { name: KeyName::new(generation, &digest), secret: Secret::new(BASE64_STANDARD.encode(&bytes[..])) }
}

/// The files of all steps from the old key (from none) to the new one.
fn steps(old: Option<Key>, new: Key) -> Vec<LateContent> {
    let file = |name: &str, keys: &[Provider]| LateContent::new(format!("encryption/{name}.yaml"), text(keys).expose());
    let (new, plain) = (Provider::Key(new), Provider::Identity);
    match old.map(Provider::Key) {
        None => vec![file("second", &[plain.clone(), new.clone()]), file("first", &[new, plain])],
        Some(old) => vec![
            file("before", &[old.clone(), plain.clone()]),
            file("second", &[old.clone(), new.clone(), plain.clone()]),
            file("first", &[new.clone(), old, plain.clone()]),
            file("only", &[new, plain]),
        ],
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::model::encryption::Shape;

    fn key(generation: u32) -> Key {
        make(generation, &mut StdRng::seed_from_u64(generation.into()))
    }

    fn shape(file: &LateContent) -> Shape {
        let text = String::from_utf8(file.content.expose().clone()).unwrap();
        let words: Vec<String> = parse(&text)
            .unwrap()
            .iter()
            .map(|provider| match provider {
                Provider::Identity => "identity".to_owned(),
                Provider::Key(key) => key.name.to_string(),
            })
            .collect();
        Shape::of(&words).unwrap()
    }

    #[test]
    fn keys_are_of_32_bytes_and_named_by_their_digest() {
        let key = key(1);
        let bytes = BASE64_STANDARD.decode(key.secret.expose()).unwrap();
        assert_eq!(bytes.len(), 32);
        let digest: String = Sha256::digest(&bytes).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(key.name.to_string(), format!("key1-{digest}"));
        assert_ne!(make(1, &mut os_rng()).secret, make(1, &mut os_rng()).secret);
    }

    #[test]
    fn steps_are_those_that_states_are_told_by() {
        let (one, two) = (key(1), key(2));
        let shapes: Vec<Shape> = steps(None, one.clone()).iter().map(shape).collect();
        assert_eq!(shapes, [Shape::Second(one.name.clone()), Shape::First(one.name.clone())]);
        let shapes: Vec<Shape> = steps(Some(one.clone()), two.clone()).iter().map(shape).collect();
        let (old, new) = (one.name, two.name);
        assert_eq!(
            shapes,
            [
                Shape::First(old.clone()),
                Shape::OldNew(old.clone(), new.clone()),
                Shape::NewOld(old, new.clone()),
                Shape::First(new)
            ]
        );
    }

    /// A key that any control plane may have got is never made a second time.
    #[test]
    fn what_a_run_that_died_made_is_gone_on_with() {
        let node = |at: usize| format!("cp{}", at + 1).parse::<NodeName>().unwrap();
        let found = |files: &[&LateContent]| {
            let text = |file: &LateContent| Secret::new(String::from_utf8(file.content.expose().clone()).unwrap());
            distinct(&files.iter().enumerate().map(|(at, file)| (node(at), text(file))).collect::<Vec<_>>())
        };
        let (one, two) = (key(1), key(2));
        let all = steps(Some(one.clone()), two.clone());
        for files in [[&all[0], &all[1]], [&all[1], &all[2]], [&all[2], &all[3]]] {
            assert_eq!(pair(Keys::Next, found(&files).unwrap()).unwrap(), (Some(one.clone()), two.clone()));
        }
        assert_eq!(pair(Keys::Next, found(&[&all[0]]).unwrap()).unwrap().1.name.generation, 2);
        let on = steps(None, one.clone());
        assert_eq!(pair(Keys::First, found(&[&on[0]]).unwrap()).unwrap(), (None, one));
        assert!(pair(Keys::First, found(&[&all[1]]).unwrap()).is_err());
        assert!(pair(Keys::Next, Vec::new()).is_err());
        let other = Key { secret: Secret::new(BASE64_STANDARD.encode([0_u8; 32])), ..two };
        let strange = steps(Some(key(1)), other);
        assert!(found(&[&all[1], &strange[1]]).unwrap_err().contains("cp2"));
    }
}
