//! `kbootstrap upgrade` from 1.30.14 to 1.31.13 on three control planes and two workers that are at work all the while.
//!
//! A cluster is upgraded once, so one test asks it everything; each question is a function. What is refused is asked
//! first, before anything is touched; then the upgrade is killed again and again, and each time gone on with.

mod run;

use std::fs;
use std::time::{Duration, Instant};

use crate::lab::{Lab, long, probe::Prober, until, workload::SERVICE};
use run::{Moment, Upgrade};

const NODES: [&str; 5] = ["cp1", "cp2", "cp3", "w1", "w2"];
const TO: &str = "1.31.13";
const ETCD: &str = "3.5.21-0";

/// Where the upgrade is killed: once this step of this node is done (or, with a delay, so long after that).
const KILLS: [(&str, &str, f64); 3] = [
    // Images and backups are there, nothing has been changed.
    ("cp3", "upgrade.backup", 0.0),
    // In the midst of kubeadm upgrade.
    ("cp2", "upgrade.server-divert", 5.0),
    // Drained, and its packages are being changed.
    ("w1", "upgrade.drain", 0.5),
];
const MORE_KILLS: [(&str, &str, f64); 17] = [
    ("cp1", "packages.repository", 0.0),
    ("w2", "upgrade.fetch", 0.0),
    ("cp1", "upgrade.server-leader", 0.0),
    ("cp1", "upgrade.server-divert", 20.0),
    ("cp1", "upgrade.kubeadm", 0.0),
    ("cp1", "upgrade.server-settled", 0.0),
    ("cp3", "upgrade.divert", 1.0),
    ("cp1", "upgrade.drain", 0.0),
    ("cp1", "runtime.service", 0.0),
    ("cp2", "upgrade.kubelet", 0.5),
    ("cp3", "upgrade.settled", 0.0),
    ("w2", "upgrade.uncordon", 0.0),
    ("cp3", "upgrade.kubeadm-package", 0.0),
    ("cp2", "upgrade.server-settled", 0.0),
    ("cp2", "upgrade.drain", 0.0),
    ("w1", "upgrade.settled", 0.0),
    ("w2", "upgrade.drain", 0.0),
];
/// A moment is missed where what the run before left at work came by it without the program.
const LEAST_KILLS: usize = 15;

#[test]
fn a_cluster_at_work_is_upgraded_through_kills() {
    let lab = Lab::formed("upgrade");
    let path = lab.inventory();
    let inventory = fs::read_to_string(&path).expect("the lab has an inventory");
    // A newer etcd comes with the same roll.
    let etcd = format!("{inventory}\n[override.cluster]\netcd.local.imageTag = \"{ETCD}\"\n");
    fs::write(&path, etcd).expect("an inventory is written");
    let before = fs::read_to_string(&path).expect("the lab has an inventory");
    what_has_no_way_is_refused(&lab);
    lab.start_workload();
    a_budget_that_blocks_is_named(&lab);
    assert_eq!(fs::read_to_string(&path).expect("an inventory"), before, "nothing was done, and something was written");
    let prober = Prober::with(&lab, "w1", &[("service", SERVICE)]);
    let began = Instant::now();
    let runs = killed_and_gone_on_with(&lab);
    let wall = began.elapsed().as_secs_f64();
    let waited: f64 = runs.iter().map(Upgrade::waited).sum();
    println!(
        "upgraded in {wall:.0} s with {} kills; {waited:.0} s of them waiting for pods and health",
        runs.len() - 1
    );
    assert!(!long() || runs.len() > LEAST_KILLS, "it was killed only {} times", runs.len() - 1);
    everything_is_of_the_new_version(&lab, &before);
    prober.end_well(500);
}

