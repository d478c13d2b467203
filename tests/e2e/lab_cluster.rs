//! The lab carries Kubernetes. Shown with plain kubeadm, so that a failure of the program under test is its own.

use std::time::Duration;

use crate::lab::{Lab, Shape, until};

const VERSION: &str = "1.30.14";
const PREPARE: &str = include_str!("../bench/prepare.sh");
const INIT: &str = include_str!("../bench/kubeadm-init.yaml");
const NETWORK: &str = include_str!("../bench/manifests/flannel.yaml");

#[test]
fn plain_kubeadm_forms_a_cluster_that_runs_a_pod() {
    let lab = Lab::up("plain_kubeadm_forms_a_cluster_that_runs_a_pod", Shape::of(1, 0));
    lab.ssh("cp1", &format!("ROLE=control-plane VERSION={VERSION}\n{PREPARE}")).success();
    let with_input = |command: &str, input: &str| {
        lab.ssh("cp1", &format!("{command} << 'END-OF-INPUT'\n{input}\nEND-OF-INPUT")).success()
    };
    with_input("sudo tee /root/kubeadm.yaml > /dev/null", &INIT.replace("@VERSION@", VERSION));
    lab.ssh("cp1", "sudo kubeadm init --config /root/kubeadm.yaml").success();
    with_input("sudo kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f -", NETWORK);
    lab.kubectl("cp1", "wait --for=condition=Ready node/cp1 --timeout=120s").success();
    assert_eq!(
        lab.kubectl("cp1", "get node cp1 -o jsonpath={.status.nodeInfo.kubeletVersion}").success(),
        format!("v{VERSION}")
    );

    lab.kubectl("cp1", "taint node cp1 node-role.kubernetes.io/control-plane-").success();
    // Its name server is CoreDNS, so this shows services and the network of pods, too.
    let pod = "run probe --image=registry.k8s.io/e2e-test-images/busybox:1.36.1-1 --restart=Never -- \
        sh -c 'for i in 1 2 3 4 5 6 7 8 9; do nslookup kubernetes.default.svc.cluster.local && exit 0; sleep 2; done; exit 1'";
    lab.kubectl("cp1", pod).success();
    let phase = || lab.kubectl("cp1", "get pod probe -o jsonpath={.status.phase}").success();
    until("the pod has ended", Duration::from_secs(120), || matches!(phase().as_str(), "Succeeded" | "Failed"));
    let logs = lab.kubectl("cp1", "logs probe").success();
    assert!(phase() == "Succeeded" && logs.contains("10.96.0.1"), "{logs}");

    // The cluster goes on from kept disks: the same pods, and new ones.
    let saved = format!("test-{}", std::process::id());
    lab.save(&saved);
    lab.wipe("cp1");
    lab.restore(&saved);
    lab.lab("save", &["--delete", &saved]).success();
    until("the API answers", Duration::from_secs(120), || lab.kubectl("cp1", "get --raw /readyz").ok());
    assert_eq!(phase(), "Succeeded");
    lab.kubectl("cp1", "delete pod probe").success();
    lab.kubectl("cp1", pod).success();
    until("a new pod has ended", Duration::from_secs(180), || matches!(phase().as_str(), "Succeeded" | "Failed"));
    assert_eq!(phase(), "Succeeded");
}
