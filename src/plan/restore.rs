//! The plan by which a cluster's control planes give way to a backup of it. Pure.
//!
//! It ends where `up` begins: no control plane carries a cluster, and the first one has the authorities and the snapshot
//! that its init begins from.

use std::collections::BTreeMap;

use super::{after_preflight, guard, item};
use crate::{
    kind::restore,
    model::{
        backup::{Machine, Manifest},
        cluster::{ClusterSpec, NodeSpec},
        facts::Disk,
        name::NodeName,
        observe::Observation,
        plan::{Chain, Change, Item, Notice, Owner, Plan, Refusal, Verdict},
        step::{Step, StepId, StepKind},
    },
};

const FENCED: &str = "nothing of the old cluster runs";

/// All that the plan is made from.
pub struct Restoring<'a> {
    pub spec: &'a ClusterSpec,
    pub observations: &'a BTreeMap<NodeName, Observation>,
    /// What `up` would plan now: a machine that is not fit for it is not fit to be restored on.
    pub usual: &'a Plan,
    pub steps: &'a BTreeMap<NodeName, Vec<Step>>,
    pub archive: &'a Manifest,
    /// Whether the archive was laid on the first control plane by this very command.
    pub laid: bool,
}

/// Control planes of the backup that the inventory does not have at their address, and of which nobody said that they are
/// no more: what runs there would go on as the same cluster.
pub fn not_destroyed<'a>(spec: &ClusterSpec, archive: &'a Manifest, destroyed: &[NodeName]) -> Vec<&'a Machine> {
    let known = |machine: &Machine| spec.control_planes().any(|node| node.address.to_string() == machine.address);
    let said = |machine: &Machine| destroyed.iter().any(|name| name.as_str() == machine.name);
    archive.control_planes.iter().filter(|machine| !known(machine) && !said(machine)).collect()
}

/// Makes the plan.
pub fn build(input: &Restoring<'_>) -> Plan {
    let mut plan = Plan::default();
    let first = input.spec.control_planes().next().map(|node| &node.name);
    for node in &input.spec.nodes {
        let Some(observation) = input.observations.get(&node.name) else { continue };
        if !node.is_control_plane()
            && let Observation::Unknown { error, hint } = observation
        {
            let text = format!("{error}; it is led to the restored control planes once it answers, by `kbootstrap up`");
            plan.notices.push(Notice { node: Some(node.name.clone()), text, hint: hint.clone() });
        }
        let items = items(input, node, observation, first == Some(&node.name));
        plan.chains.push(Chain { owner: Owner::Node(node.name.clone()), items });
    }
    after_preflight(&mut plan);
    if let Some(first) = first {
        let text = "then it begins the cluster from the snapshot, the other control planes join it, and workers are led to \
                    them, as `kbootstrap up` does";
        plan.notices.push(Notice { node: Some(first.clone()), text: text.to_owned(), hint: None });
    }
    plan
}

fn items(input: &Restoring<'_>, node: &NodeSpec, observation: &Observation, first: bool) -> Vec<Item> {
    let there = match observation {
        Observation::Seen(seen) => &seen.facts.kubernetes,
        Observation::Unknown { .. } if !node.is_control_plane() => return Vec::new(),
        Observation::Unknown { error, .. } => {
            let refused = Refusal {
                reason: format!("{error}: its etcd and its API server may be at work"),
                hint: format!(
                    "bring it back; where the machine is no more, take {0} out of the inventory, or give it a new machine, \
                     and say --destroyed {0}",
                    node.name
                ),
            };
            return vec![item("restore.guard", "is it of this cluster?", Verdict::Refused(refused))];
        }
    };
    let hint =
        "is it the right archive, and the right inventory? kbootstrap reset makes a machine of another cluster bare";
    let guard = guard(there, Some((&input.archive.cluster, &input.archive.id)), hint);
    let refused = matches!(guard, Verdict::Refused(_));
    let mut items = vec![item("restore.guard", "is it of this cluster?", guard)];
    if refused {
        return items;
    }
    if !node.is_control_plane() {
        items.extend(there.etcd_service.then(|| {
            let change = Change {
                diff: vec![restore::kept_of_witness()],
                ops: vec![restore::fence_witness()],
                disrupts: Some(format!("etcd's member on {} ends; it joins the restored one", node.name)),
            };
            item("restore.fence", FENCED, Verdict::Change(change))
        }));
        return items;
    }
    items.extend(unfit(input, &node.name));
    if let Observation::Seen(seen) = observation
        && !input.laid
    {
        items.push(item("restore.room", "room for the snapshot", room(input.archive, &seen.facts.disks, first)));
    }
    // Authorities alone are what is left of an attempt, or what this command has just laid.
    let just_laid = input.laid && first;
    let left = !(there.shared_pki.is_empty() || just_laid);
    let fence = match there.has_anything() || left {
        false => Verdict::Satisfied,
        true => Verdict::Change(Change {
            diff: vec![restore::kept()],
            ops: vec![restore::fence(input.spec)],
            disrupts: Some("etcd and the API server end, and all pods of this node".to_owned()),
        }),
    };
    items.push(item("restore.fence", FENCED, fence));
    if first {
        let lay = match there.restoring && input.laid {
            true => Verdict::Satisfied,
            false => Verdict::Change(Change {
                diff: vec![
                    format!("+ the authorities and the identity of cluster {}", input.archive.cluster),
                    format!(
                        "+ a snapshot of etcd of {}, revision {}, {} keys; what was written since is lost",
                        input.archive.taken, input.archive.etcd.revision, input.archive.etcd.keys
                    ),
                ],
                ops: vec![restore::lay(input.spec, &input.archive.parts)],
                disrupts: None,
            }),
        };
        items.push(item("restore.lay", "what init begins from", lay));
    }
    items
}

