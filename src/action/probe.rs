//! Probe pods: what only a pod can tell. One pod on each node asks DNS and connects to a pod on another node.

use std::time::Duration;

use ::kube::Client;
use ::kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use ::kube::runtime::{WatchStreamExt, watcher};
use futures::StreamExt;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Namespace;
use rand::Rng;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::proof::Condition;
use super::session::Session;
use crate::kube::partial::Pod;
use crate::kube::{FIELD_MANAGER, KubeError, view};
use crate::model::drain::PROOF_NAMESPACE;
use crate::model::live::ObjectRef;
use crate::model::name::NodeName;

/// Marks the namespaces of probes, so that one whose run died is found again.
const MARK: &str = "kbootstrap/proof";
/// Nodes that get a pod: more would load a big cluster and tell little.
const MOST: usize = 16;
/// The longest that pods may take to start and to ask.
const LIMIT: Duration = Duration::from_secs(90);
const PORT: u16 = 8080;

/// Runs the probe on these nodes and removes its pods, whatever came of it.
pub(super) async fn probe(session: &Session, nodes: &[NodeName], image: &str, until: Instant) -> Condition {
    let nodes = spread(nodes);
    let namespace = format!("{PROOF_NAMESPACE}{:05x}", rand::rng().random_range(0..1_u32 << 20));
    let until = until.min(Instant::now() + LIMIT);
    let missing = match session.call(|client| ask(client, &namespace, &nodes, image, until)).await {
        Ok(missing) => missing,
        Err(error) => vec![error.to_string()],
    };
    if let Err(error) = session.call(remove).await {
        tracing::warn!(%error, "probe pods are left behind");
    }
    Condition::of("probe", &missing, || format!("DNS and a pod on another node are reached from {} nodes", nodes.len()))
}

/// At most [`MOST`] of the nodes, evenly chosen.
fn spread(nodes: &[NodeName]) -> Vec<&NodeName> {
    nodes.iter().step_by(nodes.len().div_ceil(MOST).max(1)).collect()
}

/// Starts the pods and gives what they could not reach.
async fn ask(
    client: Client,
    namespace: &str,
    nodes: &[&NodeName],
    image: &str,
    until: Instant,
) -> Result<Vec<String>, KubeError> {
    // Each needs those before it: the pods' own account, because the namespace's default one comes a moment later.
    for object in [namespace_object(namespace), account(namespace)] {
        apply(&client, object).await?;
    }
    let service = apply(&client, service(namespace)).await?;
    let address = service.data.pointer("/spec/clusterIP").and_then(Value::as_str).unwrap_or_default();
    let Some(last) = nodes.last() else { return Ok(Vec::new()) };
    let server = pod(namespace, "server", last, image, &json!({"role": "server"}), &[("server", serve())]);
    let clients = nodes.iter().map(|node| {
        // The address is one of a service, so that it is known before the pod behind it runs.
        let asks = [
            ("dns", connect("kubernetes.default.svc:443")),
            ("pods", connect(&format!("{}:{PORT}", bracketed(address)))),
        ];
        pod(namespace, &format!("from-{node}"), node, image, &json!({"role": "client"}), &asks)
    });
    try_join_all([server].into_iter().chain(clients).map(|object| apply(&client, object))).await?;
    answers(client, namespace, nodes.len(), until).await
}

/// Waits until every client has ended, and gives the failures.
async fn answers(client: Client, namespace: &str, count: usize, until: Instant) -> Result<Vec<String>, KubeError> {
    let api: Api<Pod> = Api::namespaced(client, namespace);
    let mut pods = std::collections::BTreeMap::new();
    let mut events = watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
    loop {
        match timeout_at(until, events.next()).await {
            Ok(Some(Ok(pod))) => drop(pods.insert(pod.name(), pod)),
            Ok(Some(Err(error))) => tracing::debug!(%error, "watching probe pods"),
            Ok(None) | Err(_) => break,
        }
        let clients = || pods.values().filter(|pod| pod.label("role") == Some("client"));
        if clients().filter(|pod| matches!(pod.phase(), "Succeeded" | "Failed")).count() == count {
            return Ok(clients().flat_map(failures).collect());
        }
    }
    let waiting = pods.values().filter(|pod| match pod.label("role") {
        Some("client") => pod.phase() != "Succeeded",
        _ => pod.phase() != "Running",
    });
    Ok(waiting
        .map(|pod| {
            let seen = pod.seen();
            format!("pod {} on {}: {}", pod.name(), seen.node.unwrap_or_default(), seen.why.unwrap_or_default())
        })
        .collect())
}

