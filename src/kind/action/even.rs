//! An even number of control planes: what a removal may leave, and what no join makes.

use super::Context;
use crate::model::plan::{Refusal, Verdict};

/// Refuses the join of a control plane that makes their number even: a member of etcd more lets no more of them fail, and
/// one more can.
pub fn refuse(context: &Context<'_>, joins: Verdict) -> Verdict {
    let count = context.spec.control_planes().count();
    // With etcd as a service a witness makes up for it.
    let odd = !context.spec.voters().is_multiple_of(2);
    if odd || !context.node.is_control_plane() || !joins.is_change() {
        return joins;
    }
    Verdict::Refused(Refusal {
        reason: format!("{count} control planes survive no more losses than {} do: etcd counts majorities", count - 1),
        hint: format!("have {} or {} of them; `kbootstrap node add` takes two at once", count - 1, count + 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kind::testing::{World, reason},
        model::step::Action,
    };

    #[test]
    fn a_member_that_makes_the_number_even_is_refused() {
        let join = |world: &World| world.judge("cp2", |context| super::super::judge(Action::KubeadmJoin, context));
        let mut world = World::live("cp2");
        world.spec.nodes.retain(|node| node.name.as_str() != "cp3");
        assert!(matches!(join(&world), Verdict::Satisfied), "two that are left of three");
        world.live_mut().nodes.remove(&"cp2".parse().unwrap());
        world.etcd_mut().members.remove(1);
        world.seen.facts.kubernetes = Default::default();
        assert!(reason(join(&world)).starts_with("2 control planes survive no more losses than 1"));
    }
}
