//! `backup --output json`.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use crate::{
    model::{
        backup::{Archive, Kept, Manifest, Schedule},
        name::NodeName,
    },
    ui::BackupRow,
};

/// One archive with what it says of itself (`kbootstrap.backup/v1`).
#[derive(Serialize)]
pub struct Backup<'a> {
    path: String,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

pub fn backup<'a>(path: &Path, manifest: &'a Manifest) -> Backup<'a> {
    Backup { path: path.display().to_string(), manifest }
}

/// The archives of a folder, or of control planes (`kbootstrap.backups/v1`).
#[derive(Serialize)]
pub struct Backups<'a> {
    schema: &'static str,
    backups: Vec<Listed<'a>>,
}

#[derive(Serialize)]
struct Listed<'a> {
    /// Absent of one on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    path: &'a str,
    bytes: u64,
    written: Option<String>,
}

pub fn backups(rows: &[BackupRow]) -> Backups<'_> {
    let backups = rows.iter().map(|row| Listed {
        node: row.node.as_deref(),
        path: &row.path,
        bytes: row.bytes,
        written: row.at.format(&Rfc3339).ok(),
    });
    Backups { schema: "kbootstrap.backups/v1", backups: backups.collect() }
}

/// An archive that was brought here (`kbootstrap.backup-fetch/v1`).
#[derive(Serialize)]
pub struct Fetched<'a> {
    schema: &'static str,
    path: String,
    node: &'a NodeName,
    #[serde(flatten)]
    archive: &'a Archive,
}

pub fn fetched<'a>(path: &Path, node: &'a NodeName, archive: &'a Archive) -> Fetched<'a> {
    Fetched { schema: "kbootstrap.backup-fetch/v1", path: path.display().to_string(), node, archive }
}

/// Backups that control planes take by themselves (`kbootstrap.backup-schedule/v1`).
#[derive(Serialize)]
pub struct Scheduled<'a> {
    schema: &'static str,
    /// Null where none are scheduled.
    schedule: Option<&'a Schedule>,
    /// Null where none are scheduled.
    healthy: Option<bool>,
    detail: Option<&'a str>,
    nodes: &'a BTreeMap<NodeName, Kept>,
}

pub fn backup_schedule<'a>(
    schedule: Option<&'a Schedule>,
    nodes: &'a BTreeMap<NodeName, Kept>,
    health: Option<&'a (bool, String)>,
) -> Scheduled<'a> {
    Scheduled {
        schema: "kbootstrap.backup-schedule/v1",
        schedule,
        healthy: health.map(|(healthy, _)| *healthy),
        detail: health.map(|(_, detail)| detail.as_str()),
        nodes,
    }
}
