//! Law: what somebody changes by hand is named by `plan`, each by its step and by no other; `up` repairs exactly that; and the
//! API answers all the time to whoever asks once more.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Lab, long, probe::Prober, until};

/// Something that a hand does to a machine, or to the cluster, and the steps that must be named for it.
struct Drift {
    owner: &'static str,
    steps: &'static [&'static str],
    /// POSIX text, as root on the owner. It has kubectl as `$k`, with which it runs on cp1.
    by: &'static str,
}

const fn drift(owner: &'static str, steps: &'static [&'static str], by: &'static str) -> Drift {
    Drift { owner, steps, by }
}

/// Changes that do not touch each other are made at once; under `--long` each is made alone.
const BATCHES: [&[Drift]; 3] = [
    &[
        drift("cp1", &["runtime.config"], "echo '# by hand' >> /etc/containerd/config.toml"),
        drift("cp1", &["packages.install"], "apt-mark unhold kubelet > /dev/null"),
        drift("cp2", &["os.hosts"], "sed -i 's/^127.0.0.1 api/127.0.0.2 api/' /etc/hosts"),
        drift("cp2", &["kubernetes.labels"], "$k taint node cp2 node-role.kubernetes.io/control-plane-"),
        drift("cp3", &["endpoint.identity"], "chmod 600 /var/lib/kbootstrap/cluster.toml"),
        drift("cp3", &["endpoint.service"], "systemctl stop kube-endpoint.service"),
        drift("w1", &["runtime.crictl"], "echo 'debug: true' >> /etc/crictl.yaml"),
        drift("w1", &["os.sysctls"], "sysctl -q -w net.ipv4.ip_forward=0"),
        drift("w1", &["kubernetes.kubelet"], "systemctl -q disable kubelet.service"),
        drift("cluster", &["cluster.coredns"], "$k -n kube-system scale deployment coredns --replicas=1"),
    ],
    &[
        drift("cp1", &["endpoint.config"], "sed -i 's/^defaults/defaults # by hand/' /etc/kbootstrap/haproxy.cfg"),
        drift("cp1", &["os.modules"], "rm /etc/modules-load.d/*kbootstrap*"),
        drift("cp2", &["runtime.service"], "systemctl -q disable containerd.service"),
        drift("cp2", &["endpoint.ca"], "echo >> /etc/kbootstrap/endpoint-ca.crt"),
        drift("cp3", &["os.sysctls"], "rm /etc/sysctl.d/*kbootstrap*"),
        drift("cp3", &["kubernetes.kubelet"], "systemctl stop kubelet.service"),
        drift("w1", &["packages.repository"], "rm /etc/apt/sources.list.d/kubernetes*"),
        drift("w1", &["kubernetes.labels"], "$k label node w1 topology.kubernetes.io/zone-"),
        drift(
            "cluster",
            &["cluster.config"],
            "$k -n kube-system get cm kubeadm-config -o yaml | sed 's/shutdown-delay-duration: 10s/shutdown-delay-duration: 1s/' | $k apply -f -",
        ),
        drift(
            "cluster",
            &["cluster.network"],
            "$k -n kube-flannel patch daemonset kube-flannel --type json -p '[{\"op\":\"replace\",\"path\":\"/spec/template/spec/containers/0/resources/requests/memory\",\"value\":\"60Mi\"}]'",
        ),
    ],
    &[
        drift(
            "cp1",
            &["kubernetes.static-pods"],
            "sed -i 's/- kube-scheduler$/&\\n    - --v=4/' /etc/kubernetes/manifests/kube-scheduler.yaml",
        ),
        drift(
            "cp2",
            &["kubernetes.static-pods"],
            "sed -i '/shutdown-delay-duration/d' /etc/kubernetes/manifests/kube-apiserver.yaml",
        ),
        drift(
            "cp3",
            &["endpoint.unit", "endpoint.service"],
            "echo '# by hand' >> /etc/systemd/system/kube-endpoint.service",
        ),
        drift("w1", &["kubernetes.kubelet-config"], "echo 'maxPods: 50' >> /var/lib/kubelet/config.yaml"),
    ],
];

/// `owner step` of every change that is planned, less the proof that ends every run.
fn planned(lab: &Lab) -> BTreeSet<String> {
    let inventory = lab.inventory().display().to_string();
    let outcome = lab.kbootstrap(&["plan", &inventory, "--output", "json"]);
    let plan: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}"));
    let mut all = BTreeSet::new();
    for chain in plan["chains"].as_array().expect("chains") {
        let owner = chain["owner"]["node"].as_str().or(chain["owner"].as_str()).expect("an owner");
        for step in chain["steps"].as_array().expect("steps") {
            let verdict = step["verdict"].as_str().expect("a verdict");
            assert!(!matches!(verdict, "refused" | "unknown"), "{owner} {step}");
            if verdict == "change" && step["step"] != "cluster.proof" {
                assert!(step["diff"].as_array().is_some_and(|diff| !diff.is_empty()), "{owner} {step}: no diff");
                all.insert(format!("{owner} {}", step["step"].as_str().expect("a name")));
            }
        }
    }
    all
}

fn make(lab: &Lab, drift: &Drift) {
    // The API's objects are changed from cp1, whose own name of the API nothing here changes.
    let node = if drift.owner == "cluster" || drift.by.contains("$k") { "cp1" } else { drift.owner };
    let k = "kubectl --kubeconfig /etc/kubernetes/admin.conf";
    let text = format!("sudo sh -eu -s << 'BY-HAND'\nk='{k}'\n{}\nBY-HAND", drift.by);
    lab.ssh(node, &text).success();
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn what_a_hand_changed_is_named_and_alone_repaired() {
    let lab = Lab::formed("drift");
    let inventory = lab.inventory().display().to_string();
    let prober = Prober::start(&lab, "w1");
    let batches: Vec<Vec<&Drift>> = match long() {
        true => BATCHES.iter().flat_map(|batch| batch.iter().map(|drift| vec![drift])).collect(),
        false => BATCHES.iter().map(|batch| batch.iter().collect()).collect(),
    };
    for batch in batches {
        batch.iter().for_each(|drift| make(&lab, drift));
        let wanted: BTreeSet<String> =
            batch.iter().flat_map(|drift| drift.steps.iter().map(|step| format!("{} {step}", drift.owner))).collect();
        // A controller, or kubelet, may still be at it.
        let mut seen = BTreeSet::new();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            seen = planned(&lab);
            if seen == wanted {
                break;
            }
        }
        assert_eq!(seen, wanted, "what is planned is what was changed");
        let began = Instant::now();
        let up = lab.kbootstrap(&["up", &inventory, "--yes"]);
        assert!(up.ok(), "{up}");
        println!("{} changes repaired in {:.1} s", batch.len(), began.elapsed().as_secs_f32());
        until("the plan is empty", Duration::from_secs(30), || planned(&lab).is_empty());
    }
    prober.end_well(100);
}
