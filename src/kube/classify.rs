//! What observations of the nodes and the API's answer say of the cluster. Pure; unknown is never absent.

use crate::model::facts::Kubernetes;
use crate::model::live::{Cluster, Live};
use crate::model::name::NodeName;

/// One node of the inventory as far as it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    pub node: &'a NodeName,
    pub control_plane: bool,
    /// What lies on the node, or why that is not known.
    pub seen: Result<&'a Kubernetes, &'a str>,
}

/// What came of asking the API.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Nobody could be asked: no control plane has credentials.
    NotAsked,
    Said(Box<Live>),
    /// No answer that means anything, with the reason.
    Failed(String),
}

/// The verdict.
///
/// [`Cluster::Absent`] and [`Cluster::HalfFormed`] lead to `kubeadm init`. So both need an answer of every control plane,
/// and the second needs proof besides: the API's or etcd's own word that `kubeadm-config` is not there, or an etcd that
/// never stored anything.
pub fn classify(sights: &[Sight<'_>], answer: Answer) -> Cluster {
    if let Answer::Said(live) = &answer
        && live.kubeadm_config.is_some()
    {
        let Answer::Said(live) = answer else { unreachable!("it was said") };
        return Cluster::Live(live);
    }
    let unknown = |reason: String| Cluster::Unknown { reason };
    let silent: Vec<String> = sights
        .iter()
        .filter(|sight| sight.control_plane)
        .filter_map(|sight| Some(format!("{} ({})", sight.node, sight.seen.err()?)))
        .collect();
    let carriers: Vec<(&NodeName, &Kubernetes)> = sights
        .iter()
        .filter(|sight| sight.control_plane)
        .filter_map(|sight| Some((sight.node, sight.seen.ok()?)))
        .filter(|(_, kubernetes)| kubernetes.has_state())
        .collect();
    if !silent.is_empty() {
        return unknown(format!(
            "no answer from {}; whether a cluster lives there cannot be told{}",
            silent.join(", "),
            because(&answer)
        ));
    }
    match (&carriers[..], &answer) {
        ([], Answer::Said(_)) => {
            unknown(String::from("an API server answered, yet no control plane of the inventory carries cluster state"))
        }
        ([], _) => Cluster::Absent,
        ([(node, kubernetes)], _) => alone(node, kubernetes, sights, &answer),
        (carriers, Answer::Said(_)) => unknown(format!(
            "the API says that ConfigMap kubeadm-config is not there, yet {} all carry cluster state: it was removed from \
             a cluster that lives",
            names(carriers)
        )),
        (carriers, _) => unknown(format!(
            "{} carry cluster state, but the cluster does not answer{}",
            names(carriers),
            because(&answer)
        )),
    }
}

/// The verdict where one control plane carries state and all others answered that they carry none.
fn alone(node: &NodeName, kubernetes: &Kubernetes, sights: &[Sight<'_>], answer: &Answer) -> Cluster {
    let unknown = |reason: String| Cluster::Unknown { reason };
    let half = |reason: &str| Cluster::HalfFormed { node: node.clone(), reason: String::from(reason) };
    let joined = sights.iter().find(|sight| {
        let joined = |kubernetes: &Kubernetes| kubernetes.configs.iter().any(|name| name == "kubelet.conf");
        sight.node != node && sight.seen.is_ok_and(joined)
    });
    if let Some(joined) = joined {
        return unknown(format!(
            "{} has joined a cluster, so init of {node} was done once, but the cluster does not answer as one{}",
            joined.node,
            because(answer)
        ));
    }
    if let Answer::Said(live) = answer {
        return match (live.nodes.keys().find(|other| *other != node), &live.identity) {
            (None, None) => {
                half("its API says that ConfigMap kubeadm-config is not there: kubeadm init did not finish")
            }
            (Some(other), _) => unknown(format!(
                "the API says that ConfigMap kubeadm-config is not there, yet node {other} is a member: it was removed \
                 from a cluster that lives"
            )),
            (None, Some(_)) => unknown(String::from(
                "the API says that ConfigMap kubeadm-config is not there, yet the cluster's identity is: it was removed \
                 from a cluster that lives",
            )),
        };
    }
    match kubernetes.etcd.as_ref().map(|etcd| etcd.kubeadm_config) {
        Some(Some(false)) => {
            half("its etcd says that ConfigMap kubeadm-config is not there: kubeadm init did not finish")
        }
        // A member as a service has data from before init on.
        _ if !kubernetes.etcd_data && !kubernetes.etcd_service => {
            half("kubeadm init began there, and its etcd never stored anything")
        }
        _ => unknown(format!("{node} carries cluster state, but the cluster does not answer{}", because(answer))),
    }
}

/// Why the API said nothing, to end a sentence with.
fn because(answer: &Answer) -> String {
    match answer {
        Answer::Failed(reason) => format!(": {reason}"),
        Answer::NotAsked | Answer::Said(_) => String::new(),
    }
}

fn names(carriers: &[(&NodeName, &Kubernetes)]) -> String {
    carriers.iter().map(|(node, _)| node.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::facts::{ClusterIdentity, Etcd};
    use crate::model::live::LiveNode;

    /// What a node of a test looks like.
    #[derive(Clone, Copy)]
    enum Is {
        Silent,
        Bare,
        /// Certificates and manifests, etcd empty.
        Begun,
        /// Data in etcd, which does not answer.
        Stored,
        /// Data in etcd, a service that does not answer.
        Served,
        /// Data in etcd, which says whether `kubeadm-config` is there.
        Asked(Option<bool>),
        /// Only `kubelet.conf`.
        Joined,
    }

    fn kubernetes(is: Is) -> Kubernetes {
        let state = Kubernetes {
            configs: vec!["admin.conf".into(), "kubelet.conf".into()],
            manifests: vec!["etcd.yaml".into()],
            ..Kubernetes::default()
        };
        match is {
            Is::Silent | Is::Bare => Kubernetes::default(),
            Is::Begun => state,
            Is::Stored => Kubernetes { etcd_data: true, ..state },
            Is::Served => Kubernetes { etcd_service: true, ..state },
            Is::Asked(kubeadm_config) => {
                Kubernetes { etcd_data: true, etcd: Some(Etcd { kubeadm_config, ..Etcd::default() }), ..state }
            }
            Is::Joined => Kubernetes { configs: vec!["kubelet.conf".into()], ..Kubernetes::default() },
        }
    }

    /// `l` live, `h` half-formed on cp1, `a` absent, else the reason for unknown.
    fn verdict(control_planes: [Is; 3], worker: Is, answer: Answer) -> String {
        let names: Vec<NodeName> = ["cp1", "cp2", "cp3", "w1"].map(|name| NodeName::new(name).unwrap()).into();
        let kinds: Vec<Is> = control_planes.into_iter().chain([worker]).collect();
        let facts: Vec<Kubernetes> = kinds.iter().map(|is| kubernetes(*is)).collect();
        let sights: Vec<Sight<'_>> = (0..4)
            .map(|at| Sight {
                node: &names[at],
                control_plane: at < 3,
                seen: if matches!(kinds[at], Is::Silent) { Err("timed out") } else { Ok(&facts[at]) },
            })
            .collect();
        match classify(&sights, answer) {
            Cluster::Absent => "a".into(),
            Cluster::HalfFormed { node, .. } if node == names[0] => "h".into(),
            Cluster::HalfFormed { node, .. } => node.to_string(),
            Cluster::Live(_) => "l".into(),
            Cluster::Unknown { reason } => reason,
        }
    }

    fn said(kubeadm_config: bool, nodes: &[&str], identity: bool) -> Answer {
        let identity = identity.then(|| ClusterIdentity { id: "1".into(), name: "lab".into(), ca_sha256: "2".into() });
        Answer::Said(Box::new(Live {
            identity,
            kubeadm_config: kubeadm_config.then(|| json!({})),
            nodes: nodes.iter().map(|name| (NodeName::new(*name).unwrap(), LiveNode::default())).collect(),
            ..Live::default()
        }))
    }

    fn failed() -> Answer {
        Answer::Failed("refused".into())
    }

    use Is::{Asked, Bare, Begun, Joined, Served, Silent, Stored};

    #[test]
    fn absent_needs_every_control_planes_word() {
        assert_eq!(verdict([Bare, Bare, Bare], Bare, Answer::NotAsked), "a");
        assert_eq!(verdict([Bare, Bare, Bare], Silent, Answer::NotAsked), "a");
        // A worker's foreign state is refused by its own step.
        assert_eq!(verdict([Bare, Bare, Bare], Joined, Answer::NotAsked), "a");
        for seen in [[Silent, Bare, Bare], [Bare, Silent, Bare], [Silent, Silent, Silent], [Silent, Begun, Bare]] {
            assert!(verdict(seen, Bare, Answer::NotAsked).starts_with("no answer from cp"));
        }
    }

    #[test]
    fn a_cluster_that_answers_lives_whoever_is_silent() {
        for seen in [[Stored, Stored, Stored], [Stored, Silent, Silent], [Stored, Bare, Bare]] {
            assert_eq!(verdict(seen, Silent, said(true, &["cp1", "cp2"], true)), "l");
        }
    }

    #[test]
    fn half_formed_is_proven_by_an_answer() {
        assert_eq!(verdict([Stored, Bare, Bare], Bare, said(false, &["cp1"], false)), "h");
        assert_eq!(verdict([Stored, Bare, Bare], Bare, said(false, &[], false)), "h");
        assert_eq!(verdict([Asked(Some(false)), Bare, Bare], Bare, failed()), "h");
        assert_eq!(verdict([Begun, Bare, Bare], Bare, failed()), "h");
        assert_eq!(verdict([Begun, Bare, Bare], Bare, Answer::NotAsked), "h");
        assert_eq!(verdict([Bare, Begun, Bare], Bare, Answer::NotAsked), "cp2");
    }

    #[test]
    fn what_is_not_proven_is_unknown() {
        let silent = "cp1 carries cluster state, but the cluster does not answer: refused";
        for one in [Stored, Served, Asked(None), Asked(Some(true))] {
            assert_eq!(verdict([one, Bare, Bare], Bare, failed()), silent);
        }
        assert_eq!(
            verdict([Stored, Stored, Bare], Bare, failed()),
            "cp1, cp2 carry cluster state, but the cluster does not answer: refused"
        );
        for answer in [said(false, &["cp1"], false), failed()] {
            assert!(verdict([Begun, Silent, Bare], Bare, answer.clone()).starts_with("no answer from cp2 (timed out)"));
            assert!(verdict([Begun, Bare, Bare], Joined, answer.clone()).starts_with("w1 has joined a cluster"));
            assert_ne!(verdict([Begun, Begun, Bare], Bare, answer), "h");
        }
    }

    #[test]
    fn a_living_cluster_without_its_config_map_is_not_formed_again() {
        for answer in [said(false, &["cp1", "w1"], false), said(false, &["cp1"], true)] {
            assert!(verdict([Stored, Bare, Bare], Bare, answer).ends_with("it was removed from a cluster that lives"));
        }
        assert!(verdict([Bare, Bare, Bare], Bare, said(false, &[], false)).starts_with("an API server answered"));
    }
}
