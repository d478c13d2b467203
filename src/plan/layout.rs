//! How members of etcd run, and who holds the witness: read from the cluster where there is one, and chosen before.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    model::{
        cluster::{ClusterSpec, NodeSpec},
        etcd::EtcdLayout,
        facts::Facts,
        live::Cluster,
        name::NodeName,
        observe::Observation,
    },
    render::etcd,
};

/// The wanted cluster with the layout that the machines have, whatever the inventory's number of control planes would give,
/// and with its witness: the worker that the inventory marks, else the one that has it, else the one that fits best.
pub fn settled(spec: &ClusterSpec, cluster: &Cluster, observations: &BTreeMap<NodeName, Observation>) -> ClusterSpec {
    of_layout(layout(cluster, observations).unwrap_or(spec.etcd), spec, observations)
}

/// The wanted cluster with this layout of etcd, and with the witness that it then has.
pub fn of_layout(etcd: EtcdLayout, spec: &ClusterSpec, observations: &BTreeMap<NodeName, Observation>) -> ClusterSpec {
    let mut settled = spec.clone();
    settled.etcd = etcd;
    settled.witness = match settled.etcd {
        EtcdLayout::Service if spec.control_planes().count().is_multiple_of(2) => {
            let marked = spec.workers().find(|node| node.etcd_witness).map(|node| node.name.clone());
            marked.or_else(|| present(spec, observations)).or_else(|| best(spec, observations))
        }
        EtcdLayout::Service | EtcdLayout::Stacked => None,
    };
    settled
}

/// The layout that is there, absent where there is no etcd yet.
fn layout(cluster: &Cluster, observations: &BTreeMap<NodeName, Observation>) -> Option<EtcdLayout> {
    if let Cluster::Live(live) = cluster
        && let Some(config) = &live.kubeadm_config
    {
        let external = config.pointer("/etcd/external").is_some();
        return Some(if external { EtcdLayout::Service } else { EtcdLayout::Stacked });
    }
    let any = |has: fn(&Facts) -> bool| facts(observations).any(|(_, facts)| has(facts));
    if any(|facts| facts.kubernetes.manifests.iter().any(|name| name == "etcd.yaml") || facts.kubernetes.etcd_data) {
        return Some(EtcdLayout::Stacked);
    }
    any(|facts| facts.kubernetes.etcd_service).then_some(EtcdLayout::Service)
}

/// The worker that holds a member of etcd now, by the members' own list or by its data.
pub fn present(spec: &ClusterSpec, observations: &BTreeMap<NodeName, Observation>) -> Option<NodeName> {
    let listed = |node: &NodeSpec| {
        facts(observations)
            .filter_map(|(_, facts)| facts.kubernetes.etcd.as_ref())
            .flat_map(|etcd| &etcd.members)
            .any(|member| member.name == node.name.as_str() || member.peer_urls.contains(&etcd::peer_url(node)))
    };
    let has_data =
        |node: &NodeSpec| facts(observations).any(|(name, facts)| *name == node.name && facts.kubernetes.etcd_service);
    let find =
        |holds: &dyn Fn(&NodeSpec) -> bool| spec.workers().find(|node| holds(node)).map(|node| node.name.clone());
    find(&listed).or_else(|| find(&has_data))
}

/// In a zone without a control plane where there is one, then with the most room on its disk. Of workers that did not answer
/// none is chosen while another one did.
fn best(spec: &ClusterSpec, observations: &BTreeMap<NodeName, Observation>) -> Option<NodeName> {
    let rank = |node: &&NodeSpec| {
        let taken = spec.control_planes().any(|other| other.zone == node.zone);
        let facts = facts(observations).find(|(name, _)| **name == node.name).map(|(_, facts)| facts);
        let room = facts.and_then(|facts| facts.disks.get("/var/lib").or_else(|| facts.disks.get("/")));
        (facts.is_none(), taken, Reverse(room.map_or(0, |disk| disk.free_bytes >> 30)))
    };
    spec.workers().min_by_key(rank).map(|node| node.name.clone())
}

/// Why the witness is where it is, for a plan that puts it there; absent where the inventory says so.
pub fn reason(spec: &ClusterSpec) -> Option<String> {
    let witness = spec.node(spec.witness.as_ref()?).filter(|node| !node.etcd_witness)?;
    let own_zone = witness.zone.is_some() && spec.control_planes().all(|node| node.zone != witness.zone);
    Some(format!(
        "{} control planes and a witness on {}: {}",
        spec.control_planes().count(),
        witness.name,
        if own_zone { "a zone without a control plane" } else { "the worker with the most room on its disk" }
    ))
}

/// What of members' zones loses the quorum, in words; absent where nothing is known of zones, or none does.
pub fn zone_of_too_many(spec: &ClusterSpec) -> Option<(String, String)> {
    let members: Vec<&NodeSpec> = spec.members().collect();
    let mut zones: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for member in &members {
        zones.entry(member.zone.as_ref()?.as_str()).or_default().push(member.name.as_str());
    }
    let quorum = crate::model::etcd::quorum(members.len());
    let (zone, names) = zones.iter().max_by_key(|(_, names)| names.len())?;
    if members.len() < 3 || members.len() - names.len() >= quorum {
        return None;
    }
    let text = format!(
        "zone {zone} holds {} of {} members of etcd ({}): without it there is no quorum",
        names.len(),
        members.len(),
        names.join(", ")
    );
    let free = spec.workers().find(|node| node.zone.as_ref().is_some_and(|zone| !zones.contains_key(zone.as_str())));
    let hint = match (&spec.witness, free) {
        (Some(_), Some(node)) => format!(
            "mark {} with `etcd-witness = true`: zone {} has no member",
            node.name,
            node.zone.as_ref().map_or("", |zone| zone.as_str())
        ),
        (Some(_), None) => "put the witness on a worker of a third zone".to_owned(),
        (None, _) => "spread the control planes over three zones".to_owned(),
    };
    Some((text, hint))
}

