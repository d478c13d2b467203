//! Looking at everything once: every node by one script, then the API; and the plan that follows from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;

use super::reach;
use crate::{
    gather::{self, Ask, Gathered, Looked},
    kind,
    kube::{self, AdminConf, KubeError, Link, Route, Sight},
    model::{
        cluster::ClusterSpec,
        etcd::EtcdLayout,
        live::Cluster,
        name::NodeName,
        node::NodeSpec,
        observe::{Observation, Read},
        plan::Plan,
        rolling::{RollTerms, Rolling},
        secret::Secret,
        ssh::SshTarget,
        step::Step,
    },
    plan,
    playbook::Playbook,
    transport::{Connector, Effect},
};

/// What is wanted and how its machines are reached; the same for every look of one command.
pub struct Desired {
    pub spec: ClusterSpec,
    pub connector: Arc<dyn Connector>,
    pub targets: BTreeMap<NodeName, SshTarget>,
    pub steps: BTreeMap<NodeName, Vec<Step>>,
    pub cluster_steps: Vec<Step>,
    /// The nodes that are looked at and planned for, all control planes among them; all nodes where absent.
    pub scope: Option<BTreeSet<NodeName>>,
    /// The node that is about to go: the API is asked of it last.
    pub leaving: Option<NodeName>,
    /// Whether what can only be had node by node is planned so.
    pub rolls: bool,
}

/// What one look brought.
pub struct Survey {
    /// What is wanted, with etcd's layout and witness as the cluster has them.
    pub spec: ClusterSpec,
    pub observations: BTreeMap<NodeName, Observation>,
    pub cluster: Cluster,
    pub plan: Plan,
    /// Connections that were kept open.
    pub connections: BTreeMap<NodeName, Arc<dyn Effect>>,
    /// Credentials of an administrator, where a control plane had them.
    pub admin_conf: Option<Secret<String>>,
}

/// How long the API is asked again.
const PATIENCE: Duration = Duration::from_secs(30);

/// With more nodes than this no connection is kept: each costs memory here and a process there.
const KEEP: usize = 100;

impl Desired {
    pub fn new(spec: ClusterSpec, playbook: &Playbook, accept_new: bool, sudo: Option<&Secret<String>>) -> Self {
        let steps = spec.nodes.iter().map(|node| (node.name.clone(), plan::expand::node_steps(playbook, &spec, node)));
        let steps = steps.collect();
        let cluster_steps = plan::expand::cluster_steps(playbook, &spec);
        let targets =
            spec.nodes.iter().map(|node| (node.name.clone(), reach::target(node, accept_new, sudo))).collect();
        Self {
            connector: reach::connector(),
            targets,
            steps,
            cluster_steps,
            scope: None,
            leaving: None,
            rolls: false,
            spec,
        }
    }

    /// Looks at every node and at the cluster, over the connections that are open and new ones for the rest.
    pub async fn survey(&self, open: BTreeMap<NodeName, Arc<dyn Effect>>, keep: bool) -> Survey {
        let keep = keep && self.nodes().count() <= KEEP;
        let gathered = self.gather(self.nodes(), open, keep).await;
        let mut observations = BTreeMap::new();
        let mut connections = BTreeMap::new();
        let mut admin_conf: Option<(NodeName, bool, Secret<String>)> = None;
        for (name, Gathered { observation, secrets, connection }) in gathered {
            if let Some(connection) = connection {
                connections.insert(name.clone(), connection);
            }
            if let (Some(secret), Observation::Seen(seen)) = (secrets.admin_conf, &observation) {
                // One whose API server is ready goes before one that merely has the file.
                let ready = seen.facts.kubernetes.readyz == Some(200);
                if admin_conf.as_ref().is_none_or(|(_, known, _)| ready && !known) {
                    admin_conf = Some((name.clone(), ready, secret));
                }
            }
            observations.insert(name, observation);
        }
        let api = Arc::new(self.link());
        if let Some((node, ..)) = &admin_conf {
            api.adopt(node, connections.get(node).cloned()).await;
        }
        let admin_conf = admin_conf.map(|(_, _, secret)| secret);
        let objects = kind::wanted_objects(&self.spec);
        let answer = kube::ask(Arc::clone(&api), admin_conf.as_ref(), &objects).await;
        let cluster = kube::classify(&self.sights(&observations), answer);
        let mut spec = plan::layout::settled(&self.spec, &cluster, &observations);
        // A witness is looked at even where it is not in scope: members of etcd come and go with control planes.
        let there = plan::layout::present(&self.spec, &observations);
        let more: Vec<&NodeSpec> = [spec.witness.clone(), there]
            .into_iter()
            .flatten()
            .filter(|name| spec.etcd == EtcdLayout::Service && !observations.contains_key(name))
            .filter_map(|name| self.spec.node(&name))
            .collect();
        if !more.is_empty() {
            for (name, node) in self.gather(more.into_iter(), BTreeMap::new(), keep).await {
                connections.extend(node.connection.map(|connection| (name.clone(), connection)));
                observations.insert(name, node.observation);
            }
            spec = plan::layout::settled(&self.spec, &cluster, &observations);
        }
        let mut survey = Survey { spec, observations, cluster, plan: Plan::default(), connections, admin_conf };
        survey.plan = match self.roll(&survey).await {
            Some(roll) => roll,
            None => plan::build(&self.input(&survey)),
        };
        survey
    }

