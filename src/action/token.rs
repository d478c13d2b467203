//! Bootstrap tokens: short-lived, made by the run that needs them, removed when its joins are done.

use ::kube::Client;
use ::kube::api::{Api, DeleteParams, Patch, PatchParams};
use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::core::v1::Secret as SecretObject;
use rand::{CryptoRng, RngCore};
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::kube::{FIELD_MANAGER, KubeError, SYSTEM, TOKEN_DESCRIPTION};
use crate::model::secret::Secret;

/// How long a token is good for.
const LIFETIME: Duration = Duration::minutes(15);
/// What kubeadm puts joining nodes into, so that their first certificates are signed.
const GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";

/// A token: six characters that name it, sixteen that are secret.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) id: String,
    secret: Secret<String>,
}

impl Token {
    pub(super) fn generate(rng: &mut impl CryptoRng) -> Self {
        Self { id: text(rng, 6), secret: Secret::new(text(rng, 16)) }
    }

    /// `abcdef.0123456789abcdef`.
    pub(super) fn text(&self) -> Secret<String> {
        Secret::new(format!("{}.{}", self.id, self.secret.expose()))
    }

    /// Makes the token good for another quarter of an hour. It may be there already.
    pub(super) async fn store(&self, client: Client, now: OffsetDateTime) -> Result<(), KubeError> {
        let expiration = (now + LIFETIME).format(&Rfc3339).expect("a moment of this century");
        let encode = |text: &str| BASE64_STANDARD.encode(text);
        let name = name(&self.id);
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": SYSTEM},
            "type": "bootstrap.kubernetes.io/token",
            "data": {
                "token-id": encode(&self.id),
                "token-secret": encode(self.secret.expose()),
                "expiration": encode(&expiration),
                "usage-bootstrap-authentication": encode("true"),
                "usage-bootstrap-signing": encode("true"),
                "auth-extra-groups": encode(GROUP),
                "description": encode(TOKEN_DESCRIPTION),
            },
        });
        let api: Api<SecretObject> = Api::namespaced(client, SYSTEM);
        // The answer holds the token again; it is asked for without it.
        let done = api.patch_metadata(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object)).await;
        done.map(drop).map_err(|error| KubeError::new("store a bootstrap token", error))
    }
}

/// Removes the tokens of these ids; those that are gone already are no error.
pub(super) async fn delete(client: Client, ids: &[String]) -> Result<(), KubeError> {
    let api: Api<SecretObject> = Api::namespaced(client, SYSTEM);
    for id in ids {
        if let Err(error) = api.delete(&name(id), &DeleteParams::default()).await {
            let error = KubeError::new("remove a bootstrap token", error);
            if !error.is_not_found() {
                return Err(error);
            }
        }
    }
    Ok(())
}

fn name(id: &str) -> String {
    format!("bootstrap-token-{id}")
}

/// Characters `[a-z0-9]`, each as likely as the others.
fn text(rng: &mut impl RngCore, length: usize) -> String {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    std::iter::repeat_with(|| (rng.next_u32() & 0xff) as usize)
        // 252 is the largest multiple of 36 in a byte: what lies above would favour the first letters.
        .filter(|byte| *byte < 252)
        .map(|byte| char::from(LETTERS[byte % 36]))
        .take(length)
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn tokens_have_kubeadms_form_and_are_not_printed() {
        let mut rng = StdRng::seed_from_u64(1);
        let token = Token::generate(&mut rng);
        let text = token.text();
        let (id, secret) = text.expose().split_once('.').unwrap();
        assert_eq!((id.len(), secret.len()), (6, 16));
        assert!(text.expose().bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.')));
        assert!(!format!("{token:?}").contains(secret));
        assert_ne!(Token::generate(&mut rng).id, token.id);
    }
}
