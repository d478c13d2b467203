//! Taking the work off a node through the eviction API, so that budgets are heard.

use std::collections::BTreeMap;
use std::time::Duration;

use ::kube::Client;
use ::kube::api::{Api, DeleteParams, Preconditions};
use ::kube::core::Status;
use ::kube::runtime::watcher::{self, watcher};
use ::kube::runtime::{WatchStreamExt, watcher::Config};
use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::session::Session;
use super::waiting::Waiting;
use super::{ActionError, cordon};
use crate::kube::partial::Pod;
use crate::kube::{KubeError, node_pods};
use crate::model::drain::{Fate, NodePod, OnBlocked};
use crate::model::name::NodeName;

/// A refused eviction is tried again after this long, unless a pod of the node changes before.
const RETRY: Duration = Duration::from_secs(2);
/// Evictions in flight at once.
const AT_ONCE: usize = 16;
/// How long pods may take to end that were deleted in spite of their budgets.
const FORCED: Duration = Duration::from_secs(120);
/// Pods named in an error.
const MOST: usize = 20;

/// Evicts what can leave and waits until it is gone. Where that fails, the node is opened again if we closed it.
pub(super) async fn drain(
    session: &Session,
    node: &NodeName,
    on_blocked: OnBlocked,
    delete_local_data: bool,
    until: Instant,
    waiting: Waiting<'_>,
) -> Result<Vec<String>, ActionError> {
    let outcome = empty(session, node, on_blocked, delete_local_data, until, waiting).await;
    if outcome.is_err()
        && let Err(error) = cordon::uncordon(session, node).await
    {
        tracing::warn!("{node} stays cordoned: {error}");
    }
    outcome
}

async fn empty(
    session: &Session,
    node: &NodeName,
    on_blocked: OnBlocked,
    delete_local_data: bool,
    mut until: Instant,
    mut waiting: Waiting<'_>,
) -> Result<Vec<String>, ActionError> {
    let what = format!("drain node {node}");
    let mut changes: Option<Changes> = None;
    let mut forced = Vec::new();
    let mut evicted = 0;
    loop {
        let pods = session.call(|client| async move { node_pods(&client, node).await }).await;
        let pods = pods.map_err(ActionError::of(&what))?;
        let losing = losing(&pods);
        if !delete_local_data && !losing.is_empty() {
            let cause = format!("{} of its pods would lose something", losing.len());
            let hint = "say --delete-local-data where that may be";
            return Err(ActionError::new(&what, cause).details(losing.into_iter().take(MOST)).hint(hint));
        }
        let leaving: Vec<&NodePod> = pods.iter().filter(|pod| pod.fate() != Fate::Stays).collect();
        if leaving.is_empty() {
            let mut remarks = vec![format!("{evicted} pods evicted")];
            remarks.extend(forced);
            return Ok(remarks);
        }
        let asked: Vec<&NodePod> = leaving.iter().copied().filter(|pod| !pod.going).collect();
        let blocked = evict(session, &asked).await.map_err(ActionError::of(&what))?;
        evicted += asked.len() - blocked.len();
        if Instant::now() >= until {
            if on_blocked == OnBlocked::Abort || !forced.is_empty() || blocked.is_empty() {
                return Err(left(&what, &leaving, &blocked));
            }
            let pods: Vec<&NodePod> = asked.into_iter().filter(|pod| blocked.contains_key(&pod.uid)).collect();
            delete(session, &pods).await.map_err(ActionError::of(&what))?;
            forced = blocked.values().map(|why| format!("deleted in spite of its budget: {why}")).collect();
            until = Instant::now() + FORCED;
        }
        let slow = leaving.iter().filter(|pod| pod.going).map(|pod| format!("{pod}: has not ended"));
        waiting.still(blocked.into_values().chain(slow));
        let changes = match &mut changes {
            Some(changes) => changes,
            none => none.insert(Changes::of(&session.client().await.map_err(ActionError::of(&what))?, node)),
        };
        changes.next(until.min(Instant::now() + RETRY)).await;
    }
}

/// What would be lost, a line for each pod.
fn losing(pods: &[NodePod]) -> Vec<String> {
    let line = |pod: &NodePod| match pod.fate() {
        Fate::Loses(what) if !pod.going => Some(format!("{pod}: {what}")),
        _ => None,
    };
    pods.iter().filter_map(line).collect()
}

/// The error at the limit's end: whom a budget holds, and who is slow to end.
fn left(what: &str, leaving: &[&NodePod], blocked: &BTreeMap<String, String>) -> ActionError {
    let mut details: Vec<String> = blocked.values().cloned().collect();
    let slow = leaving.iter().filter(|pod| pod.going);
    details.extend(slow.map(|pod| format!("{pod}: is being deleted, and has not ended")));
    let cause = match blocked.len() {
        0 => "pods do not end in time".to_owned(),
        1 => "a budget forbids the eviction of 1 pod".to_owned(),
        count => format!("budgets forbid the eviction of {count} pods"),
    };
    let hint = "the node takes pods again; see `kubectl get poddisruptionbudget -A`, wait longer by --drain-timeout, or \
                go over budgets by --on-blocked force";
    ActionError::new(what, cause).details(details.into_iter().take(MOST)).hint(hint)
}

