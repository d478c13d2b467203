//! Bad input and bad machines: a clear error, the right exit status, nothing half-written.

use std::fs;
use std::path::PathBuf;

use crate::lab::{Lab, Outcome, Shape};

/// An inventory made from the lab's by exchanging texts.
fn altered(lab: &Lab, name: &str, exchanges: &[(&str, &str)]) -> PathBuf {
    let mut text = fs::read_to_string(lab.inventory()).expect("the lab has an inventory");
    for (from, to) in exchanges {
        assert!(text.contains(from), "{from:?} is not in the inventory:\n{text}");
        text = text.replace(from, to);
    }
    let path = lab.folder().join(format!("{name}.toml"));
    fs::write(&path, text).expect("the lab's folder can be written to");
    path
}

fn up(lab: &Lab, inventory: &std::path::Path) -> Outcome {
    lab.kbootstrap(&["up", inventory.to_str().expect("a plain path")])
}

/// The command ended with this status and said all of these.
#[track_caller]
fn refused(outcome: Outcome, code: i32, words: &[&str]) {
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    for word in words {
        assert!(said.contains(word), "nothing is said of {word:?}: {outcome}");
    }
    outcome.failure(code);
}

/// Packages that the program installs: none on a node that was not touched.
#[track_caller]
fn untouched(lab: &Lab, node: &str) {
    let found =
        lab.ssh(node, "ls -d /etc/kubernetes /etc/kbootstrap /var/lib/kbootstrap /usr/bin/kubeadm 2> /dev/null; true");
    assert_eq!(found.success(), "", "{node} was touched");
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_changed() {
    let shape = Shape { variants: vec![("w2", "sudo-password")], ..Shape::of(1, 2) };
    let lab = Lab::up("refusals", shape);
    let w2 = "\n[[node]]\nname = \"w2\"";
    let inventory = fs::read_to_string(lab.inventory()).expect("an inventory");
    // The machine whose sudo asks is left out of all cases but its own.
    let plain = &inventory[..inventory.find(w2).expect("w2 is in the inventory")];
    let sudo_asks = lab.kbootstrap(&["plan", lab.inventory().to_str().expect("a plain path")]);
    fs::write(lab.inventory(), plain).expect("written");
    refused(sudo_asks, 4, &["w2", "sudo", "password"]);

    let unreachable = altered(&lab, "unreachable", &[("10.77.0.11", "10.77.0.99")]);
    refused(up(&lab, &unreachable), 1, &["cp1", "10.77.0.99"]);

    let stranger = lab.folder().join("stranger");
    let _ = fs::remove_file(&stranger);
    let made = lab.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", stranger.to_str().expect("plain")]);
    made.success();
    let wrong_key = altered(&lab, "wrong-key", &[("id_ed25519", "stranger")]);
    refused(up(&lab, &wrong_key), 1, &["cp1", "stranger"]);

    let hosts = fs::read_to_string(lab.folder().join("known_hosts")).expect("known hosts");
    let key = fs::read_to_string(lab.folder().join("stranger.pub")).expect("a key");
    let key = key.split_whitespace().nth(1).expect("its text");
    let changed: String = hosts
        .lines()
        .filter(|line| !line.starts_with("10.77.0.11") && !line.starts_with("cp1"))
        .map(|line| format!("{line}\n"))
        .chain([format!("10.77.0.11 ssh-ed25519 {key}\n")])
        .collect();
    fs::write(lab.folder().join("changed_hosts"), changed).expect("written");
    let changed_key = altered(&lab, "changed-key", &[("known_hosts\"", "changed_hosts\"")]);
    refused(up(&lab, &changed_key), 1, &["cp1", "changed_hosts"]);
    let accepting = lab.kbootstrap(&["up", "--accept-new-host-keys", changed_key.to_str().expect("plain")]);
    refused(accepting, 1, &["cp1", "changed_hosts"]);

    let fingerprint = plain.split("key-fingerprint = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("one");
    let wrong_repository = altered(&lab, "wrong-repository-key", &[(fingerprint, &"A".repeat(40))]);
    refused(up(&lab, &wrong_repository), 1, &["preflight.repository", &"A".repeat(40)]);

    lab.ssh("w1", "echo 127.0.0.1 registry.k8s.io | sudo tee -a /etc/hosts").success();
    refused(up(&lab, &lab.inventory()), 1, &["w1", "preflight.registry", "registry.k8s.io"]);
    lab.ssh("w1", "sudo sed -i '/registry.k8s.io/d' /etc/hosts").success();
    for node in ["cp1", "w1", "w2"] {
        untouched(&lab, node);
    }

    let other = "id = \"00000000000000000000000000000000\"\\nname = \"other\"\\nca_sha256 = \"00\"\\n";
    lab.ssh("w1", &format!("sudo mkdir -p /var/lib/kbootstrap /etc/kubernetes; printf '{other}' | sudo tee /var/lib/kbootstrap/cluster.toml; sudo touch /etc/kubernetes/kubelet.conf")).success();
    refused(up(&lab, &lab.inventory()), 1, &["w1", "other"]);
    let kept = lab.ssh("w1", "sudo cat /var/lib/kbootstrap/cluster.toml").success();
    assert!(kept.contains("\"other\""), "another cluster's identity was overwritten: {kept}");
    lab.ssh("w1", "sudo rm -r /var/lib/kbootstrap /etc/kubernetes").success();

    // The repository has no such version. That is found on the first machine's own package lists, before kubeadm.
    let version = altered(&lab, "no-such-version", &[("1.30.14", "1.30.13")]);
    refused(up(&lab, &version), 1, &["packages.install", "1.30.13"]);
}
