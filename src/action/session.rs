//! A standing conversation with the API that survives the loss of a control plane.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::kube::{AdminConf, KubeError, Link, client};
use crate::model::name::NodeName;
use crate::model::secret::Secret;
use crate::shell::wrap;
use crate::transport::{Limits, Script};

/// Where kubeadm keeps an administrator's credentials on every control plane.
const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";
/// How long a failing call is tried again: an etcd election, a restart of an API server and the way to another control
/// plane all fit in it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Link, credentials and client, each had when it is first needed.
pub(super) struct Session {
    pub(super) link: Arc<Link>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    conf: Option<AdminConf>,
    client: Option<Client>,
}

impl Session {
    /// A session by this link, with the credentials if they are known already.
    pub(super) fn new(link: Link, conf: Option<AdminConf>) -> Self {
        Self { link: Arc::new(link), state: Mutex::new(State { conf, client: None }) }
    }

    /// Asks this control plane from now on, and no longer the one asked before.
    pub(super) async fn turn_to(&self, node: &NodeName) {
        self.link.prefer(node);
        self.state.lock().await.client = None;
    }

    /// The administrator's credentials, fetched from the first control plane that has them.
    pub(super) async fn conf(&self) -> Result<AdminConf, KubeError> {
        let mut state = self.state.lock().await;
        if state.conf.is_none() {
            state.conf = Some(fetch(&self.link).await?);
        }
        Ok(state.conf.clone().expect("it was fetched"))
    }

    pub(super) async fn client(&self) -> Result<Client, KubeError> {
        let conf = self.conf().await?;
        let mut state = self.state.lock().await;
        if let Some(client) = &state.client {
            return Ok(client.clone());
        }
        let client = client(Arc::clone(&self.link), &conf)?;
        Ok(state.client.insert(client).clone())
    }

    /// Does work with the client, again (by the next control plane) where it failed in a way that may pass. So the work
    /// must bear to be done twice.
    pub(super) async fn call<T, R>(&self, work: impl Fn(Client) -> R) -> Result<T, KubeError>
    where
        R: Future<Output = Result<T, KubeError>>,
    {
        let until = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(200);
        loop {
            let outcome = match self.client().await {
                Ok(client) => work(client).await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) if error.is_transient() && Instant::now() + pause < until => {
                    tracing::debug!(%error, "trying again");
                    if !error.is_conflict() {
                        self.move_on().await;
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(4));
                }
                outcome => return outcome,
            }
        }
    }

    async fn move_on(&self) {
        self.link.move_on();
        self.state.lock().await.client = None;
    }
}

async fn fetch(link: &Link) -> Result<AdminConf, KubeError> {
    let script = Script::new(wrap(&format!("cat {ADMIN_CONF}")));
    let mut tried = Vec::new();
    for node in link.nodes() {
        let reason = match link.look(&node, &script, Limits::within(Duration::from_secs(15))).await {
            Ok(output) if output.exit.is_success() => {
                let text =
                    String::from_utf8(output.stdout).map_err(|_| KubeError::AdminConf("it is not text".into()))?;
                link.prefer(&node);
                return AdminConf::parse(&Secret::new(text));
            }
            Ok(_) => format!("it has no {ADMIN_CONF}"),
            Err(error) => error.to_string(),
        };
        tried.push((node, reason));
    }
    Err(KubeError::Unreachable { tried })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::Route;
    use crate::model::ssh::SshTarget;
    use crate::transport::fake::{FakeConnector, FakeNode, fails, says};

    fn session(nodes: [FakeNode; 2]) -> Session {
        let route = |name: &str| Route { node: NodeName::new(name).unwrap(), target: SshTarget::new(name, name) };
        Session::new(Link::new(Arc::new(FakeConnector::to(nodes)), ["cp1", "cp2"].map(route).into()), None)
    }

    #[tokio::test]
    async fn credentials_come_from_the_first_control_plane_that_has_them() {
        let conf = "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\n\
                    clusters: [{name: c, cluster: {server: s, certificate-authority-data: QQ==}}]\n\
                    users: [{name: u, user: {client-certificate-data: Qg==, client-key-data: Qw==}}]\n";
        let session = session([
            FakeNode::new("cp1").on_observe(ADMIN_CONF, fails(1, "cat: No such file or directory")),
            FakeNode::new("cp2").on_observe(ADMIN_CONF, says(conf)),
        ]);
        assert_eq!(session.conf().await.unwrap().ca, "A");
        assert_eq!(session.link.current().unwrap().as_str(), "cp2");
        // They are kept: neither is asked again.
        assert_eq!(session.conf().await.unwrap().certificate, "B");
    }

    #[tokio::test]
    async fn who_has_none_is_told() {
        let none = |name: &str| FakeNode::new(name).on_observe(ADMIN_CONF, fails(1, ""));
        let error = session([none("cp1"), none("cp2")]).conf().await.unwrap_err();
        let wanted = "no API server can be reached: cp1: it has no /etc/kubernetes/admin.conf; \
                      cp2: it has no /etc/kubernetes/admin.conf";
        assert_eq!(error.to_string(), wanted);
    }
}
