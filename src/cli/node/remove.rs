//! `kbootstrap node remove`: a node out of a cluster that lives, and out of its inventory.

use std::{cell::RefCell, sync::Arc};

use clap::Args;

use super::super::{
    Failure, Machines, Output,
    change::Changing,
    drain::DrainOptions,
    execute::Connections,
    open,
    survey::{Desired, Survey, ask_patiently},
};
use crate::{
    diag::did_you_mean,
    error::{Error, ExitStatus},
    inventory::Draft,
    kube::{self, KubeError},
    model::{
        cluster::{ClusterSpec, EndpointKind, NodeSpec, Role},
        drain::NodePod,
        etcd::EtcdLayout,
        live::{Cluster, Live},
        name::NodeName,
    },
    plan::{
        self, layout,
        remove::{self, Leaving, Terms},
    },
};

/// Take a node out of the cluster, and out of the inventory
///
/// Its pods are evicted, as their budgets allow; a control plane leaves etcd before it ends; then the machine is cleaned
/// of the cluster, packages excepted. What would cost etcd its quorum is refused. The same command again goes on where
/// one was interrupted.
#[derive(Debug, Args)]
pub struct Remove {
    #[command(flatten)]
    machines: Machines,

    /// The node
    #[arg(value_name = "NAME")]
    name: NodeName,

    #[command(flatten)]
    terms: Options,

    /// The machine is powered off for good: this is your word on it, and the cluster must agree
    ///
    /// Nothing is done on the machine. If it came back, volumes would have two writers; its kubelet's certificate, and on a
    /// control plane the keys of the cluster's authorities, are still good.
    #[arg(long, conflicts_with = "purge")]
    dead: bool,

    #[command(flatten)]
    changing: Changing,
}

/// How far a removal goes.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(flatten)]
    drain: DrainOptions,

    /// Also remove the packages of Kubernetes and of the local proxy
    #[arg(long)]
    purge: bool,
}

impl Options {
    /// As the plan has them.
    pub fn terms(&self, dead: bool) -> Terms {
        Terms { drain: self.drain.policy(), purge: self.purge, dead, replaced: false }
    }
}

impl Remove {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let home = std::env::home_dir();
        let mut draft = Draft::open(&self.machines.inventory)?;
        let spec = draft.spec(home.as_deref())?;
        let known = spec.node(&self.name).is_some();
        let means = open::means(&spec, &self.machines)?;
        let node = match spec.node(&self.name) {
            Some(node) => node.clone(),
            None => stranger(means.desired(spec.clone()), &self.name, &self.machines).await?,
        };
        draft.remove(&self.name)?;
        let removal = Removal::new(spec, node, self.terms.terms(self.dead), &means)?;
        if known {
            // Whatever else the file says must still stand without the node.
            draft.spec(home.as_deref())?;
        }
        let change = self.changing.change("node remove", &self.machines, &removal.desired, output);
        let draft = RefCell::new(draft);
        let look = async |open: Connections, keep: bool| removal.look(open, keep).await;
        change.run(look, async |_| Ok(()), || Ok(draft.borrow_mut().save()?)).await
    }
}

/// A removal as it is looked at.
pub struct Removal {
    /// How everything is reached and looked at: the cluster with the node.
    pub desired: Desired,
    /// The cluster without it.
    after: ClusterSpec,
    node: NodeSpec,
    terms: Terms,
}