fn failures(pod: &Pod) -> Vec<String> {
    let node = pod.seen().node.unwrap_or_default();
    let failed = pod.ended().filter(|(_, code, _)| *code != 0);
    failed
        .map(|(container, _, words)| {
            let what = match container {
                "dns" => "kubernetes.default.svc",
                _ => "a pod on another node",
            };
            format!("{node} does not reach {what}: {words}")
        })
        .collect()
}

/// Removes every namespace of a probe, with all that is in it; the API server goes on with that by itself.
async fn remove(client: Client) -> Result<(), KubeError> {
    let api: Api<Namespace> = Api::all(client);
    let failed = |error| KubeError::new("remove probe pods", error);
    for namespace in api.list_metadata(&ListParams::default().labels(MARK)).await.map_err(failed)? {
        let name = namespace.metadata.name.unwrap_or_default();
        match api.delete(&name, &DeleteParams::background()).await.map_err(failed) {
            Err(error) if !error.is_not_found() && !error.is_conflict() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

async fn apply(client: &Client, object: Value) -> Result<DynamicObject, KubeError> {
    let name = ObjectRef::of(&object).expect("an object with a name");
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let done = view::dynamic(client, &name).patch(&name.name, &params, &Patch::Apply(object)).await;
    done.map_err(|error| KubeError::new(format!("make {name}"), error))
}

fn namespace_object(namespace: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {MARK: ""}}})
}

fn account(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "proof", "namespace": namespace},
        "automountServiceAccountToken": false,
    })
}

fn service(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server", "namespace": namespace},
        "spec": {"selector": {"role": "server"}, "ports": [{"port": PORT, "protocol": "TCP"}]},
    })
}

fn serve() -> Value {
    json!(["/agnhost", "netexec", format!("--http-port={PORT}"), "--udp-port=-1"])
}

/// Tries for half a minute and more: the pod behind an address may start after the one that asks, on a busy machine long
/// after, and then kube-proxy has to hear of it.
fn connect(to: &str) -> Value {
    const TRY: &str = "for i in $(seq 25); do\n  \
        said=$(/agnhost connect --timeout=2s \"$0\" 2>&1) && exit 0\n  \
        sleep 1\n\
        done\necho \"$0: $said\"\nexit 1";
    json!(["/bin/sh", "-c", TRY, to])
}

/// A pod that every taint lets in and the strictest pod security too.
fn pod(
    namespace: &str,
    name: &str,
    node: &NodeName,
    image: &str,
    labels: &Value,
    containers: &[(&str, Value)],
) -> Value {
    let containers: Vec<Value> = containers
        .iter()
        .map(|(name, command)| {
            json!({
                "name": name,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": command,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            })
        })
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "nodeName": node,
            "serviceAccountName": "proof",
            "restartPolicy": if name == "server" { "Always" } else { "Never" },
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": containers,
        },
    })
}

fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { String::from(address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<NodeName> {
        (0..count).map(|at| NodeName::new(format!("n{at}")).unwrap()).collect()
    }

    #[test]
    fn a_big_cluster_is_probed_by_a_sample() {
        assert_eq!(spread(&names(0)).len(), 0);
        assert_eq!(spread(&names(5)).len(), 5);
        assert_eq!(spread(&names(16)).len(), 16);
        for count in [17, 33, 1000] {
            let (all, chosen) = (names(count), spread(&names(count)).len());
            assert!((9..=MOST).contains(&chosen), "{chosen} of {}", all.len());
        }
    }

    #[test]
    fn failures_say_from_where_to_what() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "from-w1"},
            "spec": {"nodeName": "w1"},
            "status": {"phase": "Failed", "containerStatuses": [
                {"name": "dns", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
                {"name": "pods", "state": {"terminated": {"exitCode": 1, "reason": "Error", "message": "x: TIMEOUT\n"}}},
            ]},
        }))
        .unwrap();
        assert_eq!(failures(&pod), ["w1 does not reach a pod on another node: x: TIMEOUT"]);
    }

    #[test]
    fn the_command_is_one_that_a_shell_reads() {
        let command = connect("a:1");
        let checked = std::process::Command::new("/bin/sh").args(["-n", "-c", command[2].as_str().unwrap()]).status();
        assert!(checked.unwrap().success());
        assert_eq!(command[3], "a:1");
    }
}
