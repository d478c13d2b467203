//! `kbootstrap backup verify`: whether an archive is whole and can be opened.

use std::path::PathBuf;

use clap::Args;

use super::super::{Failure, Format, Output};
use crate::{
    backup,
    error::{Error, ExitStatus},
    ui,
};

/// Decrypt an archive and compare all of it with its manifest; nothing is written
#[derive(Debug, Args)]
pub struct Verify {
    /// The archive
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// File with the age key that opens it
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
}

impl Verify {
    pub fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let verified = backup::verify(&self.file, &self.identity)
            .map_err(|why| Error::new(format!("verify {}", self.file.display())).cause(why))?;
        let manifest = &verified.manifest;
        match output.format() {
            Format::Json => output.document(&ui::json::backup(&verified.path, manifest))?,
            Format::Human => {
                let bytes: u64 = manifest.parts.iter().map(|part| part.bytes).sum();
                output.result(&format!(
                    "{} is whole: cluster {} ({}), Kubernetes {}, taken {} on {}, etcd at revision {} with {} keys, {} MiB\n",
                    verified.path.display(),
                    manifest.cluster,
                    manifest.id,
                    manifest.kubernetes,
                    manifest.taken,
                    manifest.node,
                    manifest.etcd.revision,
                    manifest.etcd.keys,
                    bytes.div_ceil(1 << 20)
                ))?;
            }
        }
        Ok(ExitStatus::Done)
    }
}
