//! Reaching a cluster that should live, through its control planes: what `status` and `kubeconfig` begin with.

use std::{collections::BTreeMap, sync::Arc};

use super::{Failure, Machines, open, reach};
use crate::{
    error::Error,
    facts::backups,
    gather::{self, Ask, Gathered},
    kube::{Link, Route, Sight},
    model::{
        backup::Kept,
        cluster::ClusterSpec,
        facts::Facts,
        name::NodeName,
        node::NodeSpec,
        observe::{Observation, Read},
        secret::Secret,
        ssh::SshTarget,
    },
    plan::layout,
    transport::Connector,
};

/// The control planes of an inventory, each looked at once, and etcd's witness. Other workers are not asked: the API speaks
/// for them.
pub struct ControlPlanes {
    pub spec: ClusterSpec,
    pub connector: Arc<dyn Connector>,
    pub observations: BTreeMap<NodeName, Observation>,
    /// Leads to the API, by a connection that is open already where there is one.
    pub link: Arc<Link>,
    pub routes: Vec<Route>,
    /// Credentials of an administrator, where any control plane has them.
    pub admin_conf: Option<Secret<String>>,
}

impl ControlPlanes {
    /// Looks at every control plane of the inventory at once.
    pub async fn look(machines: &Machines) -> Result<Self, Failure> {
        Self::look_for(machines, |_| Vec::new()).await
    }

    /// As [`look`](Self::look), and at what else the cluster that is wanted makes worth knowing.
    pub async fn look_for(machines: &Machines, reads: impl FnOnce(&ClusterSpec) -> Vec<Read>) -> Result<Self, Failure> {
        let spec = open::spec(machines)?;
        let ask = Ask::new(&reads(&spec)).with_admin_conf();
        let password = open::sudo_password(&spec)?;
        let connector = reach::connector();
        let target =
            |node: &NodeSpec| -> SshTarget { reach::target(node, machines.accept_new_host_keys, password.as_ref()) };
        let targets = spec.control_planes().map(|node| gather::Target {
            name: node.name.clone(),
            ssh: target(node),
            ask: ask.clone(),
            keep: true,
        });
        let mut gathered = gather::observe(Arc::clone(&connector), targets.collect(), |_, _| {}).await;
        // One that did not answer now would not answer the API's client either, and cost a time-out. The likeliest to
        // serve come first; the inventory's order otherwise.
        let mut routes: Vec<Route> = spec
            .control_planes()
            .filter(|node| gathered.get(&node.name).is_some_and(answered))
            .map(|node| Route { node: node.name.clone(), target: target(node) })
            .collect();
        routes.sort_by_key(|route| !gathered.get(&route.node).is_some_and(serves));
        let link = Link::new(Arc::clone(&connector), routes.clone());
        let mut admin_conf = None;
        for route in &routes {
            let Some(node) = gathered.get_mut(&route.node) else { continue };
            if admin_conf.is_none() && node.secrets.admin_conf.is_some() {
                admin_conf = node.secrets.admin_conf.take();
                link.adopt(&route.node, node.connection.take()).await;
            }
        }
        let mut observations: BTreeMap<NodeName, Observation> =
            gathered.into_iter().map(|(name, node)| (name, node.observation)).collect();
        // The one worker whose word on etcd counts.
        if let Some(witness) = layout::present(&spec, &observations).and_then(|name| spec.node(&name)) {
            let ask = Ask::facts();
            let asked = gather::Target { name: witness.name.clone(), ssh: target(witness), ask, keep: false };
            let seen = gather::observe(Arc::clone(&connector), vec![asked], |_, _| {}).await;
            observations.extend(seen.into_iter().map(|(name, node)| (name, node.observation)));
        }
        Ok(Self { spec, connector, observations, link: Arc::new(link), routes, admin_conf })
    }

    /// What was seen, as a verdict on the cluster needs it.
    pub fn sights(&self) -> Vec<Sight<'_>> {
        let mut sights = Vec::new();
        for (node, observation) in &self.observations {
            let seen = match observation {
                Observation::Seen(seen) => Ok(&seen.facts.kubernetes),
                Observation::Unknown { error, .. } => Err(error.as_str()),
            };
            let control_plane = self.spec.node(node).is_some_and(NodeSpec::is_control_plane);
            sights.push(Sight { node, control_plane, seen });
        }
        sights
    }

    /// What the control planes that were asked for it say of the backups that they take by themselves.
    ///
    /// # Errors
    /// One that answered could not tell.
    pub fn kept(&self) -> Result<BTreeMap<NodeName, Kept>, Error> {
        let seen = self.observations.iter().filter_map(|(name, observation)| match observation {
            // The witness of etcd is no control plane.
            Observation::Seen(seen) if self.spec.node(name)?.is_control_plane() => Some((name, seen)),
            Observation::Seen(_) | Observation::Unknown { .. } => None,
        });
        seen.map(|(name, seen)| {
            let kept = backups::of(seen).map_err(|why| Error::new("look at backups").node(name).cause(why))?;
            Ok((name.clone(), kept))
        })
        .collect()
    }

    /// The facts of a node that was asked and answered.
    pub fn facts(&self, node: &NodeName) -> Option<&Facts> {
        match self.observations.get(node)? {
            Observation::Seen(seen) => Some(&seen.facts),
            Observation::Unknown { .. } => None,
        }
    }
}

fn answered(node: &Gathered) -> bool {
    matches!(node.observation, Observation::Seen(_))
}

/// Whether a control plane's own API server says that it is ready.
fn serves(node: &Gathered) -> bool {
    matches!(&node.observation, Observation::Seen(seen) if seen.facts.kubernetes.readyz == Some(200))
}
