//! What is to be read on a node, and what was seen there.

use std::collections::BTreeMap;

use super::{facts::Facts, secret::Secret};

/// One thing to read on a node. Reads of one kind are batched into one command; equal reads are made once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Read {
    /// Metadata and digest of a file, and its content as asked.
    File { path: String, content: ContentRead },
    /// A Debian package: state, version, hold.
    Package(String),
    /// A systemd unit by its full name (`containerd.service`): loaded, enabled, active.
    Unit(String),
    /// A kernel parameter by its dotted name, read from `/proc/sys`.
    Sysctl(String),
    /// A kernel module by name: loaded or built in.
    Module(String),
    /// Whatever the others do not cover: a read-only command (POSIX text), known by an id that is unique per
    /// text (by custom the step's id).
    Command { id: String, script: String },
}

/// When the content of a file is to be sent along.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentRead {
    /// Never: metadata and digest only (secrets, big files).
    Never,
    /// Only where its SHA-256 (hex) is not this one: what a diff needs, and nothing where all is well.
    Unless(String),
    /// Always: part of the file matters, or another step needs it.
    Always,
}

/// What one observation of one node brought: facts, and an answer to every read that was asked.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub facts: Facts,
    pub files: BTreeMap<String, FileSeen>,
    pub packages: BTreeMap<String, PackageSeen>,
    pub units: BTreeMap<String, UnitSeen>,
    /// Values by dotted name; `None` where the kernel has no such parameter.
    pub sysctls: BTreeMap<String, Option<String>>,
    /// Whether a module is loaded or built in.
    pub modules: BTreeMap<String, bool>,
    pub commands: BTreeMap<String, CommandSeen>,
}

/// A path on a node. What could not be told is never `Absent`: it is an error of the whole observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSeen {
    Absent,
    File {
        /// Permission bits, such as `0o644`.
        mode: u32,
        owner: String,
        group: String,
        /// SHA-256 of the content, hex.
        sha256: String,
        /// As asked by [`ContentRead`]; at most 256 KiB, `None` for anything larger.
        content: Option<Vec<u8>>,
    },
    Directory {
        mode: u32,
        owner: String,
        group: String,
    },
    /// A symbolic link and its target.
    Link {
        target: String,
    },
    /// A device, socket or pipe.
    Other,
}

/// A Debian package on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageSeen {
    /// The installed version, absent where the package is not (or only half) installed.
    pub version: Option<String>,
    /// Held by `apt-mark hold`.
    pub held: bool,
    /// dpkg's third state word where it is neither `installed` nor `not-installed`: `half-configured`, `unpacked` …
    pub broken: Option<String>,
}

/// A systemd unit on a node, in systemd's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitSeen {
    /// `loaded`, `not-found`, `masked` …
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating` …
    pub active: String,
    /// `running`, `exited`, `auto-restart` …
    pub sub: String,
    /// `enabled`, `disabled`, `static`, `masked`; empty where there is no unit file.
    pub enabled: String,
    /// `NeedDaemonReload`: a unit file changed after systemd read it.
    pub needs_reload: bool,
}

/// The answer of a [`Read::Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSeen {
    pub code: u32,
    pub stdout: Vec<u8>,
}

/// The observation of one node: seen, or unknown with the reason. Unknown is never absent.
#[derive(Clone, Debug)]
pub enum Observation {
    Seen(Box<Seen>),
    /// Time-out, refusal, wrong key, broken answer: the error as a person reads it.
    Unknown {
        error: String,
        hint: Option<String>,
    },
}

/// Secrets that an observation brings along from a control plane, kept apart from what may be printed.
#[derive(Clone, Debug, Default)]
pub struct SeenSecrets {
    /// `/etc/kubernetes/admin.conf`, with its client key.
    pub admin_conf: Option<Secret<String>>,
}
