//! The file of keys that Secrets are encrypted with, on one control plane: when it is made, brought, mended or refused, and
//! the ops by which it goes from one first provider to another. In which order control planes are taken is
//! `plan::encryption`'s.

mod steps;

pub use steps::{backup, bring, change, load, mark, phase, unmark};

use std::collections::BTreeMap;

use super::{
    super::{diff, op},
    Context,
};
use crate::model::{
    encryption::{FLAG, PATH, PENDING, State, state},
    facts::{Encryption, EncryptionFile, Facts},
    live::{Cluster, Live},
    name::NodeName,
    op::{Keys, Late},
    plan::Verdict,
};

/// `stat`'s word for mode and owner as they shall be.
const MODE: &str = "600 root:root";

/// What was seen on the control planes of the inventory that have joined.
pub fn seen<'a>(live: &Live, facts: &'a BTreeMap<NodeName, Facts>) -> BTreeMap<NodeName, Option<&'a Encryption>> {
    let joined = |name: &NodeName| live.nodes.get(name).is_some_and(|node| node.is_control_plane());
    let of = facts.iter().filter(|(name, facts)| {
        joined(name) && facts.kubernetes.manifests.iter().any(|manifest| manifest == "kube-apiserver.yaml")
    });
    of.map(|(name, facts)| (name.clone(), facts.kubernetes.encryption.as_ref())).collect()
}

/// Whether kubeadm gives the flag to control planes that join.
pub fn is_configured(live: &Live) -> bool {
    let given = live.kubeadm_config.as_ref().and_then(|config| config.pointer("/apiServer/extraArgs"));
    match given {
        Some(serde_json::Value::Object(table)) => table.get(FLAG).is_some_and(|path| path == PATH),
        Some(serde_json::Value::Array(list)) => list.iter().any(|flag| flag["name"] == FLAG && flag["value"] == PATH),
        _ => false,
    }
}

pub fn judge(context: &Context<'_>) -> Verdict {
    if !context.node.is_control_plane() {
        return Verdict::Satisfied;
    }
    let live = match context.cluster {
        Cluster::Live(live) => live,
        Cluster::Unknown { reason } if context.spec.encryption.is_some() && context.leads() => {
            return Verdict::Unknown(reason.clone());
        }
        // Those that join get it with the authorities.
        Cluster::Absent | Cluster::HalfFormed { .. } if context.spec.encryption.is_some() && context.leads() => {
            return found(context);
        }
        Cluster::Unknown { .. } | Cluster::Absent | Cluster::HalfFormed { .. } => return Verdict::Satisfied,
    };
    let all = seen(live, context.facts);
    if context.spec.encryption.is_none() {
        return unwanted(live, &all);
    }
    let name = &context.node.name;
    let state = state(&all);
    let Some(own) = all.get(name) else { return to_join(live, &state) };
    let file = own.and_then(|own| own.file.as_ref());
    match state {
        State::Off | State::TurningOn if file.is_none() => turn_on(context, live, &all),
        State::Unclear(why) => op::refused(
            format!("the control planes have different keys for Secrets, and it is not certain which are right: {why}"),
            format!(
                "put back {PATH} as it was, from another control plane or from a backup; nobody should restart till then"
            ),
        ),
        State::Drift { right, wrong } if wrong.contains(name) => {
            let diff = match file {
                None => format!("+ {PATH}, as the other control planes have it"),
                Some(file) => diff::value(PATH, &short(&file.sha256), &short(&right)),
            };
            op::change(vec![diff], vec![steps::mend(&right)])
        }
        _ => match file.filter(|file| file.mode != MODE) {
            Some(file) => {
                let script = format!("chmod 600 {PATH}\nchown root:root {PATH}");
                let ops = vec![op::node("encryption.mode", format!("make {PATH} root's alone"), script, op::QUICK_S)];
                op::change(vec![diff::value(PATH, &file.mode, MODE)], ops)
            }
            None => Verdict::Satisfied,
        },
    }
}

fn short(sha256: &str) -> String {
    sha256.chars().take(8).collect()
}

/// Before there is a cluster: the key that it begins with.
fn found(context: &Context<'_>) -> Verdict {
    let there = &context.seen.facts.kubernetes;
    if there.encryption.as_ref().is_some_and(|encryption| encryption.file.is_some()) {
        return Verdict::Satisfied;
    }
    // What a backup without keys brings back is plain.
    let pending = if there.restoring { format!("\n: > {PENDING}") } else { String::new() };
    let script = format!("{}{pending}", steps::bring_script());
    let what = "write the key that Secrets are encrypted with";
    let op = op::node_with("encryption.write", what, script, op::QUICK_S, vec![Late::Encryption(Keys::Present)]);
    op::change(vec![format!("+ {PATH}: Secrets are encrypted from the first write")], vec![op])
}

/// A cluster that encrypts, and an inventory that does not want it.
fn unwanted(live: &Live, all: &BTreeMap<NodeName, Option<&Encryption>>) -> Verdict {
    let in_use = |seen: &&Encryption| {
        let writes = |file: &EncryptionFile| file.providers.first().is_some_and(|first| first != "identity");
        seen.flag || seen.file.as_ref().is_some_and(writes)
    };
    if !is_configured(live) && !all.values().flatten().any(in_use) {
        return Verdict::Satisfied;
    }
    op::refused(
        "Secrets of this cluster are encrypted at rest, and the inventory has no [encryption]: without its keys API servers \
         could not read them",
        "write it back: [encryption] provider = \"secretbox\"; turning it off is not built",
    )
}

/// A control plane that is about to join a cluster that lives.
fn to_join(live: &Live, state: &State) -> Verdict {
    match state {
        State::Off | State::TurningOn => op::refused(
            "a control plane is to join, and encryption of Secrets to be turned on: each needs the control planes for itself",
            "one after the other: take [encryption] out of the inventory, or the new control plane, run kbootstrap up, and put \
             it in again",
        ),
        _ if !is_configured(live) => op::refused(
            "kubeadm's configuration in the cluster lacks the flags of encryption: an API server that joins could not read Secrets",
            "take the new control plane out of the inventory, let kbootstrap up mend that, and put it in again",
        ),
        _ => Verdict::Satisfied,
    }
}

fn turn_on(context: &Context<'_>, live: &Live, all: &BTreeMap<NodeName, Option<&Encryption>>) -> Verdict {
    if let Some(why) = not_all(context.spec, live, all) {
        return op::refused(
            format!("encryption of Secrets is turned on with every control plane there: {why}"),
            "bring it back, or take it out of the cluster: kbootstrap status shows them",
        );
    }
    let diff = vec![format!("+ {PATH}: a key that reads; nothing is written with it yet")];
    op::change(diff, vec![steps::step(steps::names(Keys::First), 0, false, Keys::First)])
}

/// Why not every control plane can be taken; `None` where each has answered.
pub fn not_all(
    spec: &crate::model::cluster::ClusterSpec,
    live: &Live,
    all: &BTreeMap<NodeName, Option<&Encryption>>,
) -> Option<String> {
    if let Some(node) = spec.control_planes().find(|node| !all.contains_key(&node.name)) {
        return Some(format!("{} did not answer, or has not joined", node.name));
    }
    let others = live.nodes.iter().find(|(name, node)| node.is_control_plane() && !all.contains_key(*name));
    others.map(|(name, _)| format!("the cluster has a control plane {name}, and the inventory has not"))
}

#[cfg(test)]
mod tests;
