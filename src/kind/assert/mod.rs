//! Conditions looked at before anything is changed. What does not hold is refused with its reason and the way out; what
//! only matters on the way into a cluster is not asked again of a machine that is in it.

mod clock;
mod foreign;
mod identity;
mod machine;
mod network;

use super::Context;
use crate::model::{observe::Read, plan::Verdict, step::Assert};

/// Nothing besides the facts, which every observation brings.
pub fn reads(_assert: Assert) -> Vec<Read> {
    Vec::new()
}

pub fn judge(assert: Assert, context: &Context<'_>) -> Verdict {
    match assert {
        Assert::Os => machine::os(context),
        Assert::Systemd => machine::systemd(context),
        Assert::Hostname => identity::hostname(context),
        Assert::Identity => identity::unique(context),
        Assert::Clock => clock::offset(context),
        Assert::Memory => machine::memory(context),
        Assert::Cpus => machine::cpus(context),
        Assert::Disk => machine::disk(context),
        Assert::Ports => network::ports(context),
        Assert::ForeignState => foreign::state(context),
        Assert::NodeIp => network::node_ip(context),
    }
}

/// How a user goes on against one of these.
fn skip_hint(step: &str) -> String {
    format!("to go on all the same, skip {step} in a playbook of your own and say why")
}

#[cfg(test)]
mod tests;
