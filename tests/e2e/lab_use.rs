//! Wrong use of the lab is refused with an error that says what to do, and leaves nothing.

use std::process::Command;

use crate::lab::{Lab, Outcome, Shape, Turn, lab_command, state_root};

const ID: &str = "e2euse";

fn refused(code: i32, message: &str, arguments: &[&str]) {
    let error = Outcome::of(lab_command(arguments)).failure(code);
    assert!(error.contains(message), "{arguments:?}: {error}");
    assert!(!state_root().join(ID).exists(), "{arguments:?} left {ID}");
}

/// `lab up` as `shell` runs it, which finds it as `$0`.
fn up_under(shell: &str) -> Outcome {
    let mut command = Command::new("unshare");
    let lab = lab_command(&[""; 0]);
    command.args(["--mount", "bash", "-c", shell]).arg(lab.get_program()).args([
        "up",
        "--id",
        ID,
        "--control-planes",
        "1",
    ]);
    Outcome::of(command)
}

#[test]
fn wrong_arguments_are_named() {
    let _turn = Turn::wait();
    refused(2, "no option `--worker`", &["up", "--worker", "1"]);
    refused(2, "--workers is a number", &["up", "--workers", "many"]);
    refused(2, "--workers needs a value", &["up", "--workers"]);
    refused(2, "at least one node", &["up", "--workers", "0", "--control-planes", "0"]);
    refused(2, "no variant `sudo`; there are", &["up", "--id", ID, "--variant", "w1=sudo"]);
    refused(2, "has no node `w9`; it has cp1", &["up", "--id", ID, "--variant", "w9=noisy"]);
    refused(2, "is no lab id", &["up", "--id", "Has-Capitals"]);
    refused(2, "is no lab id", &["down", "--id", "../lab"]);
    refused(2, "--subnets is 1 or 2", &["up", "--subnets", "3"]);
    refused(1, "nothing is saved as `no-such`", &["up", "--id", ID, "--restore", "no-such"]);
    refused(1, "there is no such process", &["up", "--id", ID, "--owner", "4194304"]);
    for command in ["ssh", "run", "pause", "start", "logs"] {
        refused(1, "is not up", &[command, "--id", ID, "cp1"]);
    }
    refused(1, "is not up", &["inventory", "--id", ID]);
    refused(2, "no command `upp`", &["upp"]);
}

#[test]
fn a_machine_that_cannot_carry_a_lab_is_named() {
    let _turn = Turn::wait();
    let not_root = up_under("exec unshare --user --map-user=1000 \"$0\" \"$@\"").failure(1);
    assert!(not_root.contains("needs root"), "{not_root}");

    // All programs but one, and none to install it with.
    let missing = "d=$(mktemp -d); ln -s /usr/bin/* $d; rm $d/docker-registry $d/apt-get; PATH=$d; \"$0\" \"$@\"; r=$?; rm -r $d; exit $r";
    let missing = up_under(missing).failure(1);
    assert!(missing.contains("missing: docker-registry"), "{missing}");

    let full = "mount -t tmpfs -o size=100m tmpfs /mnt; KBOOTSTRAP_LAB_STATE=/mnt/labs \"$0\" \"$@\"; r=$?; find /mnt/labs -mindepth 2 >&2; exit $r";
    let full = up_under(full).failure(1);
    assert!(full.contains("too little disk space: /mnt/labs has"), "{full}");
    assert!(!full.contains(&format!("/mnt/labs/{ID}")), "left behind: {full}");
}

#[test]
fn an_id_in_use_and_an_unknown_node_are_named() {
    let lab = Lab::up("an_id_in_use_and_an_unknown_node_are_named", Shape::of(1, 0));
    let used = lab.lab("up", &[]).failure(1);
    assert!(used.contains("lab `e2e` is up already"), "{used}");
    for command in ["ssh", "pause", "resume", "cut", "heal", "kill", "start", "fill", "wipe"] {
        let unknown = lab.lab(command, &["w7"]).failure(2);
        assert!(unknown.contains("lab `e2e` has no node `w7`; it has cp1"), "{command}: {unknown}");
    }
    assert!(lab.lab("cut", &["cp1", "--from", "cp1"]).failure(2).contains("cannot be cut from itself"));
    // None of this harmed it.
    let inventory = std::fs::read_to_string(lab.inventory()).expect("a lab has an inventory");
    assert!(inventory.contains("address = \"10.77.0.11\""), "{inventory}");
    lab.kbootstrap(&["--help"]).success();
    assert_eq!(lab.ssh("cp1", "hostname").success(), "cp1");
    assert!(lab.run("curl", &["-sS", "--max-time", "5", "http://pkgs.k8s.io/"]).stderr.is_empty());
}
