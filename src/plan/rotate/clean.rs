//! The end: the old keys go, and what was noted.

use super::{away::op, change, gate, item, world::World};
use crate::{
    kind::rotate::{self, FOLDER},
    model::{
        op::ClusterOp,
        plan::{Chain, Owner, Plan, Verdict},
    },
};

const QUICK_S: u32 = 60;

pub fn plan(world: &World<'_>) -> Plan {
    let mut chains: Vec<Chain> = world
        .control_planes()
        .map(|node| {
            let there = node.sight.files.keys().chain(node.sight.keys.keys()).any(|path| path.starts_with(FOLDER));
            let verdict = match there {
                true => {
                    let diff = vec![format!("- {FOLDER}, and copies of the old keys that this program kept")];
                    change(diff, vec![rotate::clean()], None)
                }
                false => Verdict::Satisfied,
            };
            Chain { owner: node.owner(), items: vec![item("rotate.clean", "the old keys are gone", verdict)] }
        })
        .collect();
    let verdict = match world.input.trusting.is_ok_and(|seen| seen.record.is_some()) {
        true => {
            let what = "remove the note on the exchange";
            change(Vec::new(), vec![op("cluster.forget", what, ClusterOp::ForgetRotation, QUICK_S)], None)
        }
        false => Verdict::Satisfied,
    };
    chains.push(Chain {
        owner: Owner::Cluster,
        items: vec![item("rotate.forget", "nothing is noted any more", verdict)],
    });
    gate(world.spec, &mut chains);
    Plan { chains, ..Plan::default() }
}