/// Asks for the eviction of these pods; gives those that may not go, by uid, with the reason.
async fn evict(session: &Session, pods: &[&NodePod]) -> Result<BTreeMap<String, String>, KubeError> {
    let mut blocked = BTreeMap::new();
    for some in pods.chunks(AT_ONCE) {
        let asked = some.iter().map(|pod| session.call(move |client| evict_one(client, pod)));
        for (pod, answer) in some.iter().zip(join_all(asked).await) {
            if let Some(why) = answer? {
                blocked.insert(pod.uid.clone(), format!("{pod}: {why}"));
            }
        }
    }
    Ok(blocked)
}

/// `None` where it goes (or is gone), else why it may not.
async fn evict_one(client: Client, pod: &NodePod) -> Result<Option<String>, KubeError> {
    let what = || format!("evict pod {pod}");
    let (namespace, name) = (&pod.namespace, &pod.name);
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"namespace": namespace, "name": name},
        // Never its successor of the same name, as StatefulSets make them.
        "deleteOptions": of_uid(pod),
    });
    let request = Request::post(format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction"))
        .header(CONTENT_TYPE, "application/json")
        .body(eviction.to_string().into_bytes())
        .map_err(|error| KubeError::Broken { what: what(), cause: error.to_string() })?;
    match client.request::<Status>(request).await {
        Ok(_) => Ok(None),
        Err(::kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
        // Its namespace is being deleted, and the pod with it.
        Err(::kube::Error::Api(status)) if has_cause(&status, "NamespaceTerminating") => Ok(None),
        Err(::kube::Error::Api(status)) if budget(&status).is_some() => Ok(budget(&status)),
        Err(error) => Err(KubeError::new(what(), error)),
    }
}

fn has_cause(status: &Status, reason: &str) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.reason == reason)
}

/// The budget that an answer names, in the API server's words; absent where the answer has another reason.
fn budget(status: &Status) -> Option<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let named: Vec<&str> =
        causes.filter(|cause| cause.reason == "DisruptionBudget").map(|cause| cause.message.as_str()).collect();
    match status.code {
        429 if !named.is_empty() => Some(named.join("; ")),
        // Of two budgets over one pod the API wants to know nothing.
        500 if status.message.contains("PodDisruptionBudget") => Some(status.message.clone()),
        _ => None,
    }
}

async fn delete(session: &Session, pods: &[&NodePod]) -> Result<(), KubeError> {
    let deleted = pods.iter().map(|pod| {
        session.call(move |client| async move {
            let api: Api<Pod> = Api::namespaced(client, &pod.namespace);
            match api.delete(&pod.name, &of_uid(pod)).await {
                Ok(_) => Ok(()),
                Err(::kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
                Err(error) => Err(KubeError::new(format!("delete pod {pod}"), error)),
            }
        })
    });
    join_all(deleted).await.into_iter().collect()
}

fn of_uid(pod: &NodePod) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions { uid: Some(pod.uid.clone()), resource_version: None }),
        ..DeleteParams::default()
    }
}

/// Tells when anything of a node's pods changes.
struct Changes(futures::stream::BoxStream<'static, Result<watcher::Event<Pod>, watcher::Error>>);

impl Changes {
    fn of(client: &Client, node: &NodeName) -> Self {
        let config = Config::default().fields(&format!("spec.nodeName={node}"));
        Self(watcher(Api::all(client.clone()), config).default_backoff().boxed())
    }

    /// Waits for a change, or for this moment.
    async fn next(&mut self, until: Instant) {
        if let Ok(Some(Err(error))) = timeout_at(until, self.0.next()).await {
            tracing::debug!(%error, "watching a node's pods");
        }
        // One look at the whole is worth many changes.
        while let Some(Some(_)) = self.0.next().now_or_never() {}
    }
}

#[cfg(test)]
mod tests {
    use ::kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn pod(name: &str, controller: Option<&str>) -> NodePod {
        NodePod {
            namespace: "default".into(),
            name: name.into(),
            uid: name.into(),
            controller: controller.map(String::from),
            ..NodePod::default()
        }
    }

    fn status(code: u16, reason: &str, message: &str) -> Status {
        let cause = StatusCause { reason: reason.into(), message: message.into(), field: String::new() };
        let none = String::new;
        let details = StatusDetails {
            name: none(),
            group: none(),
            kind: none(),
            uid: none(),
            causes: vec![cause],
            retry_after_seconds: 0,
        };
        Status { code, message: message.into(), details: Some(details), ..Status::default() }
    }

    #[test]
    fn only_a_budgets_word_blocks() {
        let words = "The disruption budget web needs 1 healthy pods and has 1 currently";
        assert_eq!(budget(&status(429, "DisruptionBudget", words)).as_deref(), Some(words));
        assert_eq!(budget(&status(429, "", "too many requests")), None, "the API server is busy");
        let two = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        assert_eq!(budget(&status(500, "", two)).as_deref(), Some(two));
        assert_eq!(budget(&status(403, "DisruptionBudget", words)), None);
    }

    #[test]
    fn the_error_names_pod_and_budget() {
        let (held, slow) =
            (pod("web-1", Some("ReplicaSet")), NodePod { going: true, ..pod("db-0", Some("StatefulSet")) });
        let blocked = BTreeMap::from([("web-1".to_owned(), format!("{held}: The disruption budget web needs 1"))]);
        let error = left("drain node w1", &[&held, &slow], &blocked);
        assert_eq!(error.to_string(), "could not drain node w1: a budget forbids the eviction of 1 pod");
        assert_eq!(
            error.details,
            ["default/web-1: The disruption budget web needs 1", "default/db-0: is being deleted, and has not ended"]
        );
        assert_eq!(losing(&[pod("a", None), held]), ["default/a: nothing makes it anew: it has no controller"]);
    }
}