/// Each stops before harm with the condition named, and after the repair the same command finishes.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn what_fails_is_named_and_gone_on_with_after_repair() {
    if !long() {
        println!("only with --long");
        return;
    }
    let lab = Lab::formed("upgrade-fails");
    let inventory = lab.inventory().display().to_string();
    let refused = |words: &[&str]| {
        let outcome = upgrade(&lab, &["--to", TO]);
        for word in words {
            assert!(outcome.stderr.contains(word), "nothing is said of {word:?}: {outcome}");
        }
        assert_ne!(outcome.code, Some(0), "{outcome}");
    };

    lab.ssh("w1", "echo 127.0.0.1 registry.k8s.io | sudo tee -a /etc/hosts").success();
    refused(&["w1", "preflight.registry", "registry.k8s.io"]);
    lab.ssh("w1", "sudo sed -i '/registry.k8s.io/d' /etc/hosts").success();

    lab.fill("w1");
    refused(&["upgrade.disk", "on w1"]);
    lab.unfill("w1");

    lab.ssh("cp3", "sudo mv /etc/kubernetes/manifests/etcd.yaml /root/").success();
    until("etcd on cp3 is gone", Duration::from_secs(60), || {
        lab.ssh("cp3", "sudo crictl ps -q --name '^etcd$'").success().is_empty()
    });
    refused(&["cp3"]);
    lab.ssh("cp3", "sudo mv /root/etcd.yaml /etc/kubernetes/manifests/").success();
    until("the cluster is well again", Duration::from_secs(180), || {
        lab.kbootstrap(&["status", &inventory]).code == Some(0)
    });

    // A kubelet that does not come up: the last worker, so that all others are through.
    lab.ssh("w2", "echo KUBELET_EXTRA_ARGS=--no-such-flag | sudo tee /etc/default/kubelet").success();
    refused(&["w2", "upgrade.kubelet", "no-such-flag", "w2 stays cordoned"]);
    let kubelets = lab.kubectl("cp1", "get nodes -o jsonpath='{.items[*].status.nodeInfo.kubeletVersion}'").success();
    assert_eq!(kubelets, "v1.31.13 v1.31.13 v1.31.13 v1.31.13 v1.30.14");
    lab.ssh("w2", "sudo rm /etc/default/kubelet").success();
    let finished = upgrade(&lab, &["--to", TO]);
    assert!(finished.ok(), "{finished}");
    let plan = lab.kbootstrap(&["plan", &inventory, "--exit-code"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.stdout, plan.stderr);
}

fn upgrade(lab: &Lab, arguments: &[&str]) -> crate::lab::Outcome {
    let inventory = lab.inventory().display().to_string();
    lab.kbootstrap(&[&["upgrade", &inventory, "--yes"], arguments].concat())
}

/// Each says why and how else, and touches nothing.
fn what_has_no_way_is_refused(lab: &Lab) {
    for (to, code, words) in [
        ("1.30.10", 2, ["older", "1.30.14"]),
        ("1.32.1", 2, ["more than one minor version", "1.31"]),
        ("1.31.99", 2, ["knows no Kubernetes 1.31.99", "1.31.14"]),
        // Its kubeadm does not know the CoreDNS that runs.
        ("1.31.0", 1, ["CoreDNS v1.11.3", "1.31.14"]),
        // Known to the program, not to the repository.
        ("1.31.12", 1, ["upgrade.packages", "kubelet=1.31.12-1.1"]),
    ] {
        let outcome = upgrade(lab, &["--to", to]);
        for word in words {
            assert!(outcome.stderr.contains(word), "nothing is said of {word:?}: {outcome}");
        }
        outcome.failure(code);
    }
    let sources = lab.ssh("w1", "cat /etc/apt/sources.list.d/kubernetes.list").success();
    assert!(sources.contains("/v1.30/"), "{sources}");
}