impl Removal {
    /// What a removal of `node` needs.
    ///
    /// # Errors
    /// It is the last control plane, and with it the cluster.
    pub fn new(mut spec: ClusterSpec, node: NodeSpec, terms: Terms, means: &open::Means) -> Result<Self, Error> {
        let mut after = spec.clone();
        after.nodes.retain(|other| other.name != node.name);
        if after.control_planes().next().is_none() {
            return Err(Error::new(format!("remove node {}", node.name))
                .cause("it is the last one of the control planes, and with it goes the cluster")
                .hint("`kbootstrap node add --role control-plane` makes it one of several; `kbootstrap reset` ends the cluster"));
        }
        if spec.node(&node.name).is_none() {
            spec.nodes.push(node.clone());
        }
        let mut desired = means.desired(spec);
        for (name, steps) in means.desired(after.clone()).steps {
            desired.steps.insert(name, remove::staying_steps(steps));
        }
        desired.steps.insert(node.name.clone(), remove::leaving_steps(&after, terms.purge));
        desired.cluster_steps.retain(remove::is_proof);
        // Another worker may have to hold the witness of etcd in its place, or does already.
        let even = after.control_planes().count().is_multiple_of(2);
        if !even && (node.role == Role::Worker || after.endpoint.kind == EndpointKind::External) {
            let control_planes = after.control_planes().map(|node| node.name.clone());
            desired.scope = Some(control_planes.chain([node.name.clone()]).collect());
        }
        desired.leaving = Some(node.name.clone());
        Ok(Self { desired, after, node, terms })
    }

    /// Looks, and plans the removal.
    pub async fn look(&self, open: Connections, keep: bool) -> Result<Survey, Failure> {
        let mut survey = self.desired.survey(open, keep).await;
        let pods = self
            .pods(&survey)
            .await
            .map_err(|why| Error::new(format!("look at the pods of {}", self.node.name)).cause(why))?;
        let mut after = layout::settled(&self.after, &survey.cluster, &survey.observations);
        // Where another machine takes its place the number of control planes is odd for a moment only.
        if self.terms.replaced && survey.spec.etcd == EtcdLayout::Service && after.witness.is_none() {
            after.witness = layout::present(&after, &survey.observations);
        }
        let input = plan::Input { spec: &after, ..self.desired.input(&survey) };
        let leaving = Leaving { input: &input, node: &self.node, pods: pods.as_deref(), terms: &self.terms };
        survey.plan = remove::remove(&leaving);
        Ok(survey)
    }

    /// The pods on the node, where the API has such a node.
    async fn pods(&self, survey: &Survey) -> Result<Option<Vec<NodePod>>, KubeError> {
        let (Cluster::Live(live), Some(conf)) = (&survey.cluster, &survey.admin_conf) else { return Ok(None) };
        if !live.nodes.contains_key(&self.node.name) || self.terms.dead {
            return Ok(None);
        }
        let link = Arc::new(self.desired.link());
        for (name, connection) in &survey.connections {
            if *name != self.node.name && self.after.node(name).is_some_and(NodeSpec::is_control_plane) {
                link.adopt(name, Some(Arc::clone(connection))).await;
                break;
            }
        }
        ask_patiently(link, conf, async |client| kube::node_pods(&client, &self.node.name).await).await.map(Some)
    }
}

/// A node of the cluster that the inventory lacks, as the cluster knows it.
async fn stranger(mut desired: Desired, name: &NodeName, machines: &Machines) -> Result<NodeSpec, Failure> {
    desired.scope = Some(desired.spec.control_planes().map(|node| node.name.clone()).collect());
    let survey = desired.survey(Connections::new(), false).await;
    let failed = || Error::new(format!("remove node {name}")).exit(ExitStatus::Usage);
    let file = machines.inventory.display();
    let live = match &survey.cluster {
        Cluster::Live(live) => live,
        _ => return Err(failed().cause(format!("{file} has no such node, and the cluster cannot be asked")).into()),
    };
    if let Some(node) = of_live(live, name, &desired.spec) {
        return Ok(node);
    }
    let names = || desired.spec.nodes.iter().map(|node| node.name.as_str());
    let hint = match did_you_mean(name.as_str(), names()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("its nodes are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(failed().cause(format!("neither {file} nor the cluster has such a node")).hint(hint).into())
}

/// How SSH reaches it is taken from the first control plane: the inventory says nothing of it any more.
fn of_live(live: &Live, name: &NodeName, spec: &ClusterSpec) -> Option<NodeSpec> {
    let node = live.nodes.get(name)?;
    let address = node.internal_ips.first()?.parse().ok()?;
    let role = if node.is_control_plane() { Role::ControlPlane } else { Role::Worker };
    let ssh = spec.control_planes().next()?.ssh.clone();
    Some(NodeSpec { ssh, ..NodeSpec::new(name.clone(), address, role) })
}
