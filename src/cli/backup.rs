//! `kbootstrap backup`: all that makes the cluster what it is, encrypted, on this machine.

mod fetch;
mod ls;
mod schedule;
mod verify;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, Subcommand};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

use super::{Failure, Format, Machines, Output, control_planes::ControlPlanes, etcd::convert};
use crate::{
    backup::{self, SUFFIX, Taken},
    error::{Error, ExitStatus},
    kube,
    model::{
        backup::{AgeRecipient, Kept, Machine},
        live::Cluster,
        name::NodeName,
        node::NodeSpec,
        observe::Observation,
    },
    plan::layout,
    ui,
};

/// Keep a snapshot of etcd, the authorities and the configuration in one encrypted archive on this machine
///
/// It is encrypted to the age recipients of the inventory and of --recipient; nothing of it is readable here, nor left on
/// the machines. Keep the age key where the cluster is not.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Backup {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    take: Option<Take>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::Verify),
    Ls(ls::Ls),
    Schedule(schedule::Schedule),
    Fetch(fetch::Fetch),
}

/// What it takes to take one.
#[derive(Debug, Args)]
struct Take {
    /// The inventory, a TOML file
    // Not flattened `Machines`: clap takes an optional group for absent unless its arguments are its own.
    #[arg(value_name = "INVENTORY")]
    inventory: PathBuf,

    /// Record and accept the keys of hosts that known_hosts does not know; a changed key is never accepted
    #[arg(long)]
    accept_new_host_keys: bool,

    /// The file to write, or a folder, where it is called NAME-TIME.backup.age
    #[arg(long, value_name = "PATH", default_value = ".")]
    to: PathBuf,

    /// Encrypt to this age recipient, too; may be given again
    #[arg(long, value_name = "AGE1…")]
    recipient: Vec<AgeRecipient>,
}

impl Backup {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        match (&self.command, &self.take) {
            (Some(Command::Verify(verify)), _) => verify.run(output),
            (Some(Command::Ls(ls)), _) => ls.run(output).await,
            (Some(Command::Schedule(schedule)), _) => schedule.run(output).await,
            (Some(Command::Fetch(fetch)), _) => fetch.run(output).await,
            (None, Some(take)) => take.run(output).await,
            (None, None) => unreachable!("clap wants an inventory or a subcommand"),
        }
    }
}

