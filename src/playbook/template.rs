//! A playbook whose every field is checked, its values not yet resolved for a node.

use super::{Given, Name, When};
use crate::model::{
    mode::Mode,
    step::{Action, Assert, Directory, Package, Repository, Script, ServiceState, StepId, Unless},
};

/// Ordered stages of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playbook {
    pub stages: Vec<Stage>,
    /// In the order in which a node goes through them, stage by stage.
    pub steps: Vec<Template>,
    /// What a user's playbook removed, and why.
    pub skipped: Vec<Skipped>,
}

/// A named part of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub id: String,
    pub title: String,
    pub chain: Chain,
}

/// Who goes through a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Each node.
    Node,
    /// The cluster as a whole, by its API.
    Cluster,
}

/// One step as the playbook has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub id: StepId,
    pub stage: String,
    pub title: String,
    pub when: When,
    pub kind: TemplateKind,
    /// The file that it comes from.
    pub file: String,
    /// Files that changed fields of it.
    pub patched_by: Vec<String>,
}

/// A step that a user's playbook removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub step: StepId,
    pub why: String,
    pub file: String,
}

/// [`crate::model::step::StepKind`] before its values are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateKind {
    File {
        path: String,
        content: Given<String>,
        mode: Mode,
        owner: String,
    },
    Directory(Directory),
    Block {
        path: String,
        name: String,
        lines: Given<Vec<String>>,
        optional: bool,
    },
    Packages(Vec<PackageItem>),
    Repository(Given<Repository>),
    Service {
        unit: String,
        state: ServiceState,
        watches: Vec<String>,
        reload: bool,
        check: Option<String>,
    },
    Sysctls {
        exact: Given<Vec<(String, String)>>,
        at_least: Vec<(String, u64)>,
    },
    Modules(Given<Vec<String>>),
    SwapOff,
    /// The inventory's time servers.
    Time,
    Images(Vec<Given<String>>),
    Assert(Assert),
    /// The repository's key.
    ProbeRepository(Name),
    /// Addresses that shall answer.
    ProbeRegistry(Given<Vec<String>>),
    /// The disk under the data of the node's member of etcd, where one begins there.
    ProbeEtcdDisk,
    Script(Script),
    Action(Action),
}

/// One or more packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageItem {
    pub what: Given<Package>,
    pub hold: bool,
    pub unless: Option<Unless>,
}

impl TemplateKind {
    /// The word in playbooks.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Directory(_) => "directory",
            Self::Block { .. } => "block",
            Self::Packages(_) => "packages",
            Self::Repository(_) => "repository",
            Self::Service { .. } => "service",
            Self::Sysctls { .. } => "sysctls",
            Self::Modules(_) => "modules",
            Self::SwapOff => "swap-off",
            Self::Time => "time",
            Self::Images(_) => "images",
            Self::Assert(_) => "assert",
            Self::ProbeRepository(_) | Self::ProbeRegistry(_) | Self::ProbeEtcdDisk => "probe",
            Self::Script(_) => "script",
            Self::Action(_) => "action",
        }
    }
}

impl TemplateKind {
    /// In whose chain a step of this kind can stand.
    pub const fn chain(&self) -> Chain {
        match self {
            Self::Action(
                Action::ClusterIdentity
                | Action::ClusterConfig
                | Action::Network
                | Action::CorednsSpread
                | Action::Tokens
                | Action::Proof,
            ) => Chain::Cluster,
            _ => Chain::Node,
        }
    }
}

impl Playbook {
    /// The step of this id.
    pub fn step(&self, id: &str) -> Option<&Template> {
        self.steps.iter().find(|step| step.id.as_str() == id)
    }

    /// The steps of nodes, or of the cluster, in their order.
    pub fn steps_of(&self, chain: Chain) -> impl Iterator<Item = &Template> {
        self.stages
            .iter()
            .filter(move |stage| stage.chain == chain)
            .flat_map(|stage| self.steps.iter().filter(move |step| step.stage == stage.id))
    }
}