    /// What a plan is made from.
    pub fn input<'a>(&'a self, survey: &'a Survey) -> plan::Input<'a> {
        plan::Input {
            spec: &survey.spec,
            steps: &self.steps,
            cluster_steps: &self.cluster_steps,
            observations: &survey.observations,
            cluster: &survey.cluster,
        }
    }

    /// The nodes in scope, in the inventory's order.
    fn nodes(&self) -> impl Iterator<Item = &NodeSpec> {
        self.spec.nodes.iter().filter(|node| self.scope.as_ref().is_none_or(|scope| scope.contains(&node.name)))
    }

    /// The plan of a roll, where one is due.
    async fn roll(&self, survey: &Survey) -> Option<Plan> {
        let base = self.input(survey);
        if !self.rolls || !plan::upgrade::is_due(&base) {
            return None;
        }
        let rolling =
            self.rolling(survey).await.inspect_err(|error| tracing::warn!("no roll is planned: {error}")).ok()?;
        plan::upgrade::build(&plan::upgrade::Input { base, rolling: &rolling, terms: RollTerms::default() })
    }

    /// What a roll needs to know of the cluster besides.
    ///
    /// # Errors
    /// Any answer that does not come.
    pub async fn rolling(&self, survey: &Survey) -> Result<Rolling, KubeError> {
        let Some(conf) = &survey.admin_conf else { return Err(KubeError::Unreachable { tried: Vec::new() }) };
        ask_patiently(Arc::new(self.link()), conf, async |client| kube::rolling(&client).await).await
    }

    async fn gather<'a>(
        &self,
        nodes: impl Iterator<Item = &'a NodeSpec>,
        mut open: BTreeMap<NodeName, Arc<dyn Effect>>,
        keep: bool,
    ) -> BTreeMap<NodeName, Gathered> {
        let mut looks = Vec::new();
        let mut targets = Vec::new();
        for node in nodes {
            let own = self.steps[&node.name].iter().flat_map(kind::reads);
            let reads: BTreeSet<Read> = own.chain(kind::upgrade::reads()).collect();
            let ask = Ask::new(&reads);
            let ask = if node.is_control_plane() { ask.with_admin_conf() } else { ask };
            match open.remove(&node.name) {
                Some(connection) => looks.push(async move {
                    let Looked { observation, secrets } = gather::look(connection.as_ref(), &ask).await;
                    (node.name.clone(), Gathered { observation, secrets, connection: Some(connection) })
                }),
                // The API is asked over a control plane's own connection: no second handshake.
                None => targets.push(gather::Target {
                    name: node.name.clone(),
                    ssh: self.targets[&node.name].clone(),
                    ask,
                    keep: keep || node.is_control_plane(),
                }),
            }
        }
        let (looked, mut gathered) =
            tokio::join!(join_all(looks), gather::observe(Arc::clone(&self.connector), targets, |_, _| {}));
        gathered.extend(looked);
        gathered
    }

    /// A way to the API by any control plane.
    pub fn link(&self) -> Link {
        let routes = self
            .spec
            .control_planes()
            .map(|node| Route { node: node.name.clone(), target: self.targets[&node.name].clone() });
        Link::new(Arc::clone(&self.connector), routes.collect())
    }

    fn sights<'a>(&self, observations: &'a BTreeMap<NodeName, Observation>) -> Vec<Sight<'a>> {
        observations
            .iter()
            .map(|(node, observation)| Sight {
                node,
                control_plane: self.spec.node(node).is_some_and(|node| node.is_control_plane()),
                seen: match observation {
                    Observation::Seen(seen) => Ok(&seen.facts.kubernetes),
                    Observation::Unknown { error, .. } => Err(error),
                },
            })
            .collect()
    }
}

/// Asks the API by these credentials, again (by the next control plane) where it failed in a way that may pass: the API
/// server that is asked first may be one that a run which died was about to restart.
///
/// # Errors
/// The last one, after half a minute; at once where it is no use to ask again.
pub async fn ask_patiently<T>(
    link: Arc<Link>,
    conf: &Secret<String>,
    question: impl AsyncFn(::kube::Client) -> Result<T, KubeError>,
) -> Result<T, KubeError> {
    let conf = AdminConf::parse(conf)?;
    let end = Instant::now() + PATIENCE;
    loop {
        match question(kube::client(Arc::clone(&link), &conf)?).await {
            Err(error) if error.is_transient() && Instant::now() < end => {
                tracing::debug!(%error, "asking again");
                link.move_on();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            answer => return answer,
        }
    }
}
