//! The gate behind each node of a roll: named conditions that must hold in several looks in a row.
//!
//! One look is not enough: an API server answers a moment before kubelet restarts it once more, and a node stays Ready for
//! 40 s after its kubelet went silent.

use std::time::Duration;

use ::kube::Client;
use ::kube::api::{Api, ListParams};
use tokio::time::{Instant, sleep};

use super::ActionError;
use super::divert::Fleet;
use super::proof::{Condition, Expected, etcd_condition};
use super::session::Session;
use super::waiting::Waiting;
use crate::facts::control_plane;
use crate::facts::section::Section;
use crate::kube::partial::{Node, Pod};
use crate::kube::{KubeError, rolling};
use crate::model::facts::Etcd;
use crate::model::live::{LiveNode, PodSeen};
use crate::model::rolling::{Settle, Word};
use crate::model::version::KubeVersion;
use crate::shell::wrap;
use crate::transport::{Limits, Script};

/// Time between looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits until all conditions held `wanted.looks` times in a row.
pub(super) async fn settle(
    session: &Session,
    fleet: &Fleet,
    wanted: &Settle,
    until: Instant,
    mut waiting: Waiting<'_>,
) -> Result<Vec<String>, ActionError> {
    let mut held = 0;
    loop {
        let all = look(session, fleet, wanted).await;
        let missing: Vec<&Condition> = all.iter().filter(|condition| !condition.holds).collect();
        held = if missing.is_empty() { held + 1 } else { 0 };
        if held >= wanted.looks {
            return Ok(Vec::new());
        }
        if Instant::now() + PAUSE > until {
            let names: Vec<&str> = missing.iter().map(|condition| condition.name).collect();
            let cause = match names.as_slice() {
                [] => "its conditions held too short".to_owned(),
                names => format!("{} of {} conditions do not hold: {}", names.len(), all.len(), names.join(", ")),
            };
            let details = missing.iter().map(ToString::to_string);
            return Err(ActionError::new(format!("see {} well again", wanted.node), cause)
                .details(details)
                .hint("look at the node, then run the same command again: it goes on from there"));
        }
        waiting.still(missing.iter().map(ToString::to_string));
        sleep(PAUSE).await;
    }
}

async fn look(session: &Session, fleet: &Fleet, wanted: &Settle) -> Vec<Condition> {
    let (by_api, by_node) = tokio::join!(by_api(session, wanted), by_node(fleet, wanted));
    let well = match (&by_node, wanted.word) {
        (Ok(answers), Word::Either) => answers.well(wanted),
        _ => Vec::new(),
    };
    let mut all = by_api.map_or_else(
        |error| vec![Condition::of("api", &[error.to_string()], String::new)],
        |seen| seen.conditions(wanted, &well),
    );
    match by_node {
        Ok(answers) => all.extend(answers.conditions(wanted)),
        Err(why) => all.push(Condition::of("readyz", &[why], String::new)),
    }
    all
}

/// What the API has of the node.
struct ByApi {
    node: Option<LiveNode>,
    pods: Vec<Pod>,
    /// Certificate requests of the node that nobody has answered.
    requests: Vec<String>,
}

async fn by_api(session: &Session, wanted: &Settle) -> Result<ByApi, KubeError> {
    let (node, pods, requests) = session
        .call(|client| async move {
            tokio::try_join!(
                node(&client, wanted),
                pods(&client, wanted),
                rolling::pending_requests(&client, &wanted.node)
            )
        })
        .await?;
    Ok(ByApi { node, pods, requests })
}

impl ByApi {
    fn conditions(&self, wanted: &Settle, well: &[&str]) -> Vec<Condition> {
        let mut all = vec![node_condition(self.node.as_ref(), wanted), daemons_condition(&self.pods)];
        if wanted.control_plane {
            all.push(static_condition(&self.pods, wanted, well));
        }
        all.push(Condition::of("certificate-requests", &self.requests, || "none is pending".into()));
        all
    }
}

async fn node(client: &Client, wanted: &Settle) -> Result<Option<LiveNode>, KubeError> {
    let api: Api<Node> = Api::all(client.clone());
    let found = api.get_opt(wanted.node.as_str()).await;
    Ok(found.map_err(|error| KubeError::new(format!("read node {}", wanted.node), error))?.map(Node::live))
}