fn facts(observations: &BTreeMap<NodeName, Observation>) -> impl Iterator<Item = (&NodeName, &Facts)> {
    observations.iter().filter_map(|(name, observation)| match observation {
        Observation::Seen(seen) => Some((name, &seen.facts)),
        Observation::Unknown { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        kind::testing,
        model::{
            facts::{Disk, Etcd, EtcdMember},
            label::LabelValue,
            live::Live,
            observe::Seen,
        },
    };

    fn spec() -> ClusterSpec {
        let mut spec = testing::spec();
        spec.nodes.retain(|node| node.name.as_str() != "cp3");
        let mut other = spec.nodes[2].clone();
        other.name = "w2".parse().unwrap();
        spec.nodes.push(other);
        spec.etcd = EtcdLayout::Service;
        spec
    }

    fn seen(spec: &ClusterSpec, change: impl Fn(&str, &mut Facts)) -> BTreeMap<NodeName, Observation> {
        let one = |node: &NodeSpec| {
            let mut seen = Seen::default();
            change(node.name.as_str(), &mut seen.facts);
            (node.name.clone(), Observation::Seen(Box::new(seen)))
        };
        spec.nodes.iter().map(one).collect()
    }

    fn witness(spec: &ClusterSpec, change: impl Fn(&str, &mut Facts)) -> String {
        settled(spec, &Cluster::Absent, &seen(spec, change)).witness.unwrap().to_string()
    }

    fn zone(spec: &mut ClusterSpec, zones: [&str; 4]) {
        for (node, zone) in spec.nodes.iter_mut().zip(zones) {
            node.zone = Some(zone.parse::<LabelValue>().unwrap());
        }
    }

    #[test]
    fn the_witness_stays_where_it_is_and_is_chosen_by_zone_then_by_room() {
        let mut spec = spec();
        let room = |name: &str, facts: &mut Facts| {
            let free_bytes = if name == "w2" { 80 << 30 } else { 20 << 30 };
            facts.disks.insert("/".into(), Disk { size_bytes: 100 << 30, free_bytes });
        };
        assert_eq!(witness(&spec, room), "w2");
        zone(&mut spec, ["a", "b", "c", "a"]);
        assert_eq!(witness(&spec, room), "w1", "a zone of its own");
        let there = |name: &str, facts: &mut Facts| facts.kubernetes.etcd_service = name == "w2";
        assert_eq!(witness(&spec, there), "w2", "it has it");
        let listed = |name: &str, facts: &mut Facts| {
            let member = EtcdMember { name: "w2".into(), ..EtcdMember::default() };
            facts.kubernetes.etcd = (name == "cp1").then(|| Etcd { members: vec![member], ..Etcd::default() });
        };
        assert_eq!(witness(&spec, listed), "w2", "etcd says so");
        spec.nodes[2].etcd_witness = true;
        assert_eq!(witness(&spec, there), "w1", "the inventory says so");
    }

    #[test]
    fn what_lives_keeps_its_layout_whatever_the_count() {
        let mut spec = spec();
        let live = |config| Cluster::Live(Box::new(Live { kubeadm_config: Some(config), ..Live::default() }));
        let none = BTreeMap::new();
        let stacked = settled(&spec, &live(json!({"etcd": {"local": {}}})), &none);
        assert_eq!((stacked.etcd, stacked.witness), (EtcdLayout::Stacked, None));
        let mut third = spec.nodes[0].clone();
        third.name = "cp3".parse().unwrap();
        spec.nodes.push(third);
        spec.etcd = EtcdLayout::Stacked;
        let service = settled(&spec, &live(json!({"etcd": {"external": {}}})), &none);
        assert_eq!((service.etcd, service.witness), (EtcdLayout::Service, None), "three need no witness");
        let begun = seen(&spec, |name, facts| facts.kubernetes.etcd_service = name == "cp1");
        assert_eq!(settled(&spec, &Cluster::Absent, &begun).etcd, EtcdLayout::Service);
    }

    #[test]
    fn a_zone_that_holds_the_quorum_is_named_with_a_better_place() {
        let mut spec = spec();
        spec.witness = Some("w1".parse().unwrap());
        assert_eq!(zone_of_too_many(&spec), None, "nothing is known of zones");
        zone(&mut spec, ["a", "b", "a", "c"]);
        let (text, hint) = zone_of_too_many(&spec).unwrap();
        assert_eq!(text, "zone a holds 2 of 3 members of etcd (cp1, w1): without it there is no quorum");
        assert_eq!(hint, "mark w2 with `etcd-witness = true`: zone c has no member");
        spec.witness = Some("w2".parse().unwrap());
        assert_eq!(zone_of_too_many(&spec), None);
        assert_eq!(reason(&spec).unwrap(), "2 control planes and a witness on w2: a zone without a control plane");
    }
}
