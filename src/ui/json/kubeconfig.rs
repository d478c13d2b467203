//! `kbootstrap.kubeconfig/v1`: where a kubeconfig was written. Nothing of its secrets.

use serde::Serialize;

use crate::kube::Way;

/// The whole document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    path: &'a str,
    /// The context that is used unless another one is asked for.
    context: &'a str,
    contexts: Vec<Context<'a>>,
}

#[derive(Debug, Serialize)]
struct Context<'a> {
    name: &'a str,
    server: &'a str,
    tls_server_name: Option<&'a str>,
}

/// The document of a kubeconfig.
pub fn kubeconfig<'a>(path: &'a str, context: &'a str, ways: &'a [Way]) -> Document<'a> {
    let contexts = ways.iter().map(|way| Context {
        name: &way.name,
        server: &way.server,
        tls_server_name: way.tls_server_name.as_deref(),
    });
    Document { schema: "kbootstrap.kubeconfig/v1", path, context, contexts: contexts.collect() }
}
