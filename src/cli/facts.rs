//! `kbootstrap facts`: what the nodes tell of themselves.

mod table;

use std::path::PathBuf;

use super::{Failure, Format, Output, open, reach};
use crate::{
    diag::did_you_mean,
    error::{Error, ExitStatus},
    gather::{self, Ask, Target},
    inventory,
    model::{cluster::ClusterSpec, node::NodeSpec, observe::Observation},
    ui::json::facts::Document,
};

/// Look at the nodes and show what they tell of themselves; nothing is changed
///
/// Each node is asked once: operating system, identity, clock, hardware, disks, links, ports, traces of Kubernetes, and
/// work of this program that goes on there. The exit status is 4 where a node could not be asked.
#[derive(Debug, clap::Args)]
pub struct Facts {
    /// The inventory, a TOML file
    #[arg(value_name = "INVENTORY")]
    inventory: PathBuf,

    /// Only this node; may be given again
    #[arg(long, value_name = "NAME")]
    node: Vec<String>,

    /// Record and accept the keys of hosts that known_hosts does not know; a changed key is never accepted
    #[arg(long)]
    accept_new_host_keys: bool,
}

impl Facts {
    /// Asks every node and prints what it said.
    ///
    /// # Errors
    /// Where the inventory can't be used, or has no such node.
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let spec = inventory::load(&self.inventory, std::env::home_dir().as_deref(), inventory::Count::Any)?;
        let nodes = self.chosen(&spec)?;
        let password = open::sudo_password(&spec)?;
        let target = |node: &&NodeSpec| Target {
            name: node.name.clone(),
            ssh: reach::target(node, self.accept_new_host_keys, password.as_ref()),
            ask: Ask::facts(),
            keep: false,
        };
        let targets = nodes.iter().map(target).collect();
        let gathered = gather::observe(reach::connector(), targets, |_, _| {}).await;
        let seen = || nodes.iter().map(|node| (*node, &gathered[&node.name].observation));
        match output.format() {
            Format::Human => output.result(&table::of(seen(), output.colour()))?,
            Format::Json => output.document(&Document::of(seen()))?,
        }
        let unknown = seen().any(|(_, observation)| matches!(observation, Observation::Unknown { .. }));
        Ok(if unknown { ExitStatus::Partial } else { ExitStatus::Done })
    }

    /// The nodes that are to be asked, in the inventory's order.
    fn chosen<'a>(&self, spec: &'a ClusterSpec) -> Result<Vec<&'a NodeSpec>, Failure> {
        let known = |name: &&String| spec.nodes.iter().all(|node| node.name.as_str() != name.as_str());
        if let Some(name) = self.node.iter().find(known) {
            let names = || spec.nodes.iter().map(|node| node.name.as_str());
            let hint = match did_you_mean(name, names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("its nodes are {}", names().collect::<Vec<_>>().join(", ")),
            };
            return Err(Error::new(format!("look at node `{}`", name.escape_debug()))
                .cause(format!("{} has no such node", self.inventory.display()))
                .hint(hint)
                .exit(ExitStatus::Usage)
                .into());
        }
        let chosen = |node: &&NodeSpec| self.node.is_empty() || self.node.iter().any(|name| name == node.name.as_str());
        Ok(spec.nodes.iter().filter(chosen).collect())
    }
}
