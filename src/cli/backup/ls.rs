//! `kbootstrap backup ls`: the archives in a folder, or on the control planes.

use std::path::PathBuf;

use clap::Args;
use time::OffsetDateTime;

use super::{
    super::{Failure, Format, Machines, Output},
    kept, silent,
};
use crate::{
    backup::SUFFIX,
    error::{Error, ExitStatus},
    ui::{self, BackupRow},
};

/// List the archives in a folder, or those that the control planes of an inventory keep, newest first
#[derive(Debug, Args)]
pub struct Ls {
    /// The folder, or the inventory
    #[arg(value_name = "FOLDER|INVENTORY", default_value = ".")]
    place: PathBuf,

    /// Record and accept the keys of hosts that known_hosts does not know; a changed key is never accepted
    #[arg(long)]
    accept_new_host_keys: bool,
}

impl Ls {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let (mut rows, ended) = match self.place.is_file() {
            true => self.on_nodes(output).await?,
            false => (self.in_folder()?, ExitStatus::Done),
        };
        rows.sort_by(|a, b| (b.at, &b.path, &a.node).cmp(&(a.at, &a.path, &b.node)));
        match output.format() {
            Format::Json => output.document(&ui::json::backups(&rows))?,
            Format::Human => output.result(&ui::backups(&rows))?,
        }
        Ok(ended)
    }

    async fn on_nodes(&self, output: &Output) -> Result<(Vec<BackupRow>, ExitStatus), Failure> {
        let machines =
            Machines { inventory: self.place.clone(), playbook: None, accept_new_host_keys: self.accept_new_host_keys };
        let (seen, all) = kept(&machines).await?;
        let mut rows = Vec::new();
        for (node, kept) in &all {
            rows.extend(kept.archives.iter().map(|archive| BackupRow {
                at: OffsetDateTime::from_unix_timestamp(archive.at).unwrap_or(OffsetDateTime::UNIX_EPOCH),
                bytes: archive.bytes,
                node: Some(node.to_string()),
                path: archive.name.clone(),
            }));
        }
        Ok((rows, silent(&seen, output)))
    }

    fn in_folder(&self) -> Result<Vec<BackupRow>, Failure> {
        let failed = |why: std::io::Error| Error::new(format!("list {}", self.place.display())).cause(why);
        let mut rows = Vec::new();
        for entry in std::fs::read_dir(&self.place).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !path.to_string_lossy().ends_with(SUFFIX) {
                continue;
            }
            let data = path.metadata().map_err(failed)?;
            let at = data.modified().map_err(failed)?.into();
            rows.push(BackupRow { at, bytes: data.len(), node: None, path: path.display().to_string() });
        }
        Ok(rows)
    }
}
