//! `kbootstrap node add`: new machines into a cluster that lives, and into its inventory.

use std::{cell::RefCell, collections::BTreeSet};

use clap::Args;

use super::super::{Failure, Machines, Output, change::Changing, execute::Connections, open, survey::Survey};
use crate::{
    error::{Error, ExitStatus},
    inventory::{Draft, NewNode},
    model::{
        cluster::{ClusterSpec, EndpointKind, Role},
        label::LabelValue,
        live::Cluster,
        name::{Host, NodeName},
        observe::Observation,
        plan::Notice,
    },
};

/// Join new machines, and write them into the inventory
///
/// Only the new machines are worked on, and those whose configuration must change: for a new control plane, the local
/// proxies of all. The inventory keeps its comments and its order. To write it yourself and run `kbootstrap up` does the
/// same.
#[derive(Debug, Args)]
pub struct Add {
    #[command(flatten)]
    machines: Machines,

    /// Name of the new node; may be given again, each with an --address
    #[arg(long, value_name = "NAME", required = true)]
    name: Vec<NodeName>,

    /// Where SSH reaches it: an address or a host name
    #[arg(long, value_name = "ADDRESS", required = true)]
    address: Vec<Host>,

    /// What it is for
    #[arg(long, value_name = "ROLE", default_value = "worker", value_parser = role)]
    role: Role,

    /// Its failure zone
    #[arg(long, value_name = "ZONE")]
    zone: Option<LabelValue>,

    #[command(flatten)]
    changing: Changing,
}

fn role(text: &str) -> Result<Role, String> {
    match text {
        "worker" => Ok(Role::Worker),
        "control-plane" => Ok(Role::ControlPlane),
        _ => Err("a role is worker or control-plane".to_owned()),
    }
}

impl Add {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let home = std::env::home_dir();
        let mut draft = Draft::open(&self.machines.inventory)?;
        let before = draft.spec(home.as_deref())?;
        let new = self.new_nodes(&before)?;
        for node in &new {
            draft.add(node)?;
        }
        let spec = draft.spec(home.as_deref())?;
        let mut desired = open::means(&spec, &self.machines)?.desired(spec);
        desired.scope = self.scope(&desired.spec);
        let change = self.changing.change("node add", &self.machines, &desired, output);
        let draft = RefCell::new(draft);
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let mut survey = desired.survey(open, keep).await;
            if matches!(survey.cluster, Cluster::Absent | Cluster::HalfFormed { .. }) {
                return Err(Error::new("add a node")
                    .cause("there is no cluster yet to add it to")
                    .hint("write it into the inventory; `kbootstrap up` forms the cluster with it")
                    .into());
            }
            for node in &new {
                if let Some(Observation::Unknown { error, .. }) = survey.observations.get(&node.name) {
                    return Err(Error::new(format!("add node {}", node.name))
                        .cause(format!("nothing is known of its machine: {error}"))
                        .hint("nothing was changed, nor written into the inventory")
                        .into());
                }
            }
            survey.plan.notices.extend(new.iter().map(|node| Notice {
                node: Some(node.name.clone()),
                text: format!("is written into {}", self.machines.inventory.display()),
                hint: None,
            }));
            Ok(survey)
        };
        // Written before anything is done: whatever becomes of this run, `up` goes on from there.
        change.run(look, async |_| Ok(draft.borrow_mut().save()?), || Ok(())).await
    }

    /// The nodes that the inventory lacks. One that is there as it was asked for is a run's that ended, and goes on.
    fn new_nodes(&self, spec: &ClusterSpec) -> Result<Vec<NewNode>, Error> {
        let failed = |name: &NodeName| Error::new(format!("add node {name}")).exit(ExitStatus::Usage);
        if self.name.len() != self.address.len() {
            return Err(Error::new("add nodes")
                .cause(format!("{} names and {} addresses were given", self.name.len(), self.address.len()))
                .hint("give each --name its --address")
                .exit(ExitStatus::Usage));
        }
        let mut new = Vec::new();
        for (name, address) in self.name.iter().zip(&self.address) {
            let file = self.machines.inventory.display();
            match spec.node(name) {
                None => new.push(NewNode {
                    name: name.clone(),
                    address: address.clone(),
                    role: self.role,
                    zone: self.zone.clone(),
                }),
                Some(there) if there.role != self.role => {
                    return Err(failed(name).cause(format!("{file} has it as a {}", there.role)).hint(format!(
                        "a node does not change its role: `kbootstrap node remove` it first, then add it as a {}",
                        self.role
                    )));
                }
                Some(there) if there.address != *address => {
                    return Err(failed(name)
                        .cause(format!("{file} has a node of this name, at {}", there.address))
                        .hint("give the new one another name, or see `kbootstrap node replace`"));
                }
                Some(_) => {}
            }
        }
        Ok(new)
    }

    /// The new nodes and the control planes, and all nodes where the proxies of all must know of a new control plane.
    fn scope(&self, spec: &ClusterSpec) -> Option<BTreeSet<NodeName>> {
        if self.role == Role::ControlPlane && spec.endpoint.kind == EndpointKind::LocalProxy {
            return None;
        }
        let control_planes = spec.control_planes().map(|node| node.name.clone());
        Some(control_planes.chain(self.name.iter().cloned()).collect())
    }
}
