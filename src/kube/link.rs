//! The way to an API server: an SSH connection to one control plane, and another where that one fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Mutex;

use crate::model::{cluster::API_SERVER_PORT, name::NodeName, ssh::SshTarget};
use crate::transport::{Connector, Dial, Effect, Limits, Output, Script, Stream, TransportError};

/// A control plane and how SSH reaches it.
#[derive(Clone, Debug)]
pub struct Route {
    pub node: NodeName,
    pub target: SshTarget,
}

/// Connections to control planes for work with the API. They are its own, apart from those that a run has for a node's
/// work, so that neither takes the other's two sessions: one session is the API's stream, one is for scripts.
///
/// One connection is kept at a time, to the control plane that served last.
pub struct Link {
    connector: Arc<dyn Connector>,
    routes: Vec<Route>,
    /// Index of the control plane that is asked first.
    first: AtomicUsize,
    open: Mutex<Option<(usize, Arc<dyn Effect>)>>,
}

impl Link {
    /// A link by these routes, the likeliest to serve first. Nothing is opened yet.
    pub fn new(connector: Arc<dyn Connector>, routes: Vec<Route>) -> Self {
        Self { connector, routes, first: AtomicUsize::new(0), open: Mutex::new(None) }
    }

    /// The routes in the order in which they are to be tried now.
    pub(super) fn order(&self) -> Vec<usize> {
        let (count, first) = (self.routes.len(), self.first.load(Ordering::Relaxed));
        (0..count).map(|step| (first + step) % count).collect()
    }

    pub(super) fn node(&self, route: usize) -> &NodeName {
        &self.routes[route].node
    }

    /// The control plane that is asked first: the one that served last.
    pub fn current(&self) -> Option<&NodeName> {
        self.routes.get(self.first.load(Ordering::Relaxed)).map(|route| &route.node)
    }

    /// Asks this control plane first from now on; a name that is no route is ignored.
    pub fn prefer(&self, node: &NodeName) {
        if let Some(route) = self.routes.iter().position(|route| route.node == *node) {
            self.serves(route);
        }
    }

    /// Asks this control plane first from now on, over a connection that is open already where there is one.
    pub async fn adopt(&self, node: &NodeName, connection: Option<Arc<dyn Effect>>) {
        let Some(route) = self.routes.iter().position(|route| route.node == *node) else { return };
        self.serves(route);
        *self.open.lock().await = connection.map(|connection| (route, connection));
    }

    /// Asks the next control plane first from now on.
    pub fn move_on(&self) {
        if let Some(&next) = self.order().get(1) {
            self.serves(next);
        }
    }

    pub(super) fn serves(&self, route: usize) {
        self.first.store(route, Ordering::Relaxed);
    }

    /// A stream to the API server of a control plane.
    pub(super) async fn dial(&self, route: usize) -> Result<Stream, TransportError> {
        let to = || Dial::Loopback { port: API_SERVER_PORT };
        let (effect, fresh) = self.effect(route).await?;
        match effect.dial(to()).await {
            // The kept connection may have died long ago.
            Err(_) if !fresh => self.reopen(route).await?.dial(to()).await,
            outcome => outcome,
        }
    }

    /// The control planes in the order in which they are to be tried now.
    pub fn nodes(&self) -> Vec<NodeName> {
        self.order().into_iter().map(|route| self.node(route).clone()).collect()
    }

    /// Runs a script that only reads on this control plane.
    ///
    /// # Errors
    /// The transport's.
    ///
    /// # Panics
    /// If no route leads to the node.
    pub async fn look(&self, node: &NodeName, script: &Script, limits: Limits) -> Result<Output, TransportError> {
        let route = self.routes.iter().position(|route| route.node == *node);
        let route = route.expect("a control plane of this link");
        let (effect, fresh) = self.effect(route).await?;
        match effect.observe(script, limits).await {
            Err(_) if !fresh => self.reopen(route).await?.observe(script, limits).await,
            outcome => outcome,
        }
    }

    /// Runs a script that may change something on this control plane. It is run twice where the kept connection broke on
    /// the way, so it must bear that.
    ///
    /// # Errors
    /// The transport's.
    ///
    /// # Panics
    /// If no route leads to the node.
    pub async fn run(&self, node: &NodeName, script: &Script, limits: Limits) -> Result<Output, TransportError> {
        let route = self.routes.iter().position(|route| route.node == *node);
        let route = route.expect("a control plane of this link");
        let (effect, fresh) = self.effect(route).await?;
        match effect.run(script, limits).await {
            Err(_) if !fresh => self.reopen(route).await?.run(script, limits).await,
            outcome => outcome,
        }
    }

    /// The connection to a control plane, and whether it was opened just now.
    async fn effect(&self, route: usize) -> Result<(Arc<dyn Effect>, bool), TransportError> {
        let mut open = self.open.lock().await;
        if let Some((to, effect)) = &*open
            && *to == route
        {
            return Ok((Arc::clone(effect), false));
        }
        let effect = self.connector.connect(&self.routes[route].target).await?;
        *open = Some((route, Arc::clone(&effect)));
        Ok((effect, true))
    }

    async fn reopen(&self, route: usize) -> Result<Arc<dyn Effect>, TransportError> {
        *self.open.lock().await = None;
        Ok(self.effect(route).await?.0)
    }
}
