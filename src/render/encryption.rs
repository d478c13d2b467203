//! The file of keys that API servers read. The one text here with secrets in it: it is made in a run and never in a plan.

use crate::model::{
    encryption::{Key, KeyName},
    secret::Secret,
};

/// A provider, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Plain values.
    Identity,
    Key(Key),
}

/// The text of a file with these providers. A node's text is compared with it byte by byte, so it must never change.
///
/// Each provider stands alone on its line: audits (kube-bench 1.2.28) take the line after `providers:` for the first one.
pub fn text(providers: &[Provider]) -> Secret<String> {
    let mut text = String::from(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources:\n  - secrets\n  providers:\n",
    );
    let mut in_keys = false;
    for provider in providers {
        match provider {
            Provider::Identity => text.push_str("  - identity: {}\n"),
            Provider::Key(key) => {
                if !in_keys {
                    text.push_str("  - secretbox:\n      keys:\n");
                }
                text.push_str(&format!("      - name: {}\n        secret: {}\n", key.name, key.secret.expose()));
            }
        }
        in_keys = matches!(provider, Provider::Key(_));
    }
    Secret::new(text)
}

/// The providers of a text that [`text`] made.
///
/// # Errors
/// It is another one. The reason has nothing of the text.
pub fn parse(given: &str) -> Result<Vec<Provider>, &'static str> {
    const OTHER: &str = "it was not written by this program";
    let mut providers = Vec::new();
    let mut named: Option<KeyName> = None;
    for line in given.lines() {
        if line == "  - identity: {}" {
            providers.push(Provider::Identity);
        } else if let Some(name) = line.strip_prefix("      - name: ") {
            named = Some(name.parse().map_err(|_| OTHER)?);
        } else if let Some(secret) = line.strip_prefix("        secret: ") {
            let name = named.take().ok_or(OTHER)?;
            providers.push(Provider::Key(Key { name, secret: Secret::new(secret.to_owned()) }));
        }
    }
    if text(&providers).expose() == given { Ok(providers) } else { Err(OTHER) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(generation: u32, secret: &str) -> Provider {
        Provider::Key(Key { name: KeyName::new(generation, "3fa9c1d2"), secret: Secret::new(secret.to_owned()) })
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all = [key(2, "bmV3"), key(1, "b2xk"), Provider::Identity];
        insta::assert_snapshot!(text(&all).expose(), @r"
        apiVersion: apiserver.config.k8s.io/v1
        kind: EncryptionConfiguration
        resources:
        - resources:
          - secrets
          providers:
          - secretbox:
              keys:
              - name: key2-3fa9c1d2
                secret: bmV3
              - name: key1-3fa9c1d2
                secret: b2xk
          - identity: {}
        ");
        assert_eq!(parse(text(&all).expose()).unwrap(), all);
        let second = [Provider::Identity, key(1, "b2xk")];
        assert_eq!(parse(text(&second).expose()).unwrap(), second);
    }

    #[test]
    fn what_another_wrote_is_not() {
        let whole = text(&[key(1, "b2xk"), Provider::Identity]);
        for other in ["", "x", &whole.expose().replace("secrets", "configmaps"), &format!("{}\n", whole.expose())] {
            assert!(parse(other).is_err(), "{other}");
        }
    }
}
