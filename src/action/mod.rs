//! Verbs that need the Kubernetes API or fresh secrets.

mod apply;
mod cordon;
mod coredns;
mod divert;
mod drain;
mod encryption;
mod error;
mod etcd;
mod found;
mod genesis;
mod identity;
mod labels;
mod late;
mod leave;
mod probe;
mod proof;
mod prove;
mod rotation;
mod secrets;
mod session;
mod settle;
mod token;
mod waiting;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::rand_core::UnwrapErr;
use rand::rngs::OsRng;
use tokio::sync::{Mutex, OnceCell, watch};
use tokio::time::Instant;

pub use divert::Fleet;
pub use error::ActionError;
pub use late::LateContent;
pub use proof::{Condition, Expected, conditions, etcd_condition};
pub use waiting::Tell;

use crate::kube::{AdminConf, KubeError, Link, Route};
use crate::model::facts::ClusterIdentity;
use crate::model::name::{ClusterName, NodeName};
use crate::model::op::ClusterOp;
use crate::model::secret::Secret;
use crate::pki::SharedFile;
use crate::transport::Connector;
use genesis::Genesis;
use session::Session;
use token::Token;
use waiting::Waiting;

/// What is known of the cluster when a run begins.
#[derive(Clone)]
pub struct Setup {
    pub cluster: ClusterName,
    /// The control plane where the cluster is being formed; absent where it lives.
    pub forming: Option<NodeName>,
    /// Control planes by which the API may be reached, the likeliest to answer first. Of a cluster that lives, only
    /// those that have joined.
    pub routes: Vec<Route>,
    /// Every node that the run may work on.
    pub fleet: Fleet,
    /// The addresses by which nodes know each other.
    pub addresses: BTreeMap<NodeName, Vec<IpAddr>>,
    /// What an observation brought along; fetched when it is first needed where it is absent.
    pub admin_conf: Option<Secret<String>>,
    /// The identity as the API or the nodes have it.
    pub identity: Option<ClusterIdentity>,
    /// The operator's file with the key of the S3 account that backups are sent to.
    pub s3_key: Option<PathBuf>,
}

/// The verbs of one run, shared by all of its chains. Nothing is opened or made before it is needed.
pub struct Actions {
    setup: Setup,
    session: Session,
    genesis: OnceCell<Genesis>,
    /// The file of keys that joining control planes get, and the files of a change of keys.
    keys: OnceCell<Secret<String>>,
    key_steps: OnceCell<Vec<LateContent>>,
    /// The authorities that shall take the place of the present ones.
    next: OnceCell<Vec<SharedFile>>,
    token: Mutex<Option<Fresh>>,
    /// Whether the leader holds the authorities and the identity on disk.
    founded: watch::Sender<bool>,
    /// Whether the API may be asked.
    api: watch::Sender<bool>,
}

/// The run's token, and until when the API takes it for good.
struct Fresh {
    token: Token,
    stored: Option<Instant>,
}

impl Actions {
    /// The verbs of a run.
    ///
    /// # Errors
    /// [`KubeError::AdminConf`] where the given text cannot be used.
    pub fn new(connector: Arc<dyn Connector>, setup: Setup) -> Result<Self, KubeError> {
        let conf = setup.admin_conf.as_ref().map(AdminConf::parse).transpose()?;
        let lives = setup.forming.is_none();
        Ok(Self {
            session: Session::new(Link::new(connector, setup.routes.clone()), conf),
            setup,
            genesis: OnceCell::new(),
            keys: OnceCell::new(),
            key_steps: OnceCell::new(),
            next: OnceCell::new(),
            token: Mutex::new(None),
            founded: watch::Sender::new(lives),
            api: watch::Sender::new(lives),
        })
    }

    /// Says that the leader holds the authorities and the identity on disk: from now on other nodes may get them. A run
    /// that died before has given nothing away that the next run would not find again.
    pub fn founded(&self) {
        self.founded.send_replace(true);
    }

