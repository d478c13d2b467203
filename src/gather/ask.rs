//! What is asked of one node: the facts always, and these reads.

use std::collections::BTreeSet;

use crate::{
    facts::files,
    model::observe::{ContentRead, Read},
};

/// Reads of one node, sorted by the program that answers them. Equal reads are made once; of two wishes for one file,
/// the one that brings more is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    pub(super) files: files::Wanted,
    pub(super) packages: BTreeSet<String>,
    pub(super) units: BTreeSet<String>,
    pub(super) sysctls: BTreeSet<String>,
    pub(super) modules: BTreeSet<String>,
    /// Id and script; of one id only the first script is run.
    pub(super) commands: Vec<(String, String)>,
    pub(super) admin_conf: bool,
}

impl Ask {
    /// The facts alone.
    pub fn facts() -> Self {
        Self::default()
    }

    /// The facts, and an answer to every read.
    pub fn new<'a>(reads: impl IntoIterator<Item = &'a Read>) -> Self {
        let mut ask = Self::default();
        for read in reads {
            ask.add(read);
        }
        ask
    }

    /// Also brings `/etc/kubernetes/admin.conf` where there is one: for control planes.
    pub fn with_admin_conf(mut self) -> Self {
        self.admin_conf = true;
        self
    }

    /// Also brings a file whole.
    pub fn with_file(mut self, path: &str) -> Self {
        files::want(&mut self.files, path, &ContentRead::Always);
        self
    }

    fn add(&mut self, read: &Read) {
        match read {
            Read::File { path, content } => files::want(&mut self.files, path, content),
            Read::Package(name) => drop(self.packages.insert(name.clone())),
            Read::Unit(name) => drop(self.units.insert(name.clone())),
            Read::Sysctl(name) => drop(self.sysctls.insert(name.clone())),
            Read::Module(name) => drop(self.modules.insert(name.clone())),
            Read::Command { id, script } => {
                if !self.commands.iter().any(|(known, _)| known == id) {
                    self.commands.push((id.clone(), script.clone()));
                }
            }
        }
    }
}
