//! What is looked at before anything is touched: whether the cluster is fit to have its etcd taken over.

use super::{Conversion, Stage};
use crate::{
    kind::{self, Context, etcd_takeover},
    model::{
        etcd::EtcdLayout,
        facts::EtcdMember,
        node::NodeSpec,
        plan::{Item, Notice, Refusal, Verdict},
        step::Action,
    },
    pki,
    plan::item,
    render::{etcd, images},
};

/// The check that a restart fails for a moment.
pub const ETCD: &str = "convert.etcd";

type Reason = Option<(String, String)>;

fn refuse(reason: impl Into<String>, hint: impl Into<String>) -> Reason {
    Some((reason.into(), hint.into()))
}

/// Satisfied, or the reason why not.
pub fn verdict(refusal: Reason) -> Verdict {
    match refusal {
        None => Verdict::Satisfied,
        Some((reason, hint)) => Verdict::Refused(Refusal { reason, hint }),
    }
}

/// Checks of the whole cluster.
pub fn cluster(conversion: &Conversion<'_>) -> Vec<Item> {
    vec![
        item("convert.members", "every control plane is in the inventory", verdict(members(conversion))),
        item("convert.authorities", "no authority is being exchanged", verdict(authorities(conversion))),
        item(ETCD, "every member of etcd votes and is healthy", verdict(healthy(conversion))),
    ]
}

/// A control plane that nobody names would keep a static pod that the cluster's configuration no longer knows of.
fn members(conversion: &Conversion<'_>) -> Reason {
    let known = &conversion.live.nodes;
    let foreign = known.iter().find(|(name, node)| node.is_control_plane() && conversion.spec.node(name).is_none());
    if let Some((name, _)) = foreign {
        return refuse(
            format!("the cluster has a control plane {name} that the inventory does not name"),
            format!("add {name} to the inventory, or remove it from the cluster"),
        );
    }
    let absent = conversion.spec.control_planes().find(|node| !known.contains_key(&node.name))?;
    refuse(format!("{} is not in the cluster", absent.name), "finish its join first: kbootstrap up")
}

fn authorities(conversion: &Conversion<'_>) -> Reason {
    if conversion.basis.ca_crt.as_deref().is_some_and(pki::is_bundle) {
        return refuse(
            "the cluster's authorities are being exchanged",
            "finish that first: kbootstrap certs rotate-ca",
        );
    }
    None
}

/// While one member is away all others are needed.
fn healthy(conversion: &Conversion<'_>) -> Reason {
    let look = "look at etcd on the control planes: kbootstrap etcd members";
    for (name, stage) in &conversion.stages {
        // To bring it up is what this is for.
        if *stage == Stage::Between {
            continue;
        }
        let Some(etcd) = conversion.basis.facts.get(name).and_then(|facts| facts.kubernetes.etcd.as_ref()) else {
            return refuse(format!("etcd's member on {name} does not answer"), look);
        };
        if etcd.leader.is_none() || etcd.kubeadm_config != Some(true) {
            return refuse(format!("etcd's member on {name} has no quorum"), look);
        }
        if let Some(alarm) = etcd.alarms.first() {
            return refuse(format!("etcd raises the alarm {alarm}"), "kbootstrap etcd alarms, kbootstrap etcd defrag");
        }
        // The witness's own join takes away what an earlier one left.
        let of = |member: &EtcdMember, node: &NodeSpec| {
            member.name == node.name.as_str() || member.peer_urls.contains(&etcd::peer_url(node))
        };
        let witness = conversion.end.witness.as_ref().and_then(|name| conversion.end.node(name));
        let others = || etcd.members.iter().filter(|member| !witness.is_some_and(|node| of(member, node)));
        if let Some(odd) = others().find(|member| member.learner || member.name.is_empty()) {
            let who = if odd.name.is_empty() { &odd.id } else { &odd.name };
            return refuse(format!("etcd's member {who} has no vote"), "finish its join, or remove it: kbootstrap up");
        }
        let foreign = others().find(|member| !conversion.spec.control_planes().any(|node| of(member, node)));
        if let Some(foreign) = foreign {
            return refuse(format!("etcd has a member {} that the inventory does not name", foreign.name), look);
        }
        let lacking = conversion.spec.control_planes().find(|node| !others().any(|member| of(member, node)));
        if let Some(lacking) = lacking {
            return refuse(
                format!("{} has no member of etcd", lacking.name),
                "bring both together first: kbootstrap up",
            );
        }
    }
    None
}

