//! Every Secret written anew, as it is: the API server encrypts what it writes with the key that is first now.

use ::kube::api::{Api, DynamicObject, ListParams, PostParams};
use ::kube::core::{ApiResource, GroupVersionKind};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use tokio::time::Instant;

use super::ActionError;
use super::encryption::writing;
use super::etcd;
use super::session::Session;
use crate::kube::KubeError;
use crate::model::encryption::{KeyName, VALUE_PREFIX};
use crate::model::name::NodeName;

/// Secrets of one page, of the API and of etcd. One may have a MiB.
const PAGE: u32 = 100;
/// Writes at once.
const AT_ONCE: usize = 8;
/// A Secret that somebody else writes all the while is read again this often.
const TRIES: usize = 20;
/// Times that all are gone through before it is given up: none is left after the first, unless an API server has another key.
const ROUNDS: usize = 3;
/// Where API servers keep them.
const FOLDER: &str = "/registry/secrets/";
/// The first key that is none of them: `0` comes after `/`.
const FOLDER_END: &str = "/registry/secrets0";

const WHAT: &str = "write every Secret anew";

/// Writes them all, and sees in etcd that each is encrypted with the key that writes on every control plane.
pub(super) async fn rewrite(session: &Session, until: Instant) -> Result<Vec<String>, ActionError> {
    let key = writing(&session.link).await?;
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        let written = round(session, until).await?;
        let Stored { all, others } = stored(session, &key).await?;
        if others.is_empty() {
            if all == 0 && written > 0 {
                return Err(ActionError::new(WHAT, format!("etcd has none under {FOLDER}, and the API has {written}")));
            }
            return Ok(vec![format!("{written} Secrets are encrypted with {key}; etcd has none that is not")]);
        }
        left = others;
    }
    left.truncate(10);
    Err(ActionError::new(WHAT, format!("etcd still has Secrets that {key} did not encrypt"))
        .details(left)
        .hint("is there an API server that this program does not know? The old key stays until none is left"))
}

fn secrets(client: ::kube::Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

/// Once through all of them, page by page; gives how many there are.
async fn round(session: &Session, until: Instant) -> Result<usize, ActionError> {
    let mut count = 0;
    let mut token: Option<String> = None;
    loop {
        if Instant::now() > until {
            return Err(ActionError::new(WHAT, format!("no time is left after {count} of them")));
        }
        let mut params = ListParams::default().limit(PAGE);
        params.continue_token.clone_from(&token);
        let page = session
            .call(|client| {
                let params = params.clone();
                async move {
                    let page = secrets(client, None).list(&params).await;
                    page.map_err(|error| KubeError::new("read Secrets", error))
                }
            })
            .await;
        let page = match page {
            Ok(page) => page,
            // A list that took too long begins anew: what is written already is passed over by the API server.
            Err(KubeError::Refused { code: 410, .. }) if token.is_some() => {
                (count, token) = (0, None);
                continue;
            }
            Err(error) => return Err(ActionError::new(WHAT, error)),
        };
        count += page.items.len();
        stream::iter(page.items)
            .map(|secret| write(session, secret))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(count);
        }
    }
}

/// Writes one as it was read, if nobody has changed it since; else as it is then. One that is gone needs nothing.
async fn write(session: &Session, secret: DynamicObject) -> Result<(), ActionError> {
    let (namespace, name) =
        (secret.metadata.namespace.clone().unwrap_or_default(), secret.metadata.name.clone().unwrap_or_default());
    let what = format!("write Secret {namespace}/{name} anew");
    let mut secret = secret;
    for _ in 0..TRIES {
        // Lists do not say of each what it is.
        secret.types = Some(::kube::core::TypeMeta { api_version: "v1".into(), kind: "Secret".into() });
        let written = session
            .call(|client| {
                let (namespace, name, secret) = (&namespace, &name, &secret);
                async move {
                    let api = secrets(client, Some(namespace));
                    match api.replace(name, &PostParams::default(), secret).await {
                        Ok(_) => Ok(None),
                        Err(error) => match KubeError::new("write", error) {
                            error if error.is_not_found() => Ok(None),
                            error if error.is_conflict() => match api.get_opt(name).await {
                                Ok(newer) => Ok(newer),
                                Err(error) => Err(KubeError::new("read", error)),
                            },
                            error => Err(error),
                        },
                    }
                }
            })
            .await
            .map_err(ActionError::of(&what))?;
        match written {
            None => return Ok(()),
            Some(newer) => secret = newer,
        }
    }
    Err(ActionError::new(what, format!("somebody else changed it {TRIES} times meanwhile")))
}

