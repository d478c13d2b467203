//! `kbootstrap etcd`: care of etcd's data.

mod alarms;
pub mod convert;
mod defrag;
mod members;

use clap::{Args, Subcommand};

use super::{Failure, Output, control_planes::ControlPlanes};
use crate::{error::ExitStatus, ui::EtcdMemberRow};

/// Care of etcd's data
#[derive(Debug, Args)]
pub struct Etcd {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Members(members::Members),
    Alarms(alarms::Alarms),
    Defrag(defrag::Defrag),
    Convert(convert::Convert),
}

impl Etcd {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        match &self.command {
            Command::Members(members) => members.run(output).await,
            Command::Alarms(alarms) => alarms.run(output).await,
            Command::Defrag(defrag) => defrag.run(output).await,
            Command::Convert(convert) => convert.run(output).await,
        }
    }
}

/// Every member that any control plane's own knows of, each by its own word where it answers; absent where none answers.
fn rows(seen: &ControlPlanes) -> Option<Vec<EtcdMemberRow>> {
    let words: Vec<_> = seen
        .spec
        .nodes
        .iter()
        .filter_map(|node| Some((&node.name, seen.facts(&node.name)?.kubernetes.etcd.as_ref()?)))
        .collect();
    // One without a quorum only knows its own past.
    let list = words.iter().find(|(_, etcd)| etcd.leader.is_some()).or(words.first())?;
    let row = |member: &crate::model::facts::EtcdMember| {
        let own = words.iter().find(|(_, etcd)| etcd.member == member.id).map(|(node, etcd)| (*node, *etcd));
        EtcdMemberRow {
            name: member.name.clone(),
            id: member.id.clone(),
            peer: member.peer_urls.join(" "),
            learner: member.learner,
            answers: own.is_some(),
            leader: own.is_some_and(|(_, etcd)| etcd.leads()),
            has_leader: own.is_some_and(|(_, etcd)| etcd.leader.is_some()),
            db_bytes: own.map(|(_, etcd)| etcd.db_bytes),
            db_in_use_bytes: own.map(|(_, etcd)| etcd.db_in_use_bytes),
            version: own.map(|(_, etcd)| etcd.version.clone()),
            alarms: own.map(|(_, etcd)| etcd.alarms.clone()).unwrap_or_default(),
        }
    };
    Some(list.1.members.iter().map(row).collect())
}