async fn pods(client: &Client, wanted: &Settle) -> Result<Vec<Pod>, KubeError> {
    let api: Api<Pod> = Api::all(client.clone());
    let list = api.list(&ListParams::default().fields(&format!("spec.nodeName={}", wanted.node))).await;
    list.map(|list| list.items).map_err(|error| KubeError::new(format!("read the pods of {}", wanted.node), error))
}

fn node_condition(node: Option<&LiveNode>, wanted: &Settle) -> Condition {
    let missing = match node {
        None => vec!["it is not in the cluster".to_owned()],
        Some(node) => {
            let mut missing = Vec::new();
            if !node.ready {
                missing.push(format!("it is not Ready: {}", node.why.as_deref().unwrap_or("?")));
            }
            if let Some(version) = wanted.kubelet
                && node.kubelet != version.tag()
            {
                missing.push(format!("its kubelet is {}, not {}", node.kubelet, version.tag()));
            }
            missing
        }
    };
    Condition::of("node-ready", &missing, || node.map(|node| node.kubelet.clone()).unwrap_or_default())
}

/// Pods of DaemonSets: the network's among them, without which no pod of the node reaches any other.
fn daemons_condition(pods: &[Pod]) -> Condition {
    let daemons: Vec<(String, PodSeen)> =
        pods.iter().filter(|pod| pod.is_of("DaemonSet")).map(|pod| (pod.name(), pod.seen())).collect();
    let missing: Vec<String> = daemons
        .iter()
        .filter(|(_, pod)| !pod.ready)
        .map(|(name, pod)| format!("{name}: {}", pod.why.as_deref().unwrap_or("?")))
        .collect();
    Condition::of("daemon-pods", &missing, || format!("{} pods", daemons.len()))
}

/// Static pods, at their version and ready: by kubelet's word, or, before kubelet's first question to it is due, by the
/// component's own (`well`).
fn static_condition(pods: &[Pod], wanted: &Settle, well: &[&str]) -> Condition {
    let version = wanted.servers.map(KubeVersion::tag);
    let other = |pod: &PodSeen| version.as_deref().filter(|version| pod.tag() != *version);
    let mut missing = Vec::new();
    for component in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        let found = pods
            .iter()
            .find(|pod| pod.label("component") == Some(component) && pod.label("tier") == Some("control-plane"));
        match found.map(Pod::seen) {
            // etcd may be a service.
            None if component == "etcd" => {}
            None => missing.push(format!("{component} is not there")),
            Some(pod) if !pod.ready && !well.contains(&component) => {
                missing.push(format!("{component}: {}", pod.why.as_deref().unwrap_or("?")));
            }
            // Its version is its own.
            Some(_) if component == "etcd" => {}
            Some(pod) => {
                missing.extend(other(&pod).map(|version| format!("{component} is {}, not {version}", pod.tag())))
            }
        }
    }
    Condition::of("static-pods", &missing, || version.clone().unwrap_or_default())
}

/// What the node's own programs say: its member of etcd, its API server, the components beside it.
#[derive(Default)]
struct ByNode {
    etcd: Option<Etcd>,
    readyz: Option<u16>,
    components: Vec<&'static str>,
}

impl ByNode {
    /// What is well by its own word. A member of etcd that reads with the quorum of all is.
    fn well(&self, wanted: &Settle) -> Vec<&'static str> {
        let etcd = self.etcd.as_ref().is_some_and(|etcd| etcd.kubeadm_config == Some(true));
        let mut well = self.components.clone();
        well.extend((etcd && wanted.members.is_some()).then_some("etcd"));
        well.extend((self.readyz == Some(200)).then_some("kube-apiserver"));
        well
    }

    fn conditions(&self, wanted: &Settle) -> Vec<Condition> {
        let mut all = Vec::new();
        if wanted.control_plane {
            let missing = match self.readyz {
                Some(200) => None,
                Some(code) => Some(format!("the API server of {} says {code}", wanted.node)),
                None => Some(format!("the API server of {} does not answer", wanted.node)),
            };
            all.push(Condition::of("readyz", missing.as_slice(), || "200".into()));
        }
        if let Some(members) = wanted.members {
            let expected = Expected { nodes: &[], control_planes: &[], members };
            all.push(match &self.etcd {
                None => etcd_condition(Err("its member does not answer"), expected),
                // It reads with the quorum of all.
                Some(etcd) if etcd.kubeadm_config != Some(true) => {
                    etcd_condition(Err("its member has no quorum"), expected)
                }
                Some(etcd) => etcd_condition(Ok(etcd), expected),
            });
        }
        all
    }
}