/// What etcd has of Secrets.
struct Stored {
    all: usize,
    /// Keys of those that another key encrypted, or none.
    others: Vec<String>,
}

/// Of etcd's answer to a range: what is zero or empty is left out.
#[derive(Deserialize)]
struct Range {
    /// Always there, so that silence is not taken for "none".
    #[serde(rename = "header")]
    _header: serde::de::IgnoredAny,
    #[serde(default)]
    kvs: Vec<Kv>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Kv {
    key: String,
    #[serde(default)]
    value: String,
}

/// Only the beginning of each value leaves its node.
const CUT: &str = r#" | sed 's/"value":"\([A-Za-z0-9+\/=]\{0,120\}\)[A-Za-z0-9+\/=]*"/"value":"\1"/g'"#;

async fn stored(session: &Session, key: &KeyName) -> Result<Stored, ActionError> {
    let failed = |why: String| ActionError::new("look at Secrets in etcd", why);
    let nodes = session.link.nodes();
    let node = nodes.first().ok_or_else(|| failed("there is no control plane to ask".into()))?;
    let prefix = format!("{VALUE_PREFIX}{key}:");
    let mut stored = Stored { all: 0, others: Vec::new() };
    let mut from = FOLDER.as_bytes().to_vec();
    loop {
        let range = page(session, node, &from).await.map_err(failed)?;
        for kv in &range.kvs {
            let name = BASE64_STANDARD.decode(&kv.key).map_err(|_| failed("a key is no base64".into()))?;
            stored.all += 1;
            if !begins_with(&kv.value, &prefix) {
                stored.others.push(String::from_utf8_lossy(&name).trim_start_matches(FOLDER).to_owned());
            }
            from = name;
        }
        if !range.more || range.kvs.is_empty() {
            return Ok(stored);
        }
        from.push(0);
    }
}

async fn page(session: &Session, node: &NodeName, from: &[u8]) -> Result<Range, String> {
    let request = format!(
        r#"{{"key":"{}","range_end":"{}","limit":"{PAGE}"}}"#,
        BASE64_STANDARD.encode(from),
        BASE64_STANDARD.encode(FOLDER_END),
    );
    let answer = etcd::call_through(session, node, "/v3/kv/range", &request, CUT).await?;
    serde_json::from_str(&answer).map_err(|_| format!("the member on {node} does not answer"))
}

/// Whether a value, of which the beginning is here in base64, begins with this.
fn begins_with(value: &str, prefix: &str) -> bool {
    let whole = value.get(..value.len() / 4 * 4).unwrap_or_default();
    BASE64_STANDARD.decode(whole).is_ok_and(|bytes| bytes.starts_with(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_a_value_is_looked_at() {
        let key: KeyName = "key1-00000001".parse().unwrap();
        let prefix = format!("{VALUE_PREFIX}{key}:");
        let value = |text: &str| {
            let long = BASE64_STANDARD.encode(format!("{text}{}", "x".repeat(300)));
            let answer = format!(r#"{{"header":{{}},"kvs":[{{"key":"QQ==","value":"{long}"}}],"count":"1"}}"#);
            let cut = std::process::Command::new("/bin/sh")
                .args(["-c", &format!("printf %s '{answer}' {CUT}")])
                .output()
                .unwrap();
            let range: Range = serde_json::from_slice(&cut.stdout).unwrap();
            assert_eq!(range.kvs[0].value.len(), 120);
            range.kvs[0].value.clone()
        };
        assert!(begins_with(&value(&prefix), &prefix));
        assert!(!begins_with(&value("k8s\0"), &prefix));
        assert!(!begins_with(&value("k8s:enc:secretbox:v1:key2-00000001:"), &prefix));
        assert!(!begins_with("", &prefix));
        assert!(serde_json::from_str::<Range>("").is_err() && serde_json::from_str::<Range>("{}").is_err());
    }
}
