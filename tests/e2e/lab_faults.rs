//! Each fault of the lab really bites, and only where it should.

use crate::lab::{Lab, Shape};

/// Whether `from` gets an answer to one packet from `to`.
fn reaches(lab: &Lab, from: &str, to: &str) -> bool {
    let address = lab.ssh(to, "hostname -I").success();
    let address = address.split_whitespace().next().expect("a node has an address");
    pings(lab, from, address)
}

fn pings(lab: &Lab, from: &str, address: &str) -> bool {
    lab.ssh(from, &format!("ping -c 1 -W 1 {address}")).ok()
}

/// Whether the node answers on a new connection within two seconds.
fn answers(lab: &Lab, node: &str) -> bool {
    let mut command = lab.command("timeout");
    command.args(["2", "ssh", "-F"]).arg(lab.folder().join("ssh_config")).args([node, "true"]);
    crate::lab::Outcome::of(command).ok()
}

#[test]
fn nodes_can_be_frozen_cut_off_and_powered_off() {
    let lab = Lab::up("nodes_can_be_frozen_cut_off_and_powered_off", Shape::of(1, 2));

    // Frozen: it answers nothing, others do; what ran before goes on after.
    lab.ssh("w1", "sudo systemd-run --quiet --unit ticking sleep 1000").success();
    lab.pause("w1");
    assert!(!answers(&lab, "w1"), "a paused node answers");
    assert!(answers(&lab, "w2"), "pausing w1 paused w2");
    lab.resume("w1");
    assert!(answers(&lab, "w1"), "a resumed node does not answer");
    assert_eq!(lab.ssh("w1", "systemctl is-active ticking").success(), "active");

    // Cut between two: both are reached by everyone else.
    lab.cut_from("w1", "w2");
    assert!(!reaches(&lab, "w1", "w2") && !reaches(&lab, "w2", "w1"), "the cut lets packets through");
    assert!(reaches(&lab, "cp1", "w1") && reaches(&lab, "cp1", "w2"), "the cut is too wide");
    lab.heal("w2");
    assert!(reaches(&lab, "w1", "w2"), "not healed");

    // Cut from the lab: the nodes still have each other.
    lab.cut_from("w1", "lab");
    assert!(!answers(&lab, "w1"), "the lab still reaches w1");
    assert!(pings(&lab, "w2", "10.77.0.21"), "w2 lost w1, too");
    lab.heal("w1");
    assert!(answers(&lab, "w1"));

    // Cut off altogether.
    lab.cut("w1");
    assert!(!answers(&lab, "w1") && !pings(&lab, "w2", "10.77.0.21"), "a node that is cut off is reached");
    lab.heal("w1");
    assert!(answers(&lab, "w1") && pings(&lab, "w2", "10.77.0.21"));

    // Powered off: the disk stays, memory does not.
    lab.ssh("w1", "echo kept | sudo tee /etc/kept > /dev/null").success();
    lab.kill("w1");
    assert!(!answers(&lab, "w1"), "a node that is off answers");
    lab.lab("pause", &["w1"]).failure(1);
    lab.start("w1");
    assert_eq!(lab.ssh("w1", "cat /etc/kept").success(), "kept");
    assert!(!lab.ssh("w1", "systemctl is-active ticking").ok(), "what ran before a power-off still runs");
}

#[test]
fn disks_can_be_filled_wiped_saved_and_restored() {
    let lab = Lab::up("disks_can_be_filled_wiped_saved_and_restored", Shape::of(1, 1));
    let write =
        |node: &str, path: &str| lab.ssh(node, &format!("sudo dd if=/dev/zero of={path} bs=64k count=4 conv=fsync"));

    lab.fill("w1");
    for path in ["/var/lib/more", "/var/lib/containerd/more", "/var/lib/kubelet/more"] {
        assert!(write("w1", path).failure(1).contains("No space left on device"), "{path}");
    }
    write("cp1", "/var/lib/more").success();
    lab.unfill("w1");
    write("w1", "/var/lib/more").success();

    let before = lab.disk("cp1");
    lab.ssh("cp1", "sudo -n ls -lR /etc").success();
    assert_eq!(before, lab.disk("cp1"), "reading is seen as writing");
    lab.ssh("cp1", "cat /etc/hosts | sudo tee /etc/hosts > /dev/null").success();
    assert_ne!(before, lab.disk("cp1"), "writing is not seen");

    let mark = |text: &str| {
        for node in ["cp1", "w1"] {
            lab.ssh(node, &format!("echo {text} | sudo tee /etc/mark /var/lib/containerd/mark > /dev/null")).success();
        }
    };
    let marks = |node: &str| lab.ssh(node, "cat /etc/mark /var/lib/containerd/mark").success();
    let saved = format!("test-{}", std::process::id());
    mark("before");
    lab.save(&saved);
    mark("after");
    assert_eq!(marks("w1"), "after\nafter");
    lab.restore(&saved);
    assert_eq!((marks("cp1").as_str(), marks("w1").as_str()), ("before\nbefore", "before\nbefore"));
    lab.lab("save", &["--delete", &saved]).success();
    assert!(lab.lab("restore", &[&saved]).failure(1).contains("nothing is saved as"));

    lab.wipe("w1");
    assert!(!lab.ssh("w1", "ls /etc/mark /var/lib/containerd/mark /var/lib/more").ok(), "a wiped node is not bare");
    assert_eq!(marks("cp1"), "before\nbefore");
}

#[test]
fn two_subnets_are_routed_and_unknown_sources_dropped() {
    let shape = Shape { subnets: 2, strict_sources: true, ..Shape::of(2, 0) };
    let lab = Lab::up("two_subnets_are_routed_and_unknown_sources_dropped", shape);
    let subnet = |node: &str| lab.ssh(node, "ip -4 -o addr show eth0 | grep -o 'inet [0-9.]*'").success();
    assert_eq!((subnet("cp1").as_str(), subnet("cp2").as_str()), ("inet 10.77.0.11", "inet 10.77.1.12"));
    assert!(reaches(&lab, "cp1", "cp2") && reaches(&lab, "cp2", "cp1"));

    // A packet from an address that is not the node's, as a pod's without a tunnel: it is sent, and never comes.
    lab.ssh("cp1", "sudo ip addr add 10.244.1.1/32 dev lo").success();
    lab.ssh(
        "cp2",
        "sudo nft add table ip seen; sudo nft add chain ip seen in '{ type filter hook input priority 0; }'",
    )
    .success();
    lab.ssh("cp2", "sudo nft add rule ip seen in ip saddr 10.244.1.1 counter; sudo nft add rule ip seen in ip saddr 10.77.0.11 icmp type echo-request counter").success();
    lab.ssh("cp1", "ping -c 2 -W 1 -I 10.244.1.1 10.77.1.12; ping -c 2 -W 1 10.77.1.12").success();
    let seen = lab.ssh("cp2", "sudo nft list chain ip seen in").success();
    let counts: Vec<&str> = seen.lines().filter_map(|line| line.split("packets ").nth(1)?.split(' ').next()).collect();
    assert_eq!(counts, ["0", "2"], "{seen}");

    lab.cut_from("cp1", "cp2");
    assert!(!reaches(&lab, "cp1", "cp2"), "a cut between subnets lets packets through");
}
