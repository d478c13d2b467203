//! Taking a machine out of a cluster: what of the cluster is on it, and the ops that take that off. What others put there
//! (rules of a firewall, containers, files) stays, and so do the packages, unless they are asked for.
//!
//! `kubeadm reset` is not used: it wants an API that answers, removes an etcd member only if that works and wipes its data
//! all the same.

mod clean;
mod rules;

use super::{
    action::{refuse_over_state, set_aside},
    op,
};
use crate::{
    model::{cluster::ClusterSpec, etcd::EtcdLayout, observe::Seen, op::Op},
    render,
    shell::quote,
};

/// The id of the read ([`Read::Command`](crate::model::observe::Read)) that finds what is left: of a step that has
/// [`finding`] as its check.
pub const FOUND: &str = "leave.found";

/// Removing pods, each with a sandbox to be torn down.
const RESET_S: u32 = 420;
/// A graceful end of an API server takes its shutdown delay of 10 s; then it waits up to a minute for watches to end, which
/// those that watch never do by themselves (measured: all of 60 s), so that it is ended after 20.
const STOP_S: u32 = 120;

/// POSIX text that only reads: a line for each thing of a cluster that is on the machine besides its state.
pub fn finding(spec: &ClusterSpec, purge: bool) -> String {
    clean::finding(spec, purge)
}

/// What of a cluster is on the machine besides its state, a line each.
///
/// # Errors
/// It was not asked, or could not tell.
pub fn found(seen: &Seen) -> Result<Vec<String>, String> {
    match seen.commands.get(FOUND) {
        Some(answer) if answer.code == 0 => {
            Ok(String::from_utf8_lossy(&answer.stdout).lines().map(String::from).collect())
        }
        Some(answer) => Err(format!("looking for what is left ended with exit status {}", answer.code)),
        None => Err("what is left was not looked for".to_owned()),
    }
}

/// Lets the API server of a control plane end as it wants to: it takes itself off the Service's endpoints and lets calls
/// end. The kubelet stops first, or it would start it again.
pub fn stop_api_server(identity: &str) -> Op {
    let script = format!(
        r#"{}
systemctl stop kubelet.service
for kb_container in $(crictl ps -q --name '^kube-apiserver$'); do crictl stop -t 20 "$kb_container" > /dev/null; done"#,
        proof(identity)
    );
    op::node("control-plane.stop", "stop kubelet and API server", script, STOP_S)
}

/// Ends every pod and takes off what kubeadm, kubelet and etcd wrote: away, or aside where `keep` says so.
pub fn reset(identity: &str, etcd: EtcdLayout, keep: bool) -> Op {
    let etcd = Some(etcd);
    let mut op = set_aside("take off kubelet, pods and cluster state", &proof(identity), etcd, false);
    op.kind = "node.reset";
    op.timeout_s = RESET_S;
    let crate::model::op::Work::Node { script, .. } = &mut op.work else { unreachable!("it is an op of a node") };
    if !keep {
        // The cluster has all of it, and keys of its authorities have nothing to do on a machine that is not of it.
        script.push_str("\nrm -rf \"$kb_aside\"");
    }
    op
}

/// Takes off what else is of the cluster, its identity last: until then the machine says whose it is.
pub fn clean(spec: &ClusterSpec, identity: Option<&str>, purge: bool) -> Op {
    let proof = match identity {
        Some(identity) => proof(identity),
        // Of a machine that belongs to no cluster, prepared or cleaned in part.
        None => refuse_over_state(Some(spec.etcd), &["/etc/kubernetes/kubelet.conf", "/etc/kubernetes/admin.conf"]),
    };
    let script = format!("{proof}\n{}", clean::script(spec, purge));
    op::node("node.clean", "take off network, rules, names and files of the cluster", script, RESET_S)
}

/// A destructive op asks again, on the spot: the machine must say that it belongs to this cluster.
fn proof(identity: &str) -> String {
    format!(
        r#"kb_id=$(sed -n 's/^id = "\(.*\)"$/\1/p' {path} 2> /dev/null) || :
if [ "$kb_id" != {id} ]; then
  echo "this machine belongs to cluster '$kb_id', not to the one that is meant; nothing was changed" >&2
  exit 1
fi"#,
        path = render::identity::PATH,
        id = quote(identity),
    )
}

#[cfg(test)]
mod tests;