/// What is kept aside of the old cluster goes on taking its room, so only what is free counts.
fn room(archive: &Manifest, disks: &BTreeMap<String, Disk>, first: bool) -> Verdict {
    let need = if first { restore::room(&archive.parts) } else { restore::room_of_a_member(archive.etcd) };
    let short = disks.iter().find(|(_, disk)| disk.free_bytes < need);
    short.map_or(Verdict::Satisfied, |(folder, disk)| {
        Verdict::Refused(Refusal {
            reason: format!(
                "{} MiB are free for {folder}, and the snapshot needs {} MiB",
                disk.free_bytes >> 20,
                need >> 20
            ),
            hint: "make room, or give the machine a larger disk".to_owned(),
        })
    })
}

/// What is asked of a machine by the playbook, and does not hold.
fn unfit<'a>(input: &'a Restoring<'_>, node: &NodeName) -> impl Iterator<Item = Item> + 'a {
    let owner = Owner::Node(node.clone());
    let steps = input.steps.get(node).map(Vec::as_slice).unwrap_or_default();
    let asks = |id: &StepId| steps.iter().any(|step| step.id == *id && matches!(step.kind, StepKind::Assert(_)));
    let chain = input.usual.chains.iter().filter(move |chain| chain.owner == owner);
    let items = chain.flat_map(|chain| &chain.items);
    items.filter(move |item| matches!(item.verdict, Verdict::Refused(_)) && asks(&item.step)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        backup::{Part, Snapshot},
        facts::ClusterIdentity,
        name::ClusterName,
        node::Role,
        observe::Seen,
        release::Release,
    };

    fn spec() -> ClusterSpec {
        let node = |name: &str, ip: &str, role| NodeSpec::new(name.parse().unwrap(), ip.parse().unwrap(), role);
        let nodes = vec![
            node("cp1", "10.0.0.11", Role::ControlPlane),
            node("cp2", "10.0.0.12", Role::ControlPlane),
            node("w1", "10.0.0.21", Role::Worker),
        ];
        let release = Release::of("1.30.14".parse().unwrap()).unwrap();
        ClusterSpec::new(ClusterName::new("lab").unwrap(), release, nodes)
    }

    fn archive(machines: &[(&str, &str)]) -> Manifest {
        let machine = |(name, address): &(&str, &str)| Machine { name: (*name).into(), address: (*address).into() };
        Manifest {
            schema: String::new(),
            cluster: "lab".into(),
            id: "1".into(),
            kubernetes: "1.30.14".into(),
            node: "cp1".into(),
            taken: "2026-11-21T19:00:00Z".into(),
            program: String::new(),
            control_planes: machines.iter().map(machine).collect(),
            keys: Vec::new(),
            etcd: Snapshot::default(),
            parts: Vec::new(),
        }
    }

    fn seen(identity: Option<&str>, state: bool, restoring: bool) -> Observation {
        let mut seen = Seen::default();
        let there = &mut seen.facts.kubernetes;
        there.identity =
            identity.map(|id| ClusterIdentity { id: id.into(), name: "lab".into(), ca_sha256: String::new() });
        there.etcd_data = state;
        there.restoring = restoring;
        if restoring {
            there.shared_pki = vec!["ca.crt".into()];
        }
        Observation::Seen(Box::new(seen))
    }

    fn verdicts(laid: bool, all: [Observation; 3]) -> Vec<String> {
        let names = ["cp1", "cp2", "w1"].map(|name| name.parse().unwrap());
        let observations = names.into_iter().zip(all).collect();
        let plan = build(&Restoring {
            spec: &spec(),
            observations: &observations,
            usual: &Plan::default(),
            steps: &BTreeMap::new(),
            archive: &archive(&[]),
            laid,
        });
        plan.items()
            .filter_map(|(owner, item)| match &item.verdict {
                Verdict::Change(_) => Some(format!("{owner} {}", item.step)),
                Verdict::Refused(refusal) => Some(format!("{owner} !{}", refusal.reason)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn what_runs_gives_way_and_the_first_gets_the_snapshot() {
        let run = || seen(Some("1"), true, false);
        assert_eq!(
            verdicts(false, [run(), run(), run()]),
            ["cp1 restore.fence", "cp1 restore.lay", "cp2 restore.fence"]
        );
        let bare = || seen(None, false, false);
        assert_eq!(verdicts(false, [bare(), bare(), run()]), ["cp1 restore.lay"]);
        let laid = || seen(Some("1"), false, true);
        assert!(verdicts(true, [laid(), bare(), run()]).is_empty());
        // What an earlier command laid may be of another archive.
        assert_eq!(verdicts(false, [laid(), bare(), run()]), ["cp1 restore.fence", "cp1 restore.lay"]);
        // A worker runs on, but for a member of etcd on it.
        let mut witness = Seen::default();
        witness.facts.kubernetes.etcd_service = true;
        witness.facts.kubernetes.identity =
            Some(ClusterIdentity { id: "1".into(), name: "lab".into(), ca_sha256: String::new() });
        let witness = Observation::Seen(Box::new(witness));
        assert_eq!(verdicts(false, [bare(), bare(), witness]), ["cp1 restore.lay", "w1 restore.fence"]);
    }

    #[test]
    fn a_disk_too_small_for_the_snapshot_is_refused() {
        let mut archive = archive(&[]);
        let part = |bytes| Part { name: "etcd.db".into(), bytes, sha256: String::new() };
        (archive.parts, archive.etcd.bytes) = (vec![part(1 << 30), part(1 << 30)], 1 << 30);
        let disks = |free_bytes| [("/var/lib".to_owned(), Disk { size_bytes: 100 << 30, free_bytes })].into();
        for (free, first, refused) in [
            (0, true, Some("0 MiB are free for /var/lib, and the snapshot needs 6208 MiB")),
            (6 << 30, true, Some("6144 MiB are free for /var/lib, and the snapshot needs 6208 MiB")),
            (7 << 30, true, None),
            (1 << 30, false, Some("1024 MiB are free for /var/lib, and the snapshot needs 1088 MiB")),
            (2 << 30, false, None),
        ] {
            let said = match room(&archive, &disks(free), first) {
                Verdict::Refused(refusal) => Some(refusal.reason),
                _ => None,
            };
            assert_eq!(said.as_deref(), refused);
        }
    }

    #[test]
    fn other_clusters_and_silent_control_planes_are_refused() {
        let bare = || seen(None, false, false);
        let silent = || Observation::Unknown { error: "timed out".into(), hint: None };
        assert!(verdicts(false, [bare(), seen(Some("2"), true, false), bare()])[1].contains("belongs to cluster"));
        assert!(verdicts(false, [bare(), seen(None, true, false), bare()])[1].contains("not of this program"));
        assert!(verdicts(false, [bare(), silent(), bare()])[1].starts_with("cp2 !timed out"));
        assert_eq!(verdicts(false, [bare(), bare(), silent()]), ["cp1 restore.lay"]);
    }

    #[test]
    fn who_is_at_another_address_must_be_destroyed() {
        let archive = archive(&[("cp1", "10.0.0.11"), ("cp2", "10.0.0.92"), ("cp3", "10.0.0.93")]);
        let gone: Vec<NodeName> = vec!["cp3".parse().unwrap()];
        let left = not_destroyed(&spec(), &archive, &gone);
        assert_eq!(left.iter().map(|machine| machine.name.as_str()).collect::<Vec<_>>(), ["cp2"]);
    }
}
