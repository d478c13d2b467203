//! Each condition: what passes, what is refused and why.

use super::*;
use crate::{
    kind::testing::{World, reason},
    model::{
        facts::{ClusterIdentity, Disk, Facts, Link, ListeningPort},
        live::Cluster,
    },
};

fn verdict(world: &World, node: &str, assert: Assert) -> Verdict {
    world.judge(node, |context| judge(assert, context))
}

/// A machine on which everything is in order.
fn fit() -> World {
    let mut world = World::bare();
    let facts = &mut world.seen.facts;
    facts.os.id = "ubuntu".into();
    facts.os.version = "24.04".into();
    facts.os.arch = "arm64".into();
    facts.os.systemd = Some(255);
    facts.identity.hostname = "cp2".into();
    facts.hardware.cpus = 2;
    facts.hardware.memory_bytes = 4 << 30;
    facts.disks.insert("/var/lib".into(), Disk { size_bytes: 40 << 30, free_bytes: 20 << 30 });
    facts.clock.offset_s = Some(0.1);
    facts.links = vec![link("eth0", "52:54:00:00:00:02", "10.0.0.12/24")];
    facts.ports = vec![ListeningPort { port: 22, program: Some("sshd".into()) }];
    world.facts.insert("cp2".parse().unwrap(), world.seen.facts.clone());
    world
}

fn link(name: &str, mac: &str, address: &str) -> Link {
    Link { name: name.into(), mac: mac.into(), mtu: 1500, addresses: vec![address.into()] }
}

const ALL: [Assert; 11] = [
    Assert::Os,
    Assert::Systemd,
    Assert::Hostname,
    Assert::Identity,
    Assert::Clock,
    Assert::Memory,
    Assert::Cpus,
    Assert::Disk,
    Assert::Ports,
    Assert::ForeignState,
    Assert::NodeIp,
];

#[test]
fn a_fit_machine_passes_everything() {
    for assert in ALL {
        assert!(matches!(verdict(&fit(), "cp2", assert), Verdict::Satisfied), "{assert:?}");
    }
}

/// What is refused once the facts are changed.
fn refused(assert: Assert, change: impl FnOnce(&mut Facts)) -> String {
    let mut world = fit();
    change(&mut world.seen.facts);
    reason(verdict(&world, "cp2", assert))
}

#[test]
fn what_a_machine_lacks_is_said() {
    assert!(refused(Assert::Os, |facts| facts.os.version = "20.04".into()).starts_with("ubuntu is none of"));
    assert!(refused(Assert::Os, |facts| facts.os.arch = "riscv64".into()).contains("riscv64"));
    assert!(refused(Assert::Systemd, |facts| facts.os.systemd = None).contains("is not systemd"));
    assert!(refused(Assert::Hostname, |facts| facts.identity.hostname = "debian".into()).contains("\"debian\""));
    let small = refused(Assert::Memory, |facts| facts.hardware.memory_bytes = 1 << 30);
    assert_eq!(small, "1024 MiB of memory; a control-plane needs 1700 MiB");
    assert_eq!(refused(Assert::Cpus, |facts| facts.hardware.cpus = 1), "1 processor; a control-plane needs 2");
    let full = refused(Assert::Disk, |facts| facts.disks.values_mut().for_each(|disk| disk.free_bytes = 1 << 30));
    assert_eq!(full, "1024 MiB are free for /var/lib; a control-plane needs 4096 MiB");
    let nat = refused(Assert::NodeIp, |facts| facts.links = vec![link("eth0", "", "10.0.2.15/24")]);
    assert_eq!(nat, "no link of the machine has the address 10.0.0.12; it has 10.0.2.15");
}