    /// Says that init is done on this control plane, whose API server is asked from now on.
    ///
    /// # Errors
    /// Where it has no credentials for administrators, or does not answer.
    pub async fn api_ready(&self, node: &NodeName) -> Result<(), ActionError> {
        self.session.turn_to(node).await;
        let what = format!("ask the API of {node}");
        let answer = self.session.call(|client| async move {
            client.apiserver_version().await.map_err(|error| KubeError::new("read the version", error))
        });
        answer.await.map_err(ActionError::of(what))?;
        self.founded();
        self.api.send_replace(true);
        Ok(())
    }

    /// Lets pods on these nodes ask DNS and connect to each other, once, and removes them.
    pub async fn probe(&self, nodes: &[NodeName], image: &str, limit: Duration) -> Condition {
        probe::probe(&self.session, nodes, image, Instant::now() + limit).await
    }

    /// Performs a call of the API, within a time limit, and gives remarks for a person; what is worth saying meanwhile, `tell`
    /// gets. A call may be repeated: it says what shall be.
    ///
    /// # Errors
    /// What the API or the nodes said, or what is still not as it shall be at the limit's end.
    pub async fn cluster(&self, op: &ClusterOp, limit: Duration, tell: Tell<'_>) -> Result<Vec<String>, ActionError> {
        let until = Instant::now() + limit;
        let waiting = Waiting::begins(tell);
        match op {
            ClusterOp::Apply { set, yaml } => apply::apply(&self.session, set, yaml).await,
            ClusterOp::WriteIdentity => identity::write(&self.session, &self.identity().await?).await,
            ClusterOp::PatchNode { node, labels, taints } => {
                labels::patch(&self.session, node, labels, taints.as_deref()).await
            }
            ClusterOp::Cordon { node } => cordon::cordon(&self.session, node).await,
            ClusterOp::Drain { node, on_blocked, delete_local_data } => {
                drain::drain(&self.session, node, *on_blocked, *delete_local_data, until, waiting).await
            }
            ClusterOp::Uncordon { node } => cordon::uncordon(&self.session, node).await,
            ClusterOp::MoveEtcdLeader { from } => etcd::move_leader(&self.session, from, until).await,
            ClusterOp::RemoveEtcdMember { node, peer } => etcd::remove_member(&self.session, node, peer, until).await,
            ClusterOp::DeleteNode { node, machine_id } => {
                leave::delete_node(&self.session, node, machine_id.as_deref()).await
            }
            ClusterOp::SpreadCoredns => coredns::spread(&self.session, until).await,
            ClusterOp::DeleteTokens => self.delete_tokens().await,
            ClusterOp::RewriteSecrets => secrets::rewrite(&self.session, until).await,
            ClusterOp::Prove { nodes, control_planes, members, probe } => {
                let expected = Expected { nodes, control_planes, members: *members };
                prove::prove(&self.session, expected, probe.as_deref(), until, waiting).await
            }
            ClusterOp::Divert { server, nodes } => divert::divert(&self.setup.fleet, Some(server), nodes).await,
            ClusterOp::Return { nodes } => divert::divert(&self.setup.fleet, None, nodes).await,
            ClusterOp::Trust { kubernetes, front_proxy, record } => {
                rotation::trust(&self.session, kubernetes, front_proxy, record.as_deref(), until).await
            }
            ClusterOp::RestartWorkloads { workloads, authority } => {
                rotation::restart(&self.session, workloads, authority, until).await
            }
            ClusterOp::AdoptIdentity(identity) => identity::write(&self.session, identity).await,
            ClusterOp::ForgetRotation => rotation::forget(&self.session).await,
            ClusterOp::Settle(wanted) => settle::settle(&self.session, &self.setup.fleet, wanted, until, waiting).await,
        }
    }
}

/// The operating system's randomness, which nothing here can go on without.
fn os_rng() -> UnwrapErr<OsRng> {
    UnwrapErr(OsRng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::op::Late;

    /// Chains run as tasks of their own, so what they wait for must be able to change threads.
    #[expect(dead_code)]
    fn futures_may_change_threads(actions: &Actions, node: &NodeName, op: &ClusterOp) {
        fn send<T: Send>(_: T) {}
        send(actions.late(Late::SharedPki, node));
        send(actions.cluster(op, Duration::ZERO, &|_| {}));
        send(actions.api_ready(node));
    }
}
