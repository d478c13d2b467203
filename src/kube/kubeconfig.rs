//! A kubeconfig for the operator, made from a control plane's `admin.conf`.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::AdminConf;
use crate::model::secret::Secret;

/// One way to the API: a cluster and a context of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub name: String,
    /// `https://10.0.0.1:6443`.
    pub server: String,
    /// The name that the server's certificate is checked for, where it is not the one in `server`.
    pub tls_server_name: Option<String>,
}

/// The text of a kubeconfig of a cluster with these ways, all of one user; `current` is the context's name that is used unless
/// another one is asked for.
///
/// # Panics
/// Never: texts are YAML.
pub fn kubeconfig(conf: &AdminConf, user: &str, ways: &[Way], current: &str) -> Secret<String> {
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    let clusters: Vec<Value> = ways
        .iter()
        .map(|way| {
            let mut cluster = json!({"server": way.server, "certificate-authority-data": encode(&conf.ca)});
            if let Some(name) = &way.tls_server_name {
                cluster["tls-server-name"] = json!(name);
            }
            json!({"name": way.name, "cluster": cluster})
        })
        .collect();
    let contexts: Vec<Value> =
        ways.iter().map(|way| json!({"name": way.name, "context": {"cluster": way.name, "user": user}})).collect();
    let text = serde_yaml_ng::to_string(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "clusters": clusters,
        "contexts": contexts,
        "current-context": current,
        "users": [{"name": user, "user": {
            "client-certificate-data": encode(&conf.certificate),
            "client-key-data": encode(conf.key.expose()),
        }}],
    }));
    Secret::new(text.expect("texts are YAML"))
}

/// The administrator's name in kubeconfigs of a cluster.
pub fn admin(cluster: &str) -> String {
    format!("{cluster}-admin")
}

/// Whether a text is a kubeconfig of this user and of nobody else, so that it may be replaced by a newer one.
pub fn is_kubeconfig_of(text: &str, user: &str) -> bool {
    let value: Value = serde_yaml_ng::from_str(text).unwrap_or_default();
    match value.get("users").and_then(Value::as_array).map(Vec::as_slice) {
        Some([only]) => only.get("name").and_then(Value::as_str) == Some(user),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_by_its_current_context() {
        let conf = AdminConf {
            ca: "CA".into(),
            certificate: "CERT".into(),
            key: Secret::new("KEY".into()),
            server: "https://api.lab.internal:7443".into(),
            cluster: "lab".into(),
            user: "kubernetes-admin".into(),
        };
        let way = |node: &str, address: &str| Way {
            name: format!("lab-{node}"),
            server: format!("https://{address}:6443"),
            tls_server_name: Some("api.lab.internal".into()),
        };
        let text = kubeconfig(&conf, "lab-admin", &[way("cp1", "10.0.0.1"), way("cp2", "[fd00::2]")], "lab-cp2");
        assert!(is_kubeconfig_of(text.expose(), "lab-admin") && !is_kubeconfig_of(text.expose(), "lab-2-admin"));
        assert_eq!(text.expose().matches("tls-server-name: api.lab.internal").count(), 2);
        let read = AdminConf::parse(&text).unwrap();
        assert_eq!((read.server.as_str(), read.cluster.as_str()), ("https://[fd00::2]:6443", "lab-cp2"));
        assert_eq!((read.ca.as_str(), read.key.expose().as_str()), ("CA", "KEY"));
    }

    #[test]
    fn what_is_not_ours_alone_is_not_ours() {
        assert!(is_kubeconfig_of("users: [{name: lab-admin}]", "lab-admin"));
        for text in ["", "a: 1", "users: 1", "users: [{}]", "\u{0}", "users: [{name: lab-admin}, {name: other}]"] {
            assert!(!is_kubeconfig_of(text, "lab-admin"), "{text:?}");
        }
    }
}