#[test]
fn ports_of_others_are_in_the_way_and_our_own_are_not() {
    let taken = refused(Assert::Ports, |facts| {
        facts.ports.push(ListeningPort { port: 6443, program: Some("haproxy".into()) });
        facts.ports.push(ListeningPort { port: 10250, program: None });
    });
    assert_eq!(taken, "ports that Kubernetes needs are taken: 6443 (haproxy), 10250 (an unknown program)");
    let mut world = fit();
    for (port, program) in [(6443, "kube-apiserver"), (2379, "etcd"), (7443, "haproxy"), (10257, "kube-controller")] {
        world.seen.facts.ports.push(ListeningPort { port, program: Some(program.into()) });
    }
    assert!(matches!(verdict(&world, "cp2", Assert::Ports), Verdict::Satisfied));
}

#[test]
fn clones_are_told_from_each_other() {
    let with_other = |change: fn(&mut Facts)| {
        let mut world = fit();
        let mut other = Facts::default();
        other.identity.machine_id = "another".into();
        other.links =
            vec![link("eth0", "52:54:00:00:00:03", "10.0.0.13/24"), link("docker0", "02:42:00", "172.17.0.1/16")];
        world.seen.facts.links.push(link("docker0", "02:42:00", "172.17.0.1/16"));
        change(&mut other);
        world.facts.insert("cp3".parse().unwrap(), other);
        verdict(&world, "cp2", Assert::Identity)
    };
    assert!(matches!(with_other(|_| {}), Verdict::Satisfied), "bridges may be alike");
    let cloned = with_other(|facts| facts.identity.machine_id = "own".into());
    assert!(reason(cloned).contains("machine-id is that of cp3"));
    let mac = with_other(|facts| facts.links[0].mac = "52:54:00:00:00:02".into());
    assert!(reason(mac).contains("52:54:00:00:00:02"));
}

#[test]
fn clocks_are_compared_with_each_other_and_with_ours() {
    let with = |own: f64, others: f64| {
        let mut world = fit();
        world.seen.facts.clock.offset_s = Some(own);
        world.facts.insert("cp2".parse().unwrap(), world.seen.facts.clone());
        for name in ["cp1", "cp3"] {
            let mut facts = Facts::default();
            facts.clock.offset_s = Some(others);
            world.facts.insert(name.parse().unwrap(), facts);
        }
        verdict(&world, "cp2", Assert::Clock)
    };
    assert!(matches!(with(1.5, 0.0), Verdict::Satisfied));
    assert!(reason(with(5.0, 0.0)).contains("+5.0 s off those of the other nodes"));
    assert!(matches!(with(0.0, 5.0), Verdict::Refused(_)));
    assert!(reason(with(60.0, 60.0)).contains("off this machine's"));
}

#[test]
fn another_kubernetes_is_never_touched() {
    let identity = |id: &str| ClusterIdentity { id: id.into(), name: "old".into(), ca_sha256: String::new() };
    let with = |own: Option<&str>, cluster: Option<&str>| {
        let mut world = fit();
        world.seen.facts.kubernetes.manifests = vec!["etcd.yaml".into()];
        world.seen.facts.kubernetes.identity = own.map(identity);
        world.identity = cluster.map(identity);
        world
    };
    let verdict = |world: &World| verdict(world, "cp2", Assert::ForeignState);
    assert!(matches!(verdict(&with(Some("a"), Some("a"))), Verdict::Satisfied));
    assert!(reason(verdict(&with(Some("a"), Some("b")))).contains("belongs to cluster \"old\" (a)"));
    assert!(reason(verdict(&with(Some("a"), None))).contains("of which no control plane knows"));
    assert!(reason(verdict(&with(None, Some("b")))).contains("not of this program's making"));
    let mut unknown = with(Some("a"), None);
    unknown.cluster = Cluster::Unknown { reason: "no route".into() };
    assert!(matches!(verdict(&unknown), Verdict::Satisfied), "it may well be ours");
}

#[test]
fn a_machine_in_the_cluster_is_not_asked_again() {
    let mut world = World::live("cp2");
    world.seen.facts.clock.offset_s = Some(100.0);
    for assert in [Assert::Memory, Assert::Cpus, Assert::Disk, Assert::Ports, Assert::Clock] {
        assert!(matches!(verdict(&world, "cp2", assert), Verdict::Satisfied), "{assert:?}");
    }
}
