//! The journal: every event of a run, one line of JSON each, on the operator's disk. It is history; no decision reads it.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::history::SUFFIX;
use crate::model::event::Stamped;

/// A journal that is being written.
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Begins the journal of a run: `FOLDER/RUN.jsonl`, readable by its owner alone.
    ///
    /// # Errors
    /// The folder can't be made, or the file is there already.
    pub fn create(folder: &Path, run: &str) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = folder.join(format!("{run}{SUFFIX}"));
        let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&path)?;
        Ok(Self { file, path })
    }

    /// Appends one event and sees it to the disk, so that a crash loses nothing that was shown.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn write(&mut self, event: &Stamped) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()
    }

    /// Keeps the plan of the run beside its events, for whoever reads the report: `FOLDER/RUN.plan.json`.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn keep_plan(folder: &Path, run: &str, plan: &impl Serialize) -> io::Result<()> {
        let path = plan_path(folder, run);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
        file.write_all(&serde_json::to_vec(plan)?)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Where the plan of a run is kept.
pub fn plan_path(folder: &Path, run: &str) -> PathBuf {
    folder.join(format!("{run}.plan.json"))
}
