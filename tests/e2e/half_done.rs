//! Law: work that died on the node itself, half way through kubeadm or dpkg, is recognised by looking, and repaired by the
//! next `up` with nothing lost.
//!
//! Each run has its faults: a process on a node that waits for a moment of the work and kills it. One formation carries
//! them all, since each fault ends its run before the next one's moment.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Lab, Shape, running::Running};

const RUN: Duration = Duration::from_secs(420);

/// A process on a node, killed with the value's end.
struct Killer(Child);

impl Drop for Killer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits on the node until a POSIX condition holds, then runs the rest as root. `kill` is what ends the work there.
fn when(lab: &Lab, node: &str, condition: &str, kill: &str) -> Killer {
    let script = format!("until {condition}; do sleep 0.01; done; {kill}");
    let mut command = lab.ssh_client();
    command.args([node, &format!("sudo sh -c '{script}'")]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Killer(child.expect("ssh starts"))
}

const KUBEADM: &str = "pkill -9 -x kubeadm";
/// As the kernel does when memory ends, or a person who knows no better.
const UNIT: &str = "systemctl kill --kill-who=all -s KILL \"kbootstrap-batch-*.service\"";

fn exists(path: &str) -> String {
    format!("[ -e {path} ]")
}

/// The file of an earlier attempt is set aside first.
fn exists_anew(path: &str) -> String {
    format!("[ ! -e {path} ]; do sleep 0.01; done; until [ -e {path} ]")
}

/// A run that must fail, in the end of these steps: `(node, step)`.
#[track_caller]
fn up_fails_at(lab: &Lab, killers: Vec<Killer>, wanted: &[(&str, &str)]) {
    let mut run = Running::up(lab, &[]);
    run.until(RUN, |event| event["event"] == "run-finished");
    drop(killers);
    let failures: Vec<(String, String, String)> = run
        .seen
        .iter()
        .filter(|event| event["event"] == "failed")
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&event["owner"]["node"]), text(&event["failure"]["step"]), text(&event["failure"]["cause"]))
        })
        .collect();
    eprintln!("  failed: {failures:?}");
    let ended = run.end(Duration::from_secs(30));
    assert!(matches!(ended.code, Some(1 | 4)), "{ended:?}");
    for (node, step) in wanted {
        let found = failures.iter().any(|(owner, at, _)| owner == node && at == step);
        assert!(found, "{node} did not fail at {step}: {failures:?}\n{}", ended.stderr);
    }
}

/// What the plan says of a node's step: its diff.
fn planned(lab: &Lab, node: &str, step: &str) -> String {
    let inventory = lab.inventory().display().to_string();
    let text = lab.kbootstrap(&["plan", &inventory, "--output", "json"]).stdout;
    let plan: Value = serde_json::from_str(&text).expect("a plan is JSON");
    let chains = plan["chains"].as_array().expect("chains");
    let chain = chains.iter().find(|chain| chain["owner"]["node"] == node).expect("the node's chain");
    let found = chain["steps"].as_array().expect("steps").iter().find(|found| found["step"] == step);
    found.map(Value::to_string).unwrap_or_default()
}

#[test]
fn what_died_half_way_is_recognised_and_repaired() {
    let lab = Lab::up("half-done", Shape::of(3, 1));
    // init before etcd, and a transaction of dpkg in its midst.
    let killers = vec![
        when(&lab, "cp1", &exists("/etc/kubernetes/admin.conf"), KUBEADM),
        when(&lab, "w1", "pgrep -x dpkg-deb", UNIT),
    ];
    up_fails_at(&lab, killers, &[("cp1", "kubernetes.init"), ("w1", "packages.install")]);
    assert!(planned(&lab, "cp1", "kubernetes.init").contains("an init that did not finish"));

    // init after etcd, before its configuration is in the cluster.
    let killers = vec![when(&lab, "cp1", &exists("/var/lib/etcd/member/wal/0.tmp"), KUBEADM)];
    up_fails_at(&lab, killers, &[("cp1", "kubernetes.init")]);

    // A learner; a worker whose kubelet has its configuration and no certificate.
    let killers = vec![
        when(&lab, "cp2", &exists("/etc/kubernetes/manifests/etcd.yaml"), KUBEADM),
        when(&lab, "w1", &exists("/etc/kubernetes/bootstrap-kubelet.conf"), KUBEADM),
    ];
    up_fails_at(&lab, killers, &[("cp2", "kubernetes.join"), ("w1", "kubernetes.join")]);
    eprintln!("  {}", planned(&lab, "cp2", "kubernetes.join"));

    // The same node again, before etcd knows it; and another with nothing but certificates.
    let killers = vec![when(&lab, "cp2", &exists_anew("/var/lib/kubelet/kubeadm-flags.env"), KUBEADM)];
    up_fails_at(&lab, killers, &[("cp2", "kubernetes.join")]);
    let killers = vec![when(&lab, "cp3", &exists("/etc/kubernetes/pki/apiserver.crt"), KUBEADM)];
    up_fails_at(&lab, killers, &[("cp3", "kubernetes.join")]);

    Running::up(&lab, &[]).end(RUN).with(0);
    lab.assert_converged();
}
