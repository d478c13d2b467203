//! Files of the nodes and manifests of the cluster, rendered from Rust types.
//!
//! Everything here is a pure function of the wanted cluster and one of its nodes. Structured configuration is built as
//! values and written by a serializer, so no name or address of an inventory ever becomes syntax; what users merge into
//! it comes last. Nothing secret is rendered for a plan: a token is [`kubeadm::TOKEN`], replaced on the node; and the file
//! of [`encryption`]'s keys is made in a run.

pub mod containerd;
pub mod crictl;
pub mod encryption;
pub mod endpoint;
pub mod etcd;
pub mod hosts;
pub mod identity;
pub mod images;
pub mod kernel;
pub mod kubeadm;
pub mod network;
pub mod packages;
pub mod s3;
pub mod schedule;
pub mod snapshot;
pub mod static_pods;
pub mod taints;

mod extra_args;
mod merge;
#[cfg(test)]
mod sample;
mod yaml;

pub use yaml::{document, documents};

/// First line of every file that the program owns as a whole.
pub(crate) const HEADER: &str = "# Written by kbootstrap, which writes it anew: change the inventory instead.\n";