impl Take {
    async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let failed = || Error::new("take a backup");
        let now = OffsetDateTime::now_utc();
        let machines = Machines {
            inventory: self.inventory.clone(),
            playbook: None,
            accept_new_host_keys: self.accept_new_host_keys,
        };
        let seen = ControlPlanes::look(&machines).await?;
        let spec = &seen.spec;
        let mut recipients = spec.backup.recipients.clone();
        recipients.extend(self.recipient.iter().cloned());
        if recipients.is_empty() {
            return Err(failed()
                .cause("nobody is named to whom it is encrypted, and it would hold every key of the cluster")
                .hint("make a key with age-keygen, and name its recipient: [backup] recipients = [\"age1…\"], or --recipient")
                .exit(ExitStatus::Usage)
                .into());
        }
        let path = path(&self.to, spec.name.as_str(), now);
        if path.exists() {
            return Err(failed()
                .cause(format!("{} is there already", path.display()))
                .hint("name another file with --to")
                .exit(ExitStatus::Usage)
                .into());
        }
        let answer = kube::ask(Arc::clone(&seen.link), seen.admin_conf.as_ref(), &[]).await;
        let cluster = kube::classify(&seen.sights(), answer);
        let settled = layout::settled(spec, &cluster, &seen.observations);
        convert::refuse_in_between(&settled, &seen.observations)?;
        let etcd = settled.etcd;
        let live = match cluster {
            Cluster::Live(live) => live,
            Cluster::Absent | Cluster::HalfFormed { .. } => {
                return Err(failed().cause("there is no cluster yet").hint("kbootstrap up forms it").into());
            }
            Cluster::Unknown { reason } => {
                let hint = "a snapshot needs a member of etcd that has its quorum: kbootstrap status";
                return Err(failed().cause(reason).hint(hint).into());
            }
        };
        // Any member with a quorum has all that is committed; the leader has the most to do already.
        let member = |node: &NodeSpec| seen.facts(&node.name)?.kubernetes.etcd.as_ref();
        let fit = spec.control_planes().filter_map(|node| Some((node, member(node)?)));
        let fit = fit.filter(|(_, etcd)| etcd.leader.is_some() && etcd.kubeadm_config == Some(true));
        let node = fit.min_by_key(|(_, etcd)| etcd.leads()).map(|(node, _)| node);
        let Some(node) = node else {
            return Err(failed()
                .cause("no member of etcd answers and has its quorum")
                .hint("kbootstrap status shows the members")
                .into());
        };
        let route = seen.routes.iter().find(|route| route.node == node.name).expect("it answered");
        let connection =
            seen.connector.connect(&route.target).await.map_err(|why| failed().node(&node.name).cause(why))?;
        let kubernetes = spec.kubernetes().to_string();
        let taken = Taken {
            cluster: spec.name.as_str(),
            id: live.identity.as_ref().map_or("", |identity| identity.id.as_str()),
            kubernetes: &kubernetes,
            node: &node.name,
            etcd,
            at: now.format(&Rfc3339).expect("a moment of today has a date"),
            name: format!("{}-{:04x}", stamp(now), rand::random::<u16>()),
            recipients: &recipients,
            control_planes: spec
                .control_planes()
                .map(|node| Machine { name: node.name.to_string(), address: node.address.to_string() })
                .collect(),
            keys: seen.facts(&node.name).map(|facts| facts.kubernetes.keys()).unwrap_or_default(),
        };
        let bar = ui::bytes(output.format() == Format::Human && !output.is_quiet());
        let told = |here, all| bar.show(here, all);
        let manifest = backup::take(connection.as_ref(), &taken, &path, told)
            .await
            .map_err(|why| failed().node(&node.name).cause(why))?;
        bar.end();
        match output.format() {
            Format::Json => output.document(&ui::json::backup(&path, &manifest))?,
            Format::Human => {
                output.result(&format!("{}\n", path.display()))?;
                output.say(&format!(
                    "Taken on {} at revision {} with {} keys. Check it, and your key: kbootstrap backup verify {} --identity KEY",
                    manifest.node,
                    manifest.etcd.revision,
                    manifest.etcd.keys,
                    path.display()
                ));
            }
        }
        Ok(ExitStatus::Done)
    }
}

/// What control planes keep of the backups that they take by themselves.
async fn kept(machines: &Machines) -> Result<(ControlPlanes, BTreeMap<NodeName, Kept>), Failure> {
    let seen = ControlPlanes::look_for(machines, |_| vec![backup::kept_read()]).await?;
    let kept = seen.kept()?;
    Ok((seen, kept))
}

/// Says which control planes did not answer; whether all did is the exit status.
fn silent(seen: &ControlPlanes, output: &Output) -> ExitStatus {
    let mut ended = ExitStatus::Done;
    for (name, observation) in &seen.observations {
        if let Observation::Unknown { error, .. } = observation {
            output.say(&format!("{name}: {error}"));
            ended = ExitStatus::Partial;
        }
    }
    ended
}

fn stamp(now: OffsetDateTime) -> String {
    now.format(format_description!("[year][month][day]-[hour][minute][second]")).expect("a moment of today has a date")
}

/// A folder gets a file named by cluster and time.
fn path(to: &Path, cluster: &str, now: OffsetDateTime) -> PathBuf {
    if to.is_dir() { to.join(format!("{cluster}-{}{SUFFIX}", stamp(now))) } else { to.to_owned() }
}
