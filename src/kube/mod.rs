//! The Kubernetes API over SSH streams: a client, the view of a cluster, and what that view means.

mod admin_conf;
mod ask;
mod classify;
mod client;
mod error;
mod kubeconfig;
mod link;
mod node_pods;
pub(crate) mod partial;
pub(crate) mod rolling;
pub(crate) mod rotation;
mod user_certificate;
pub(crate) mod view;
pub(crate) mod watch;

pub use admin_conf::AdminConf;
pub use ask::ask;
pub use classify::{Answer, Sight, classify};
pub use client::client;
pub use error::KubeError;
pub use kubeconfig::{Way, admin, is_kubeconfig_of, kubeconfig};
pub use link::{Link, Route};
pub use node_pods::{all_node_pods, node_pods};
pub use rolling::rolling;
pub use rotation::trusting;
pub use user_certificate::user_certificate;
pub use view::{FIELD_MANAGER, IDENTITY_KEY, IDENTITY_MAP, SYSTEM, TOKEN_DESCRIPTION, view};
