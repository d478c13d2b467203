//! The named conditions of a healthy cluster. Pure: they judge a view, whoever made it.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;
use serde_json::Value;

use crate::model::facts::Etcd;
use crate::model::live::{Live, PodSeen};
use crate::model::name::NodeName;

/// One condition, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// A public name: `nodes-ready`, `static-pods`, `etcd`, `coredns`, `daemon-sets`, `probe`.
    pub name: &'static str,
    pub holds: bool,
    /// What was found where it holds, what is missing where it does not.
    pub detail: String,
}

impl Condition {
    /// It holds where nothing is missing.
    pub(super) fn of(name: &'static str, missing: &[String], found: impl FnOnce() -> String) -> Self {
        let detail = if missing.is_empty() { found() } else { missing.join("; ") };
        Self { name, holds: missing.is_empty(), detail }
    }

    /// The same, with what else is missing.
    pub fn and(mut self, missing: Vec<String>) -> Self {
        if !missing.is_empty() {
            let before = (!self.holds).then(|| self.detail.clone());
            self.detail = before.into_iter().chain(missing).collect::<Vec<_>>().join("; ");
            self.holds = false;
        }
        self
    }
}

/// The line of it for a person: its name, and what was found or is missing.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.detail)
    }
}

/// The nodes that the cluster shall have.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub nodes: &'a [NodeName],
    pub control_planes: &'a [NodeName],
    /// How many members etcd shall have.
    pub members: usize,
}

/// What the API alone can tell.
pub fn conditions(live: &Live, expected: Expected<'_>) -> Vec<Condition> {
    vec![nodes(live, expected), static_pods(live, expected), daemon_sets(live), coredns(live)]
}

fn nodes(live: &Live, expected: Expected<'_>) -> Condition {
    let missing: Vec<String> = (expected.nodes.iter())
        .filter_map(|name| match live.nodes.get(name) {
            None => Some(format!("{name} is not in the cluster")),
            Some(node) if !node.ready => Some(format!("{name} is not ready: {}", node.why.as_deref().unwrap_or("?"))),
            Some(_) => None,
        })
        .collect();
    Condition::of("nodes-ready", &missing, || format!("{} nodes", expected.nodes.len()))
}

fn static_pods(live: &Live, expected: Expected<'_>) -> Condition {
    let config = live.kubeadm_config.as_ref();
    let wanted = config.and_then(|config| config.get("kubernetesVersion")).and_then(Value::as_str);
    let version = wanted.unwrap_or(&live.version);
    let stacked = config.is_none_or(|config| config.pointer("/etcd/external").is_none());
    let components = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"];
    let components = &components[..if stacked { 4 } else { 3 }];
    let mut missing = Vec::new();
    for node in expected.control_planes {
        for component in components {
            let name = format!("{component} on {node}");
            match live.static_pods.get(&(node.clone(), String::from(*component))) {
                None => missing.push(format!("{name} is not there")),
                Some(pod) if !pod.ready => missing.push(format!("{name}: {}", pod.why.as_deref().unwrap_or("?"))),
                Some(pod) if *component != "etcd" && pod.tag() != version => {
                    missing.push(format!("{name} is {}, not {version}", pod.tag()));
                }
                Some(_) => {}
            }
        }
    }
    Condition::of("static-pods", &missing, || format!("{} on each of {}", version, plural(expected)))
}

fn plural(expected: Expected<'_>) -> String {
    match expected.control_planes.len() {
        1 => String::from("1 control plane"),
        count => format!("{count} control planes"),
    }
}

fn daemon_sets(live: &Live) -> Condition {
    // A node that joined a moment ago is not counted by the controllers yet.
    let nodes = u32::try_from(live.nodes.len()).unwrap_or(u32::MAX);
    let missing: Vec<String> = (live.daemon_sets.iter())
        .filter(|(_, set)| !set.is_done() || set.desired < nodes)
        .map(|(name, set)| match set.desired {
            desired if desired < nodes => format!("{name} is not planned on all of {nodes} nodes yet"),
            desired => format!("{name} is up on {} of {desired} nodes", set.available.min(set.updated)),
        })
        .collect();
    Condition::of("daemon-sets", &missing, || {
        let names: Vec<&str> = live.daemon_sets.keys().map(|key| key.rsplit('/').next().unwrap_or(key)).collect();
        format!("{} on {nodes} nodes", names.join(", "))
    })
}

fn coredns(live: &Live) -> Condition {
    let Some(deployment) = &live.coredns else {
        return Condition::of("coredns", &[String::from("it is not deployed")], String::new);
    };
    let ready: Vec<&PodSeen> = live.coredns_pods.values().filter(|pod| pod.ready).collect();
    let on: BTreeSet<&str> = ready.iter().filter_map(|pod| pod.node.as_deref()).collect();
    let room = live.nodes.values().filter(|node| node.takes_system_pods()).count();
    let mut missing = Vec::new();
    if ready.len() < usize::try_from(deployment.desired).unwrap_or(usize::MAX) {
        let why = live.coredns_pods.values().filter(|pod| !pod.going).find_map(|pod| pod.why.as_deref());
        missing.push(format!(
            "{} of {} are ready: {}",
            ready.len(),
            deployment.desired,
            why.unwrap_or("some are missing")
        ));
    } else if deployment.desired >= 2 && room >= 2 && on.len() < 2 {
        missing.push(String::from("all of it is on one node"));
    }
    Condition::of("coredns", &missing, || {
        format!("{} ready on {}", ready.len(), on.into_iter().collect::<Vec<_>>().join(", "))
    })
}

