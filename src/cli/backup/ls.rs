//! `kbootstrap backup ls`: the archives in a folder.

use std::path::PathBuf;

use clap::Args;
use time::{OffsetDateTime, macros::format_description};

use super::super::{Failure, Format, Output};
use crate::{
    backup::SUFFIX,
    error::{Error, ExitStatus},
    ui,
};

/// List the archives in a folder, newest first
#[derive(Debug, Args)]
pub struct Ls {
    /// The folder
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
}

impl Ls {
    pub fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let failed = |why: std::io::Error| Error::new(format!("list {}", self.folder.display())).cause(why);
        let mut found: Vec<(OffsetDateTime, u64, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !path.to_string_lossy().ends_with(SUFFIX) {
                continue;
            }
            let data = path.metadata().map_err(failed)?;
            found.push((data.modified().map_err(failed)?.into(), data.len(), path));
        }
        found.sort_by(|a, b| b.cmp(a));
        match output.format() {
            Format::Json => output.document(&ui::json::backups(&found))?,
            Format::Human => {
                let when = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
                let line = |(at, bytes, path): &(OffsetDateTime, u64, PathBuf)| {
                    let at = at.format(when).unwrap_or_default();
                    format!("{at}  {:>8} KiB  {}\n", bytes.div_ceil(1024), path.display())
                };
                output.result(&found.iter().map(line).collect::<String>())?;
            }
        }
        Ok(ExitStatus::Done)
    }
}
