//! Kubeconfigs of administrators, as kubeadm writes them to `/etc/kubernetes/admin.conf`.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::KubeError;
use crate::model::secret::Secret;

/// What an `admin.conf` holds, as far as it matters here.
#[derive(Clone, Debug)]
pub struct AdminConf {
    /// The cluster's authority, PEM.
    pub ca: String,
    /// The client's certificate, PEM.
    pub certificate: String,
    /// Its key, PEM: PKCS#1, SEC1 or PKCS#8.
    pub key: Secret<String>,
    /// `https://api.lab.internal:7443`.
    pub server: String,
    /// The cluster's name.
    pub cluster: String,
    /// The user's name.
    pub user: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Raw {
    current_context: String,
    contexts: Vec<Named<Context>>,
    clusters: Vec<Named<Cluster>>,
    users: Vec<Named<User>>,
}

#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "context", alias = "cluster", alias = "user")]
    value: T,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority_data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate_data: String,
    #[serde(deserialize_with = "secret")]
    client_key_data: Secret<String>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

impl AdminConf {
    /// Reads the text of a kubeconfig whose current context has embedded certificates.
    ///
    /// # Errors
    /// [`KubeError::AdminConf`] with the reason; nothing of the text is in it.
    pub fn parse(text: &Secret<String>) -> Result<Self, KubeError> {
        let bad = |reason: &str| KubeError::AdminConf(String::from(reason));
        // The parser's own message could quote a key.
        let raw: Raw = serde_yaml_ng::from_str(text.expose()).map_err(|error| match error.location() {
            Some(at) => bad(&format!("line {} is not what a kubeconfig of kubeadm has there", at.line())),
            None => bad("it is not a kubeconfig of kubeadm"),
        })?;
        let context = named(raw.contexts, &raw.current_context).ok_or_else(|| bad("its current context is missing"))?;
        let cluster = named(raw.clusters, &context.cluster).ok_or_else(|| bad("its cluster is missing"))?;
        let user = named(raw.users, &context.user).ok_or_else(|| bad("its user is missing"))?;
        let pem = |what: &str, text: &str| -> Result<Zeroizing<String>, KubeError> {
            let bytes =
                Zeroizing::new(BASE64_STANDARD.decode(text).map_err(|_| bad(&format!("{what} is not base64")))?);
            let text = std::str::from_utf8(&bytes).map_err(|_| bad(&format!("{what} is not PEM")))?;
            Ok(Zeroizing::new(String::from(text)))
        };
        Ok(Self {
            ca: pem("its authority", &cluster.certificate_authority_data)?.to_string(),
            certificate: pem("its certificate", &user.client_certificate_data)?.to_string(),
            key: Secret::new(pem("its key", user.client_key_data.expose())?.to_string()),
            server: cluster.server,
            cluster: context.cluster,
            user: context.user,
        })
    }
}

fn named<T>(list: Vec<Named<T>>, name: &str) -> Option<T> {
    list.into_iter().find(|entry| entry.name == name).map(|entry| entry.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &str) -> Secret<String> {
        let encode = |text: &str| BASE64_STANDARD.encode(text);
        Secret::new(format!(
            "apiVersion: v1\nkind: Config\npreferences: {{}}\ncurrent-context: kubernetes-admin@lab\nclusters:\n\
             - cluster:\n    certificate-authority-data: {}\n    server: https://api.lab.internal:7443\n  name: lab\n\
             contexts:\n- context: {{cluster: lab, user: kubernetes-admin}}\n  name: kubernetes-admin@lab\n\
             users:\n- name: kubernetes-admin\n  user:\n    client-certificate-data: {}\n    client-key-data: {key}\n",
            encode("CA"),
            encode("CERT"),
        ))
    }

    #[test]
    fn reads_what_kubeadm_writes() {
        let conf = AdminConf::parse(&text(&BASE64_STANDARD.encode("KEY"))).unwrap();
        assert_eq!((conf.ca.as_str(), conf.certificate.as_str(), conf.key.expose().as_str()), ("CA", "CERT", "KEY"));
        assert_eq!((conf.server.as_str(), conf.cluster.as_str()), ("https://api.lab.internal:7443", "lab"));
        assert_eq!(conf.user, "kubernetes-admin");
    }

    #[test]
    fn errors_quote_nothing() {
        for bad in [text("hunter2?"), Secret::new("users: hunter2".into()), Secret::new("hunter2: [".into())] {
            let error = AdminConf::parse(&bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
