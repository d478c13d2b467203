//! Clocks that agree: certificates are not valid before they were made.

use super::{super::op, Context};
use crate::model::plan::Verdict;

/// kubeadm and we backdate certificates by five minutes; leases and logs want it far closer.
const FROM_OPERATOR_S: f64 = 10.0;
/// From the middle of all nodes, so that only those are named that are wrong.
const FROM_OTHERS_S: f64 = 2.0;

pub fn offset(context: &Context<'_>) -> Verdict {
    let Some(own) = context.seen.facts.clock.offset_s else { return Verdict::Satisfied };
    // In a cluster a wrong clock is repaired by the step that keeps time, not refused.
    if context.has_joined() {
        return Verdict::Satisfied;
    }
    let mut all: Vec<f64> = context.facts.values().filter_map(|facts| facts.clock.offset_s).collect();
    all.sort_by(f64::total_cmp);
    let middle = all.get(all.len() / 2).copied().unwrap_or(own);
    let hint = "on the machine: timedatectl set-ntp true, or set its clock once by hand";
    if (own - middle).abs() > FROM_OTHERS_S {
        return op::refused(format!("its clock is {:+.1} s off those of the other nodes", own - middle), hint);
    }
    if own.abs() > FROM_OPERATOR_S {
        return op::refused(
            format!("its clock is {own:+.1} s off this machine's, from which certificates get their dates"),
            "set this machine's clock right, or those of all nodes",
        );
    }
    Verdict::Satisfied
}
