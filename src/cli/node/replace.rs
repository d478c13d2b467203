//! `kbootstrap node replace`: another machine, or the same one made anew, in the place of a node.

use std::{cell::RefCell, collections::BTreeSet};

use clap::Args;

use super::{
    super::{
        Failure, Machines, Output,
        change::{Change, Changing},
        execute::Connections,
        open,
    },
    remove::{Options, Removal},
};
use crate::{
    error::{Error, ExitStatus},
    inventory::Draft,
    model::{
        cluster::{ClusterSpec, EndpointKind},
        name::{Host, NodeName},
        node::NodeSpec,
    },
};

/// Take a node out of the cluster and join a machine in its place
///
/// First the old one leaves, as by `node remove`, in the order that etcd needs; then the machine at its address, or at
/// --address, joins under the same name. With neither --dead nor --address the same machine is made anew.
#[derive(Debug, Args)]
#[command(mut_arg("plan", |plan| plan.help("Show the plan of the removal, and change nothing")))]
pub struct Replace {
    #[command(flatten)]
    machines: Machines,

    /// The node
    #[arg(value_name = "NAME")]
    name: NodeName,

    /// Where the new machine is reached; the old one's address where absent
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Host>,

    #[command(flatten)]
    terms: Options,

    /// The old machine is powered off for good: this is your word on it, and the cluster must agree
    #[arg(long, conflicts_with = "purge")]
    dead: bool,

    #[command(flatten)]
    changing: Changing,
}

impl Replace {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let home = std::env::home_dir();
        let mut draft = Draft::open(&self.machines.inventory)?;
        let spec = draft.spec(home.as_deref())?;
        let Some(node) = spec.node(&self.name).cloned() else {
            let cause = format!("{} has no such node", self.machines.inventory.display());
            return Err(Error::new(format!("replace node {}", self.name))
                .cause(cause)
                .hint("`kbootstrap node add` joins a machine that is new")
                .exit(ExitStatus::Usage)
                .into());
        };
        let means = open::means(&spec, &self.machines)?;
        let ended = self.remove(spec, node, &means, output).await?;
        if self.changing.plan || ended != ExitStatus::Done {
            return Ok(ended);
        }
        output.say(&format!("{} has left; its successor joins.", self.name));
        if let Some(address) = &self.address {
            draft.readdress(&self.name, address)?;
        }
        let mut desired = means.desired(draft.spec(home.as_deref())?);
        desired.scope = scope(&desired.spec, &self.name);
        let change = self.change(&desired, output);
        let draft = RefCell::new(draft);
        let look = async |open: Connections, keep: bool| Ok(desired.survey(open, keep).await);
        change.run(look, async |_| Ok(draft.borrow_mut().save()?), || Ok(())).await
    }

    /// The old one leaves.
    async fn remove(
        &self,
        spec: ClusterSpec,
        node: NodeSpec,
        means: &open::Means,
        output: &Output,
    ) -> Result<ExitStatus, Failure> {
        let mut terms = self.terms.terms(self.dead);
        terms.replaced = true;
        let removal = Removal::new(spec, node, terms, means)?;
        let change = self.change(&removal.desired, output);
        let look = async |open: Connections, keep: bool| removal.look(open, keep).await;
        change.run(look, async |_| Ok(()), || Ok(())).await
    }

    fn change<'a>(&'a self, desired: &'a super::super::survey::Desired, output: &'a Output) -> Change<'a> {
        self.changing.change("node replace", &self.machines, desired, output)
    }
}

/// The new machine and the control planes, and all nodes where the proxies of all must know of a new control plane.
pub fn scope(spec: &ClusterSpec, name: &NodeName) -> Option<BTreeSet<NodeName>> {
    if spec.node(name).is_some_and(NodeSpec::is_control_plane) && spec.endpoint.kind == EndpointKind::LocalProxy {
        return None;
    }
    Some(spec.control_planes().map(|node| node.name.clone()).chain([name.clone()]).collect())
}