/// What a member of etcd says, or why nothing is known: as many voters as it shall have, no learner, a leader, no alarm.
pub fn etcd_condition(etcd: Result<&Etcd, &str>, expected: Expected<'_>) -> Condition {
    let etcd = match etcd {
        Ok(etcd) => etcd,
        Err(reason) => return Condition::of("etcd", &[String::from(reason)], String::new),
    };
    let mut missing = Vec::new();
    for member in &etcd.members {
        if member.name.is_empty() {
            missing.push(format!("member {} has not started", member.id));
        } else if member.learner {
            missing.push(format!("{} is a learner", member.name));
        }
    }
    let (there, wanted) = (etcd.members.len(), expected.members);
    if there != wanted {
        missing.push(format!("{there} members, not {wanted}"));
    }
    if etcd.leader.is_none() {
        missing.push(String::from("no leader"));
    }
    missing.extend(etcd.alarms.iter().map(|alarm| format!("alarm {alarm}")));
    Condition::of("etcd", &missing, || match there {
        1 => String::from("1 voter"),
        there => format!("{there} voters"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::facts::EtcdMember;
    use crate::model::live::{LiveNode, Rollout};

    fn name(text: &str) -> NodeName {
        NodeName::new(text).unwrap()
    }

    fn pod(node: &str, image: &str) -> PodSeen {
        PodSeen { node: Some(node.into()), image: image.into(), ready: true, ..PodSeen::default() }
    }

    fn healthy() -> Live {
        let components = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
        let mut static_pods: std::collections::BTreeMap<_, _> = components
            .map(|component| ((name("cp1"), component.into()), pod("cp1", &format!("r:5000/{component}:v1.30.14"))))
            .into();
        static_pods.insert((name("cp1"), "etcd".into()), pod("cp1", "registry.k8s.io/etcd:3.5.15-0"));
        let node = LiveNode { ready: true, ..LiveNode::default() };
        let rollout = |desired| Rollout { observed: true, desired, updated: desired, available: desired };
        Live {
            version: "v1.30.14".into(),
            kubeadm_config: Some(json!({"kubernetesVersion": "v1.30.14", "etcd": {"local": {}}})),
            nodes: [(name("cp1"), node.clone()), (name("w1"), node)].into(),
            static_pods,
            coredns: Some(rollout(2)),
            coredns_pods: [("a".into(), pod("cp1", "")), ("b".into(), pod("w1", ""))].into(),
            daemon_sets: [("kube-system/kube-proxy".into(), rollout(2))].into(),
            ..Live::default()
        }
    }

    fn failing(live: &Live) -> Vec<(&'static str, String)> {
        let (nodes, control_planes) = ([name("cp1"), name("w1")], [name("cp1")]);
        let all = conditions(live, Expected { nodes: &nodes, control_planes: &control_planes, members: 1 });
        all.into_iter()
            .filter(|condition| !condition.holds)
            .map(|condition| (condition.name, condition.detail))
            .collect()
    }

    #[test]
    fn a_healthy_cluster_holds_all() {
        assert_eq!(failing(&healthy()), []);
    }

    #[test]
    fn each_fault_breaks_its_condition() {
        let broken = |harm: &dyn Fn(&mut Live)| {
            let mut live = healthy();
            harm(&mut live);
            failing(&live)
        };
        let key = |component: &str| (name("cp1"), String::from(component));
        assert_eq!(
            broken(&|live| {
                let node = live.nodes.get_mut(&name("w1")).unwrap();
                (node.ready, node.why) = (false, Some("no CNI".into()));
            }),
            [("nodes-ready", "w1 is not ready: no CNI".into())]
        );
        assert_eq!(
            broken(&|live| drop(live.static_pods.remove(&key("etcd")))),
            [("static-pods", "etcd on cp1 is not there".into())]
        );
        assert_eq!(
            broken(
                &|live| live.kubeadm_config = Some(json!({"kubernetesVersion": "v1.31.0", "etcd": {"external": {}}}))
            ),
            [(
                "static-pods",
                ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
                    .map(|component| format!("{component} on cp1 is v1.30.14, not v1.31.0"))
                    .join("; ")
            )]
        );
        assert_eq!(
            broken(&|live| live.daemon_sets.values_mut().for_each(|set| set.desired = 1)),
            [("daemon-sets", "kube-system/kube-proxy is not planned on all of 2 nodes yet".into())]
        );
        assert_eq!(
            broken(&|live| live.coredns_pods.get_mut("b").unwrap().node = Some("cp1".into())),
            [("coredns", "all of it is on one node".into())]
        );
        assert_eq!(
            broken(&|live| drop(live.coredns_pods.remove("b"))),
            [("coredns", "1 of 2 are ready: some are missing".into())]
        );
        assert_eq!(broken(&|live| live.coredns = None), [("coredns", "it is not deployed".into())]);
    }

    #[test]
    fn etcd_has_one_voter_for_each_control_plane() {
        let member = |name: &str, learner| EtcdMember { id: "a".into(), name: name.into(), peer_urls: vec![], learner };
        let control_planes = [name("cp1")];
        let expected = Expected { nodes: &[], control_planes: &control_planes, members: 1 };
        let mut healthy = Etcd { members: vec![member("cp1", false)], leader: Some("a".into()), ..Etcd::default() };
        assert!(etcd_condition(Ok(&healthy), expected).holds);
        healthy.alarms = vec!["NOSPACE".into()];
        healthy.members.extend([member("cp2", true), member("", false)]);
        healthy.leader = None;
        assert_eq!(
            etcd_condition(Ok(&healthy), expected).detail,
            "cp2 is a learner; member a has not started; 3 members, not 1; no leader; alarm NOSPACE"
        );
        assert_eq!(etcd_condition(Err("no answer"), expected).detail, "no answer");
    }
}