/// Checks of one control plane.
pub fn node(conversion: &Conversion<'_>, context: &Context<'_>, stage: Stage) -> Reason {
    if let Some(refusal) = etcd_takeover::refusal(context) {
        return Some(refusal);
    }
    if stage != Stage::Pod {
        return None;
    }
    let name = &context.node.name;
    let there = &context.seen.facts.kubernetes;
    if let Some(node) = conversion.live.nodes.get(name).filter(|node| !node.ready) {
        let why = node.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        return refuse(format!("{name} is not Ready{why}"), "repair it first: kbootstrap status");
    }
    if there.readyz != Some(200) {
        return refuse(format!("the API server of {name} is not ready"), "kbootstrap status shows what is wrong");
    }
    version(conversion, context).or_else(|| flags(conversion, context))
}

/// A member changes its version by an upgrade, not on the way.
fn version(conversion: &Conversion<'_>, context: &Context<'_>) -> Reason {
    let name = &context.node.name;
    if kind::upgrade::is_behind(conversion.input.spec, context.node, context.seen, conversion.live) {
        return refuse(format!("{name} is of an older version than is wanted"), "kbootstrap upgrade comes first");
    }
    let pod = conversion.live.static_pods.get(&(name.clone(), "etcd".to_owned()))?;
    let wanted = images::etcd_tag(conversion.spec);
    if pod.tag() == wanted {
        return None;
    }
    refuse(
        format!("etcd on {name} is {}, and the service would be {wanted}", pod.tag()),
        "name the version that runs: etcd.local.imageTag in [override.cluster]",
    )
}

/// What somebody gave the static pod by hand, the service would not have.
fn flags(conversion: &Conversion<'_>, context: &Context<'_>) -> Reason {
    let step = conversion.step(context.node, Action::StaticPods)?;
    let Verdict::Change(change) = kind::judge(step, &conversion.before.context(context.node, context.seen)) else {
        return None;
    };
    let of_etcd = change.diff.iter().find(|line| line.split(' ').nth(1) == Some("etcd"))?;
    refuse(
        format!("etcd on {} does not run as the inventory wants it: {of_etcd}", context.node.name),
        "kbootstrap up makes it so; what shall stay goes into etcd.local.extraArgs of [override.cluster]",
    )
}

/// What a person should know though nothing is done about it.
pub fn notices(conversion: &Conversion<'_>) -> Vec<Notice> {
    let text = "from then on etcd is a service of its own, and there is no way back to static pods";
    let mut notices = vec![Notice { node: None, text: text.to_owned(), hint: None }];
    let (old, new) = (EtcdLayout::Stacked.data_folder(), EtcdLayout::Service.data_folder());
    for (name, _) in conversion.stages.iter().filter(|(_, stage)| **stage == Stage::Pod) {
        let Some(facts) = conversion.basis.facts.get(name) else { continue };
        let disk = |path: &str| facts.disks.get(path);
        let other = disk("/var/lib").or(disk("/"));
        if disk(old).zip(other).is_some_and(|(old, other)| old.size_bytes != other.size_bytes) {
            notices.push(Notice {
                node: Some(name.clone()),
                text: format!("{old} is a disk of its own, and its data are copied to that of {new}"),
                hint: Some(format!("where etcd shall have a disk of its own again, mount one at {new} before")),
            });
        }
    }
    notices
}
