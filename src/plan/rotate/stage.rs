//! Old and new authorities side by side on every control plane, and a backup of before.

use super::{change, item, world::World};
use crate::{
    kind::rotate,
    model::plan::{Chain, Plan, Verdict},
};

pub fn plan(world: &World<'_>) -> Plan {
    let chains = world.control_planes().map(|node| {
        let (kept, staged) = match node.is_staged() {
            true => (Verdict::Satisfied, Verdict::Satisfied),
            false => {
                let context = world.context(node, "", None);
                let beside = vec![
                    format!("+ {}: new ca, front-proxy-ca and etcd/ca, beside the present ones", rotate::FOLDER),
                    "  the key pair of service accounts stays: tokens that it signed have no end of their own"
                        .to_owned(),
                ];
                (
                    change(Vec::new(), vec![rotate::backup(&context)], None),
                    change(beside, vec![rotate::stage(node.etcd)], None),
                )
            }
        };
        let items = vec![
            item("rotate.backup", "it is kept as it is now", kept),
            item("rotate.stage", "old and new authorities lie side by side", staged),
        ];
        Chain { owner: node.owner(), items }
    });
    Plan { chains: chains.collect(), ..Plan::default() }
}
