//! CoreDNS on more than one node.
//!
//! kubeadm's Deployment prefers different nodes, but both replicas wait for the first node that is ready and so usually
//! share it. One of them is deleted once another node can take it: its successor goes there by that preference.

use ::kube::api::{Api, DeleteParams};
use tokio::time::{Instant, timeout_at};

use super::ActionError;
use super::session::Session;
use crate::kube::partial::Pod;
use crate::kube::watch::Watch;
use crate::kube::{KubeError, SYSTEM, view};
use crate::model::live::{Live, PodSeen};

/// How often a replica is moved before it is left to a person: another pod may take the place meanwhile.
const MOVES: usize = 3;

/// What is to be done about the replicas.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Spread,
    /// Nothing can be done: one node, or one replica.
    Alone(&'static str),
    /// Not to be told yet.
    Wait(&'static str),
    /// Delete this pod.
    Move(String),
}

/// Spreads the replicas over two nodes, if there are two that can take them.
pub(super) async fn spread(session: &Session, until: Instant) -> Result<Vec<String>, ActionError> {
    const WHAT: &str = "spread CoreDNS over two nodes";
    let mut live =
        session.call(|client| async move { view(&client, &[]).await }).await.map_err(ActionError::of(WHAT))?;
    let mut watch = Watch::new(&session.client().await.map_err(ActionError::of(WHAT))?);
    let mut moved = Vec::new();
    loop {
        let waits = match verdict(&live) {
            Verdict::Spread if moved.is_empty() => return Ok(Vec::new()),
            Verdict::Spread => return Ok(vec![format!("moved {}", moved.join(", "))]),
            Verdict::Alone(why) => return Ok(vec![String::from(why)]),
            Verdict::Wait(why) => why,
            Verdict::Move(_) if moved.len() == MOVES => {
                return Err(ActionError::new(WHAT, "its replicas come back to the same node"));
            }
            Verdict::Move(pod) => {
                delete(session, &pod).await.map_err(ActionError::of(WHAT))?;
                // The watch will say so too; until then nothing else is to be moved.
                if let Some(seen) = live.coredns_pods.get_mut(&pod) {
                    seen.going = true;
                }
                moved.push(pod);
                "its moved replica has no node yet"
            }
        };
        match timeout_at(until, watch.next(&mut live)).await {
            Ok(Ok(())) => {}
            // The watch begins anew by itself.
            Ok(Err(error)) => tracing::debug!(%error, "watching CoreDNS"),
            Err(_) => return Err(ActionError::new(WHAT, waits)),
        }
    }
}

fn verdict(live: &Live) -> Verdict {
    if live.coredns.as_ref().is_some_and(|deployment| deployment.desired < 2) {
        return Verdict::Alone("CoreDNS has one replica");
    }
    if live.nodes.len() < 2 {
        return Verdict::Alone("there is one node");
    }
    if live.nodes.values().filter(|node| node.takes_system_pods()).count() < 2 {
        return Verdict::Wait("fewer than two nodes can take it");
    }
    let pods: Vec<(&String, &PodSeen)> = live.coredns_pods.iter().filter(|(_, pod)| !pod.going).collect();
    let Some(nodes) = pods.iter().map(|(_, pod)| pod.node.as_deref()).collect::<Option<Vec<&str>>>() else {
        return Verdict::Wait("a replica has no node yet");
    };
    match nodes.first() {
        Some(first) if nodes.iter().any(|node| node != first) => return Verdict::Spread,
        Some(_) if nodes.len() > 1 => {}
        _ => return Verdict::Wait("fewer than two replicas are there"),
    }
    // The younger one goes, and only while another serves.
    let youngest = pods.iter().max_by_key(|(name, pod)| (&pod.created, *name));
    match youngest {
        Some((name, _)) if pods.iter().any(|(other, pod)| other != name && pod.ready) => Verdict::Move((*name).clone()),
        _ => Verdict::Wait("none of its replicas is ready"),
    }
}

async fn delete(session: &Session, pod: &str) -> Result<(), KubeError> {
    session
        .call(|client| async move {
            let api: Api<Pod> = Api::namespaced(client, SYSTEM);
            match api.delete(pod, &DeleteParams::default()).await {
                Ok(_) => Ok(()),
                Err(error) => match KubeError::new(format!("delete pod {pod}"), error) {
                    error if error.is_not_found() => Ok(()),
                    error => Err(error),
                },
            }
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::live::{LiveNode, Rollout};
    use crate::model::name::NodeName;

    fn live(nodes: &[(&str, bool)], pods: &[(&str, Option<&str>, bool, &str)]) -> Live {
        Live {
            nodes: (nodes.iter())
                .map(|(name, ready)| (NodeName::new(*name).unwrap(), LiveNode { ready: *ready, ..LiveNode::default() }))
                .collect(),
            coredns_pods: (pods.iter())
                .map(|(name, node, ready, created)| {
                    let seen = PodSeen {
                        node: node.map(String::from),
                        ready: *ready,
                        created: (*created).into(),
                        ..PodSeen::default()
                    };
                    (String::from(*name), seen)
                })
                .collect(),
            coredns: Some(Rollout { desired: 2, ..Rollout::default() }),
            ..Live::default()
        }
    }

    const TWO: [(&str, bool); 2] = [("a", true), ("b", true)];

    #[test]
    fn the_younger_of_two_on_one_node_is_moved() {
        let pods = [("x", Some("a"), true, "2"), ("y", Some("a"), true, "1")];
        assert_eq!(verdict(&live(&TWO, &pods)), Verdict::Move("x".into()));
        let pods = [("x", Some("a"), true, "1"), ("y", Some("a"), true, "1")];
        assert_eq!(verdict(&live(&TWO, &pods)), Verdict::Move("y".into()));
    }

    #[test]
    fn one_keeps_serving() {
        let pods = [("x", Some("a"), true, "2"), ("y", Some("a"), false, "1")];
        assert!(matches!(verdict(&live(&TWO, &pods)), Verdict::Wait(_)));
        let mut moving = live(&TWO, &[("x", Some("a"), true, "2"), ("y", Some("a"), true, "1")]);
        moving.coredns_pods.get_mut("x").unwrap().going = true;
        assert!(matches!(verdict(&moving), Verdict::Wait(_)));
    }

    #[test]
    fn what_is_apart_or_alone_is_left() {
        let apart = [("x", Some("a"), false, "2"), ("y", Some("b"), true, "1")];
        assert_eq!(verdict(&live(&TWO, &apart)), Verdict::Spread);
        let same = [("x", Some("a"), true, "2"), ("y", Some("a"), true, "1")];
        assert!(matches!(verdict(&live(&[("a", true)], &same)), Verdict::Alone(_)));
        assert!(matches!(verdict(&live(&[("a", true), ("b", false)], &same)), Verdict::Wait(_)));
        assert!(matches!(verdict(&live(&TWO, &[("x", None, false, "")])), Verdict::Wait(_)));
        let mut single = live(&TWO, &same[..1]);
        single.coredns.as_mut().unwrap().desired = 1;
        assert!(matches!(verdict(&single), Verdict::Alone(_)));
    }
}