fn a_budget_that_blocks_is_named(lab: &Lab) {
    let patch = |least: u32| {
        let patch = format!("-n rolling patch pdb web --type merge -p '{{\"spec\":{{\"minAvailable\":{least}}}}}'");
        lab.kubectl("cp1", &patch).success();
        until("the budget is judged", Duration::from_secs(30), || {
            let said = lab.kubectl("cp1", "-n rolling get pdb web -o jsonpath={.status.disruptionsAllowed}").stdout;
            said.trim() == (3 - least).to_string()
        });
    };
    patch(3);
    let refused = upgrade(lab, &["--to", TO]);
    for word in ["budget rolling/web", "rolling/web-", "on w"] {
        assert!(refused.stderr.contains(word), "nothing is said of {word:?}: {refused}");
    }
    refused.failure(1);
    patch(2);
}

/// Kills the program at each of these moments, and at last lets it come to its end.
fn killed_and_gone_on_with(lab: &Lab) -> Vec<Upgrade> {
    let mut kills = KILLS.to_vec();
    if long() {
        kills.extend(MORE_KILLS);
    }
    let mut runs = Vec::new();
    // A moment that a run does not come to again is behind it: the order of the steps is the plan's.
    loop {
        let moments: Vec<Moment> = kills
            .iter()
            .map(|(node, step, delay)| Moment { node, step, delay: Duration::from_secs_f64(*delay) })
            .collect();
        let run = Upgrade::run(lab, TO, &moments);
        match run.killed {
            Some(index) => {
                println!("killed after {} of {}, {:.0} s", kills[index].1, kills[index].0, run.seconds);
                kills.remove(index);
            }
            None => {
                println!("the last run took {:.0} s", run.seconds);
                assert_eq!(run.code, Some(0), "{}", run.stderr);
                runs.push(run);
                return runs;
            }
        }
        runs.push(run);
    }
}

fn everything_is_of_the_new_version(lab: &Lab, before: &str) {
    let inventory = lab.inventory().display().to_string();
    let now = fs::read_to_string(&inventory).expect("an inventory");
    assert_eq!(now, before.replace("\"1.30.14\"", "\"1.31.13\""), "one value changes, and nothing else");
    let kubelets = lab.kubectl("cp1", "get nodes -o jsonpath='{.items[*].status.nodeInfo.kubeletVersion}'").success();
    assert_eq!(kubelets, ["v1.31.13"; 5].join(" "));
    let closed = lab.kubectl("cp1", "get nodes -o jsonpath='{.items[*].spec.unschedulable}'").success();
    assert_eq!(closed, "", "no node is left closed");
    let images =
        lab.kubectl("cp1", "-n kube-system get pods -o jsonpath='{.items[*].spec.containers[*].image}'").success();
    assert_eq!(images.matches(&format!("/etcd:{ETCD}")).count(), 3, "{images}");
    let old: Vec<&str> = images.split_whitespace().filter(|image| image.contains("v1.30")).collect();
    assert!(old.is_empty(), "{old:?}");
    for node in NODES {
        let held = lab.ssh(node, "apt-mark showhold").success();
        for package in ["kubeadm", "kubectl", "kubelet", "cri-tools", "containerd"] {
            assert!(held.lines().any(|line| line == package), "{package} is not held on {node}: {held}");
        }
        let timer = lab.ssh(node, "systemctl is-active kube-endpoint-return.timer; true").success();
        assert_eq!(timer, "inactive", "{node}'s proxy uses every server again");
    }
    let kept = "sudo sh -c \"stat -c '%a %U %n' /var/lib/kbootstrap/backup /var/lib/kbootstrap/backup/*/*\"";
    for node in ["cp2", "cp3"] {
        let files = lab.ssh(node, kept).success();
        assert!(files.contains("700 root /var/lib/kbootstrap/backup\n"), "{files}");
        for file in ["etcd.db", "kubernetes.tar.gz"] {
            assert!(
                files.contains(&format!("600 root /var/lib/kbootstrap/backup/upgrade-1.30.14-1.31.13/{file}")),
                "{files}"
            );
        }
    }
    let plan = lab.kbootstrap(&["plan", &inventory, "--exit-code"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.stdout, plan.stderr);
    let again = lab.kbootstrap(&["upgrade", &inventory]);
    assert!(again.ok() && again.stderr.contains("Nothing to change"), "{again}");
}
