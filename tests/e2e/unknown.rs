//! Law: what is merely unknown is never repaired by destruction. A cluster whose API is down, whose etcd lost its quorum or
//! whose certificates have expired, and one whose only control plane is gone, is left as it is, and the operator is told.

use std::time::{Duration, Instant};

use crate::lab::{
    CONTROL_PLANES, Lab, Shape, long,
    running::{Running, is},
};

const RUN: Duration = Duration::from_secs(480);
/// Longest that a refusal may take: a cluster that may be starting is looked at for a minute.
const REFUSED: Duration = Duration::from_secs(150);

/// `up` ends in bounded time with status 1, says each of these, and no node's cluster state is another than before.
#[track_caller]
fn refused(lab: &Lab, words: &[&str]) {
    let before = state(lab);
    let began = Instant::now();
    let said = Running::up(lab, &[]).end(REFUSED).with(1);
    println!("refused after {:.1} s: {}", began.elapsed().as_secs_f32(), said.trim());
    for word in words {
        assert!(said.to_lowercase().contains(word), "nothing is said of {word:?}: {said}");
    }
    assert_eq!(state(lab), before, "something was done");
}

/// Names and digests of what makes a node one of a cluster, and whether etcd's data are there.
fn state(lab: &Lab) -> String {
    let files = "find /etc/kubernetes /var/lib/kbootstrap /var/lib/kubelet/config.yaml -type f -exec sha256sum {} + \
                 2> /dev/null | sort -k 2; ls -d /var/lib/etcd*/member 2> /dev/null; true";
    let one = |node: &String| match lab.lab("enter", &[node, "sh", "-c", files]) {
        answer if answer.ok() => format!("{node}\n{}", answer.stdout),
        _ => format!("{node} is off"),
    };
    lab.nodes().iter().map(one).collect()
}

/// A shell command on every control plane.
fn everywhere(lab: &Lab, text: &str) {
    for node in CONTROL_PLANES {
        lab.ssh(node, text).success();
    }
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn a_cluster_that_does_not_answer_is_left_as_it_is() {
    let lab = Lab::formed("unknown");

    // API servers answer 500: they have no etcd. Two of three members are gone, and the third has no quorum.
    for node in ["cp2", "cp3"] {
        lab.ssh(node, "sudo mv /etc/kubernetes/manifests/etcd.yaml /root/").success();
    }
    std::thread::sleep(Duration::from_secs(15));
    refused(&lab, &["unknown", "etcd"]);
    for node in ["cp2", "cp3"] {
        lab.ssh(node, "sudo mv /root/etcd.yaml /etc/kubernetes/manifests/").success();
    }
    Running::up(&lab, &[]).end(RUN).with(0);

    if long() {
        everywhere(&lab, "sudo mv /etc/kubernetes/manifests/kube-apiserver.yaml /root/");
        std::thread::sleep(Duration::from_secs(20));
        refused(&lab, &["unknown"]);
        everywhere(&lab, "sudo mv /root/kube-apiserver.yaml /etc/kubernetes/manifests/");
        Running::up(&lab, &[]).end(RUN).with(0);
    }

    // Certificates of servers that ended just now.
    let restart = "sudo crictl ps -q --name kube-apiserver | xargs sudo crictl stop -t 2 > /dev/null";
    let expire = "cd /etc/kubernetes/pki && sudo cp -p apiserver.crt /root/ && sudo openssl x509 -in apiserver.crt -x509toreq \
                  -copy_extensions copy -signkey apiserver.key 2> /dev/null | sudo openssl x509 -req -copy_extensions copy \
                  -CA ca.crt -CAkey ca.key -set_serial 4711 -days 0 -out apiserver.crt 2> /dev/null";
    everywhere(&lab, expire);
    everywhere(&lab, restart);
    std::thread::sleep(Duration::from_secs(10));
    refused(&lab, &["unknown", "expired"]);
    everywhere(&lab, "sudo mv /root/apiserver.crt /etc/kubernetes/pki/");
    everywhere(&lab, restart);
    Running::up(&lab, &[]).end(RUN).with(0);
    lab.assert_converged();
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn no_second_cluster_is_formed_beside_one_that_is_silent() {
    let lab = Lab::up("unknown-silent", Shape::of(3, 0));
    lab.cut("cp2");
    refused(&lab, &["cp2", "whether a cluster lives there cannot be told"]);
    lab.heal("cp2");

    // The first control plane is gone for ever, right after init.
    let mut run = Running::up(&lab, &[]);
    assert!(run.until(RUN, |event| is(event, "op-finished", "cp1", "kubernetes.init")), "no init");
    lab.kill("cp1");
    let began = Instant::now();
    let ended = run.end(RUN);
    println!("cp1 gone: ended with {:?} after {:.1} s", ended.code, began.elapsed().as_secs_f32());
    assert!(matches!(ended.code, Some(1 | 4)), "{}", ended.stderr);
    refused(&lab, &["cp1", "cannot be told"]);

    // A new machine in its place: what the others carry is of the cluster that died, and so they say.
    lab.wipe("cp1");
    let outcome = Running::up(&lab, &[]).end(RUN);
    println!("after its replacement: {:?}\n{}", outcome.code, outcome.stderr);
    outcome.with(0);
    lab.assert_converged();
}
