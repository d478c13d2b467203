//! `kubeadm upgrade`: static pods, certificates, and what kubelets read of the cluster.

use super::{super::super::op, BEGUN, Context, stamp_path, target, write};
use crate::model::{mode::Mode, op::Op};

/// kubeadm waits five minutes for each of four static pods; a control plane without load takes one in all.
const UPGRADE_S: u32 = 1500;

/// What kubeadm is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// On one control plane, first: the version of the whole cluster with it.
    Apply,
    /// On every other node.
    Node,
}

/// What becomes of the node's etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Etcd {
    /// None of kubeadm's is here.
    Elsewhere,
    /// Another version of it is wanted.
    Changes,
    Stays,
}

/// Runs it between two stamps: that it began, and that it came to its end.
///
/// Where `etcd` stays in its version it is not restarted here, which kubeadm would do for its certificates alone: etcd reads
/// those anew for every connection. A kubelet of another minor version makes it anew later, with all static pods.
///
/// kubeadm's own trial Job is left out: it must be placed, started and ended within 15 s, which a busy machine does not
/// always do, and what it would prove is proven by the roll's own gates. All else of its preflight stays.
pub fn upgrade(verb: Verb, etcd: Etcd, context: &Context<'_>) -> Op {
    let tag = target(context).tag();
    let (what, arguments, word) = match verb {
        Verb::Apply => (
            format!("kubeadm upgrade apply {tag}"),
            format!("apply {tag} --yes --ignore-preflight-errors=CreateJob"),
            "apply",
        ),
        Verb::Node => {
            ("kubeadm upgrade node".to_owned(), "node --ignore-preflight-errors=CreateJob".to_owned(), "node")
        }
    };
    let stamp = |word: &str| {
        write::put(&stamp_path(), write::Source::Text(&format!("{tag} {word}\n")), Mode::PUBLIC, write::ROOT)
    };
    let (option, certificates) = match etcd {
        Etcd::Elsewhere | Etcd::Changes => ("", ""),
        Etcd::Stays => (
            " --etcd-upgrade=false",
            "for kb_name in etcd-server etcd-peer etcd-healthcheck-client; do kubeadm certs renew $kb_name > /dev/null; done\n",
        ),
    };
    // The endpoint of the cluster is never to be asked by way of a proxy of root's environment.
    let script = format!(
        "unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY\n{begun}\n\
         kubeadm upgrade {arguments}{option}\n{certificates}{flags}\n{done}",
        begun = stamp(BEGUN),
        flags = pause_flag(context),
        done = stamp(word),
    );
    op::node("kubeadm.upgrade", what, script, UPGRADE_S)
}

/// kubeadm writes the pause image into kubelet's flags at init and join, and never again; kubelet's garbage collection
/// would spare the old one and take the one in use.
fn pause_flag(context: &Context<'_>) -> String {
    let pause = context.spec.release.pause_image(&context.spec.image_repository);
    format!(
        "if [ -e {ENV} ]; then sed -i 's#\\(--pod-infra-container-image=\\)[^ \"]*#\\1{pause}#' {ENV}; fi",
        ENV = "/var/lib/kubelet/kubeadm-flags.env"
    )
}
