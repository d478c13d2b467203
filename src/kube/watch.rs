//! A view that follows the cluster: what health needs, kept up to date by watches.

use std::collections::BTreeMap;
use std::fmt::Debug;

use ::kube::runtime::watcher::{self, Event, watcher};
use ::kube::runtime::{WatchStreamExt, watcher::Config};
use ::kube::{Api, Client, Resource};
use futures::stream::{BoxStream, StreamExt, select_all};
use serde::de::DeserializeOwned;

use super::KubeError;
use super::partial::{DaemonSet, Node, Pod};
use super::view::{self, COREDNS_PODS, PAGE, STATIC_PODS, SYSTEM};
use crate::model::live::{Live, LiveNode, PodSeen, Rollout};
use crate::model::name::NodeName;

/// Nodes, static pods, CoreDNS's pods and the needed DaemonSets, as they change.
///
/// Lost watches are begun anew, over a new connection where that is needed; meanwhile the view stands still.
pub(crate) struct Watch {
    changes: BoxStream<'static, Change>,
    nodes: Mirror<NodeName, LiveNode>,
    static_pods: Mirror<(NodeName, String), PodSeen>,
    coredns_pods: Mirror<String, PodSeen>,
    daemon_sets: Mirror<String, Rollout>,
}

enum Change {
    Node(Event<Node>),
    Static(Event<Pod>),
    Dns(Event<Pod>),
    Set(Event<DaemonSet>),
    Lost(String),
}

impl Watch {
    pub(crate) fn new(client: &Client) -> Self {
        let system = || Api::<Pod>::namespaced(client.clone(), SYSTEM);
        let config = Config::default().page_size(PAGE);
        let changes = select_all([
            stream(Api::<Node>::all(client.clone()), config.clone(), Change::Node),
            stream(system(), config.clone().labels(STATIC_PODS), Change::Static),
            stream(system(), config.clone().labels(COREDNS_PODS), Change::Dns),
            stream(Api::<DaemonSet>::all(client.clone()), config, Change::Set),
        ]);
        Self {
            changes: changes.boxed(),
            nodes: Mirror::default(),
            static_pods: Mirror::default(),
            coredns_pods: Mirror::default(),
            daemon_sets: Mirror::default(),
        }
    }

    /// Waits for the next change and puts what is known into `live`; what was never listed yet is left as it is.
    ///
    /// # Errors
    /// A watch was lost, with its words; it is begun anew at the next call.
    pub(crate) async fn next(&mut self, live: &mut Live) -> Result<(), KubeError> {
        let change = self.changes.next().await.unwrap_or_else(|| Change::Lost(String::from("every watch ended")));
        self.take(change)?;
        // What else is there already: one look at the whole is worth many changes.
        while let Some(Some(change)) = futures::FutureExt::now_or_never(self.changes.next()) {
            self.take(change)?;
        }
        self.nodes.put(&mut live.nodes);
        self.static_pods.put(&mut live.static_pods);
        self.coredns_pods.put(&mut live.coredns_pods);
        self.daemon_sets.put(&mut live.daemon_sets);
        Ok(())
    }

    fn take(&mut self, change: Change) -> Result<(), KubeError> {
        match change {
            Change::Node(event) => self.nodes.take(event, |node| view::node(node.clone())),
            Change::Static(event) => self.static_pods.take(event, view::static_pod),
            Change::Dns(event) => self.coredns_pods.take(event, |pod| Some((pod.name(), pod.seen()))),
            Change::Set(event) => self.daemon_sets.take(event, view::daemon_set),
            Change::Lost(cause) => return Err(KubeError::Broken { what: String::from("watch the cluster"), cause }),
        }
        Ok(())
    }
}

fn stream<K>(api: Api<K>, config: Config, wrap: fn(Event<K>) -> Change) -> BoxStream<'static, Change>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let lost = |error: watcher::Error| Change::Lost(error.to_string());
    watcher(api, config).default_backoff().map(move |event| event.map_or_else(lost, wrap)).boxed()
}

/// A map that follows the events of one watch. During a new listing the old map stays until the new one is whole.
struct Mirror<K, V> {
    now: Option<BTreeMap<K, V>>,
    coming: BTreeMap<K, V>,
}

impl<K, V> Default for Mirror<K, V> {
    fn default() -> Self {
        Self { now: None, coming: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V: Clone> Mirror<K, V> {
    fn take<T>(&mut self, event: Event<T>, entry: impl Fn(&T) -> Option<(K, V)>) {
        match event {
            Event::Init => self.coming.clear(),
            Event::InitApply(object) => self.coming.extend(entry(&object)),
            Event::InitDone => self.now = Some(std::mem::take(&mut self.coming)),
            Event::Apply(object) => self.now.get_or_insert_default().extend(entry(&object)),
            Event::Delete(object) => {
                if let (Some(now), Some((key, _))) = (&mut self.now, entry(&object)) {
                    now.remove(&key);
                }
            }
        }
    }

    fn put(&self, map: &mut BTreeMap<K, V>) {
        if let Some(now) = &self.now {
            map.clone_from(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_replaces_the_old_map_only_when_it_is_whole() {
        let mut mirror: Mirror<u8, u8> = Mirror::default();
        let mut seen = BTreeMap::from([(9, 9)]);
        let mut after = |mirror: &mut Mirror<u8, u8>, event: Event<(u8, u8)>| {
            mirror.take(event, |entry| Some(*entry));
            mirror.put(&mut seen);
            seen.clone()
        };
        assert_eq!(after(&mut mirror, Event::Init), BTreeMap::from([(9, 9)]));
        assert_eq!(after(&mut mirror, Event::InitApply((1, 1))), BTreeMap::from([(9, 9)]));
        assert_eq!(after(&mut mirror, Event::InitDone), BTreeMap::from([(1, 1)]));
        assert_eq!(after(&mut mirror, Event::Apply((2, 2))), BTreeMap::from([(1, 1), (2, 2)]));
        assert_eq!(after(&mut mirror, Event::Delete((1, 0))), BTreeMap::from([(2, 2)]));
        assert_eq!(after(&mut mirror, Event::Init), BTreeMap::from([(2, 2)]));
        assert_eq!(after(&mut mirror, Event::InitDone), BTreeMap::new());
    }
}