async fn by_node(fleet: &Fleet, wanted: &Settle) -> Result<ByNode, String> {
    if !wanted.control_plane && wanted.members.is_none() {
        return Ok(ByNode::default());
    }
    let link = fleet.get(&wanted.node).ok_or("it is not in the inventory")?;
    let connection = link.get().await.map_err(|error| error.to_string())?;
    let script = Script::new(wrap(&control_plane::command_with_components()));
    let output = connection.observe(&script, Limits::within(Duration::from_secs(15))).await;
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            link.drop_connection().await;
            return Err(error.to_string());
        }
    };
    let section = Section { code: 0, out: &output.stdout, err: &output.stderr };
    let (etcd, readyz) = control_plane::parse(Some(&section));
    Ok(ByNode { etcd, readyz, components: control_plane::well_components(&section) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> Settle {
        Settle {
            node: "cp1".parse().unwrap(),
            kubelet: Some(KubeVersion::new(31, 13)),
            control_plane: true,
            servers: Some(KubeVersion::new(31, 13)),
            members: Some(1),
            looks: 3,
            word: Word::Either,
        }
    }

    fn pod(component: &str, image: &str, ready: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": component, "labels": {"component": component, "tier": "control-plane"}},
            "spec": {"containers": [{"name": "c", "image": image}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    #[test]
    fn static_pods_must_be_ready_in_the_new_version() {
        let mut pods = vec![
            pod("etcd", "r/etcd:3.5.15-0", "True"),
            pod("kube-apiserver", "r/a:v1.31.13", "True"),
            pod("kube-controller-manager", "r/b:v1.30.14", "True"),
            pod("kube-scheduler", "r/c:v1.31.13", "False"),
        ];
        let condition = static_condition(&pods, &wanted(), &[]);
        assert_eq!(
            condition.detail,
            "kube-controller-manager is v1.30.14, not v1.31.13; kube-scheduler: it is not ready yet"
        );
        pods.truncate(2);
        pods.push(pod("kube-controller-manager", "r/b:v1.31.13", "True"));
        assert_eq!(static_condition(&pods, &wanted(), &[]).detail, "kube-scheduler is not there");
        pods.push(pod("kube-scheduler", "r/c:v1.31.13", "True"));
        assert!(static_condition(&pods, &wanted(), &[]).holds);
    }

    #[test]
    fn a_component_is_well_by_its_own_word_before_kubelet_asks_it() {
        let mut pods = vec![
            pod("kube-apiserver", "r/a:v1.31.13", "True"),
            pod("kube-controller-manager", "r/b:v1.31.13", "False"),
            pod("kube-scheduler", "r/c:v1.31.13", "False"),
        ];
        let well = ["kube-scheduler", "kube-controller-manager"];
        assert_eq!(
            static_condition(&pods, &wanted(), &well[..1]).detail,
            "kube-controller-manager: it is not ready yet"
        );
        assert!(static_condition(&pods, &wanted(), &well).holds);
        // What answers is the old one.
        pods[2] = pod("kube-scheduler", "r/c:v1.30.14", "False");
        assert_eq!(static_condition(&pods, &wanted(), &well).detail, "kube-scheduler is v1.30.14, not v1.31.13");
    }

    #[test]
    fn a_node_must_be_ready_at_the_version() {
        let node =
            LiveNode { ready: false, why: Some("no CNI".into()), kubelet: "v1.30.14".into(), ..LiveNode::default() };
        let condition = node_condition(Some(&node), &wanted());
        assert_eq!(condition.detail, "it is not Ready: no CNI; its kubelet is v1.30.14, not v1.31.13");
        assert!(!node_condition(None, &wanted()).holds);
    }
}
