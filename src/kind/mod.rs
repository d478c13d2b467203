//! Step kinds: one file each, with what observes a step and which ops reach it.
//!
//! [`reads`] says what is to be looked at, [`judge`] compares it with what is wanted and answers with a verdict. Both are
//! pure. Ops of a node are POSIX text that a batch runs in a subshell of its own with `set -eu`; they say "make it so"
//! and can be run again. A value enters such text through [`crate::shell::quote`] and in no other way.

mod action;
mod apt;
mod assert;
mod block;
mod cluster;
mod context;
mod diff;
mod directory;
pub mod etcd;
mod file;
mod images;
pub mod leave;
mod modules;
mod op;
mod packages;
mod probe;
mod repository;
pub mod restore;
pub mod rotate;
mod script;
mod service;
mod shared;
mod swap;
mod sysctls;
#[cfg(test)]
pub mod testing;
mod time;
mod write;

pub use action::{ETCD_LEAVE, encryption, etcd_certificate, etcd_takeover, renew, upgrade};
pub use cluster::{
    config::{external_etcd, wanted_etcd_image},
    judge_cluster, spread_coredns, wanted_objects,
};
pub use context::Context;
pub use probe::{REMARK, begins_member};

use crate::model::{
    observe::Read,
    plan::Verdict,
    step::{Step, StepKind},
};

/// What is to be read on a node before the step can be judged.
pub fn reads(step: &Step) -> Vec<Read> {
    match &step.kind {
        StepKind::File(file) => file::reads(file),
        StepKind::Directory(directory) => directory::reads(directory),
        StepKind::Block(block) => block::reads(block),
        StepKind::Packages(packages) => packages::reads(packages),
        StepKind::Repository(repository) => repository::reads(repository),
        StepKind::Service(service) => service::reads(service),
        StepKind::Sysctls(sysctls) => sysctls::reads(sysctls),
        StepKind::Modules(modules) => modules::reads(modules),
        StepKind::SwapOff => swap::reads(),
        StepKind::Time(time) => time::reads(time),
        StepKind::Images(_) => images::reads(),
        StepKind::Assert(assert) => assert::reads(*assert),
        StepKind::Probe(_) => Vec::new(),
        StepKind::Script(script) => script::reads(&step.id, script),
        StepKind::Action(action) => action::reads(*action),
    }
}

/// Judges a step of a node. A step that does not belong on this machine ([`Step::only`]) is satisfied; plans leave it
/// out.
pub fn judge(step: &Step, context: &Context<'_>) -> Verdict {
    if !step.only.fits(&context.seen.facts.os) {
        return Verdict::Satisfied;
    }
    match &step.kind {
        StepKind::File(file) => file::judge(file, context),
        StepKind::Directory(directory) => directory::judge(directory, context),
        StepKind::Block(block) => block::judge(block, context),
        StepKind::Packages(packages) => packages::judge(packages, context),
        StepKind::Repository(repository) => repository::judge(repository, context),
        StepKind::Service(service) => service::judge(service, context),
        StepKind::Sysctls(sysctls) => sysctls::judge(sysctls, context),
        StepKind::Modules(modules) => modules::judge(modules, context),
        StepKind::SwapOff => swap::judge(context),
        StepKind::Time(time) => time::judge(time, context),
        StepKind::Images(images) => images::judge(images, context),
        StepKind::Assert(assert) => assert::judge(*assert, context),
        StepKind::Probe(probe) => probe::judge(probe, context),
        StepKind::Script(script) => script::judge(&step.id, &step.title, script, context),
        StepKind::Action(action) => action::judge(*action, context),
    }
}
