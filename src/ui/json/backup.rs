//! `backup --output json`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::model::backup::Manifest;

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

/// The archives of a folder (`kbootstrap.backups/v1`).
#[derive(Serialize)]
pub struct Backups {
    schema: &'static str,
    backups: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    path: String,
    bytes: u64,
    written: Option<String>,
}

pub fn backups(found: &[(OffsetDateTime, u64, PathBuf)]) -> Backups {
    let listed = |(at, bytes, path): &(OffsetDateTime, u64, PathBuf)| Listed {
        path: path.display().to_string(),
        bytes: *bytes,
        written: at.format(&Rfc3339).ok(),
    };
    Backups { schema: "kbootstrap.backups/v1", backups: found.iter().map(listed).collect() }
}
