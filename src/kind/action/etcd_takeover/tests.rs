//! The takeover on a machine of files, whole and interrupted; and the stages that it goes through.

use std::{fs, path::Path};

use super::*;
use crate::{
    kind::testing::{World, in_no_time, programs, sh_with},
    model::{
        observe::UnitSeen,
        op::{Late, Work},
        plan::{Change, Verdict},
    },
};

fn world() -> World {
    let mut world = World::live("cp1");
    world.spec.etcd = EtcdLayout::Service;
    world
}

fn script(world: &World, lives: bool) -> String {
    let op = world.judge("cp1", |context| takeover(context, lives));
    let change = Change { ops: vec![op], ..Change::default() };
    let change = crate::kind::testing::change(Verdict::Change(change));
    assert_eq!(change.late(), Vec::<Late>::new(), "where the API is away nothing can be signed");
    match &change.ops[0].work {
        Work::Node { script, .. } => script.clone(),
        Work::Cluster(_) => panic!("an op of a node"),
    }
}

/// A machine of files, with programs that pretend.
struct Machine {
    folder: tempfile::TempDir,
}

const MANIFEST: &str = "etc/kubernetes/manifests/etcd.yaml";
const KEPT: &str = "etc/kubernetes/etcd.yaml.kbootstrap";
const OLD: &str = "var/lib/etcd/member/wal/0";
const NEW: &str = "var/lib/kbootstrap/etcd/member/wal/0";

impl Machine {
    /// A control plane with a static pod that ends when its manifest is gone.
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        for path in [MANIFEST, OLD, "var/lib/kbootstrap/cluster.toml", "var/lib/kbootstrap/etcd/lost+found"] {
            machine.write(path);
        }
        for name in ["ca", "server", "peer", "healthcheck-client"] {
            machine.write(&format!("etc/kubernetes/pki/etcd/{name}.crt"));
            machine.write(&format!("etc/kubernetes/pki/etcd/{name}.key"));
        }
        fs::create_dir_all(machine.root().join("etc/systemd/system")).unwrap();
        machine
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, path: &str) {
        let file = self.root().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, path).unwrap();
    }

    fn has(&self, path: &str) -> bool {
        self.root().join(path).exists()
    }

    fn takes_over(&self, more: &[(&str, &str)]) -> Result<String, String> {
        let root = self.root().to_str().unwrap();
        let bin = self.root().join("bin");
        fs::create_dir_all(&bin).unwrap();
        let crictl = format!("case $* in *etcd*) [ ! -e {root}/{MANIFEST} ] || echo member ;; *) echo server ;; esac");
        let systemctl = format!(
            "echo \"$*\" >> {root}/systemctl.log\ncase $* in *is-active*) [ -e {root}/active ] ;; restart*etcd*) touch {root}/active ;; esac"
        );
        let curl = format!(
            "case $* in *readyz*) printf 200; exit ;; esac\n[ -e {root}/active ] && [ -e {root}/{NEW} ] && echo '{{\"health\":\"true\"}}'"
        );
        let mut all = vec![
            ("crictl", crictl.as_str()),
            ("systemctl", &systemctl),
            ("curl", &curl),
            ("chown", ":"),
            ("setpriv", ":"),
            ("sync", ":"),
            ("journalctl", ":"),
        ];
        all.extend(more);
        let path = programs(&bin, &all);
        let mut script = script(&world(), false);
        for folder in ["/etc/kubernetes", "/etc/kbootstrap", "/etc/systemd", "/var/lib/", "/opt/"] {
            script = script.replace(folder, &format!("{root}{folder}"));
        }
        sh_with(&in_no_time(&bin, &script), &[("PATH", &path), ("KB_IN", root)])
    }

    /// As it shall be in the end, whatever was on the way.
    #[track_caller]
    fn is_taken_over(&self) {
        for (path, there) in [(MANIFEST, false), (KEPT, false), ("var/lib/etcd", false), (NEW, true)] {
            assert_eq!(self.has(path), there, "{path}");
        }
        let unit = fs::read_to_string(self.root().join("etc/systemd/system/kbootstrap-etcd.service")).unwrap();
        assert!(unit.contains("--name=cp1"), "{unit}");
        let begins = fs::read_to_string(self.root().join("var/lib/kbootstrap/etcd-start.env")).unwrap();
        assert!(begins.contains("ETCD_INITIAL_CLUSTER_STATE=existing"), "{begins}");
        let aside: Vec<_> = fs::read_dir(self.root().join("var/lib/kbootstrap/aside")).unwrap().collect();
        let aside = aside[0].as_ref().unwrap().path();
        for name in ["etcd.yaml", "server.key", "peer.crt", "healthcheck-client.key"] {
            assert!(aside.join(name).exists(), "{name}");
        }
        // The authority's key goes out of what kubeadm reads; its certificate is what API servers read.
        assert!(self.has("etc/kubernetes/pki/etcd/ca.crt") && !self.has("etc/kubernetes/pki/etcd/ca.key"));
        assert!(self.has("etc/kbootstrap/pki/etcd-ca.key"));
    }
}

#[test]
fn the_member_goes_on_with_its_data_and_again_changes_nothing() {
    let machine = Machine::new();
    machine.takes_over(&[]).unwrap();
    machine.is_taken_over();
    assert_eq!(fs::read_to_string(machine.root().join(NEW)).unwrap(), OLD);
    fs::remove_file(machine.root().join("systemctl.log")).unwrap();
    machine.takes_over(&[]).unwrap();
    machine.is_taken_over();
    let log = fs::read_to_string(machine.root().join("systemctl.log")).unwrap();
    assert!(!log.contains("restart"), "{log}");
}

#[test]
fn what_died_anywhere_is_gone_on_with() {
    // The manifest is away, the data are where they were.
    let machine = Machine::new();
    fs::rename(machine.root().join(MANIFEST), machine.root().join(KEPT)).unwrap();
    machine.takes_over(&[]).unwrap();
    machine.is_taken_over();
    // The data are the service's, which has never started; half a copy lies about.
    let machine = Machine::new();
    fs::rename(machine.root().join(MANIFEST), machine.root().join(KEPT)).unwrap();
    machine.write(NEW);
    machine.takes_over(&[]).unwrap();
    machine.is_taken_over();
    assert_eq!(fs::read_to_string(machine.root().join(NEW)).unwrap(), NEW, "the old ones count no more");
}

#[test]
fn on_another_disk_the_data_are_copied_and_compared() {
    let stat = ("stat", "echo \"$4\"");
    let machine = Machine::new();
    machine.write("var/lib/kbootstrap/etcd/member.part/wal/9");
    machine.takes_over(&[stat]).unwrap();
    machine.is_taken_over();
    assert!(!machine.has("var/lib/kbootstrap/etcd/member/wal/9"), "what an earlier copy left is not taken for one");
    let machine = Machine::new();
    let said = machine.takes_over(&[stat, ("diff", "exit 1")]).unwrap_err();
    assert!(said.contains("is not like it") && said.contains("as a static pod, as before"), "{said}");
    assert!(machine.has(MANIFEST) && machine.has(OLD) && !machine.has(NEW) && !machine.has(KEPT));
}

#[test]
fn before_the_data_are_moved_a_failure_changes_nothing() {
    for failing in [
        ("crictl", "exit 1"),
        ("crictl", "echo member"),
        ("mv", "case $* in *member*) exit 1 ;; *) exec /bin/mv \"$@\" ;; esac"),
    ] {
        let machine = Machine::new();
        let said = machine.takes_over(&[failing]).unwrap_err();
        assert!(said.contains("etcd goes on here as a static pod, as before"), "{failing:?}: {said}");
        assert!(machine.has(MANIFEST) && machine.has(OLD) && !machine.has(NEW) && !machine.has(KEPT));
    }
    let machine = Machine::new();
    machine.takes_over(&[("setpriv", "exit 1")]).unwrap_err();
    assert!(machine.has(MANIFEST) && machine.has(OLD), "programs that can't be run");
    machine.write(NEW);
    assert!(machine.takes_over(&[]).unwrap_err().contains("a static pod of etcd is here, and"));
    assert!(machine.has(MANIFEST) && machine.has(OLD));
}

#[test]
fn a_service_that_does_not_come_up_keeps_what_tells_of_it() {
    let machine = Machine::new();
    let said = machine.takes_over(&[("curl", "exit 7")]).unwrap_err();
    assert!(said.contains("etcd does not come up as a service"), "{said}");
    assert!(machine.has(KEPT) && machine.has(NEW) && !machine.has(MANIFEST));
    machine.takes_over(&[]).unwrap();
    machine.is_taken_over();
}

#[test]
fn the_stage_is_told_by_what_lies_there() {
    let mut world = world();
    let stage = |world: &World| world.judge("cp1", stage);
    let odd = |world: &World| world.judge("cp1", refusal).map(|(reason, _)| reason);
    assert_eq!((stage(&world), odd(&world)), (Stage::Pod, None));
    assert!(!world.judge("cp1", |context| is_under_way(context.spec, |_| Some(&context.seen.facts))));
    world.seen.facts.kubernetes.etcd_service = true;
    assert!(odd(&world).unwrap().contains("a static pod of etcd, and data of a service"));
    world.seen.facts.kubernetes.manifests.retain(|name| name != "etcd.yaml");
    assert_eq!((stage(&world), odd(&world)), (Stage::Between, None));
    let text = etcd::unit(&world.spec, &world.spec.nodes[0]);
    world.file(etcd::UNIT_PATH, &text);
    let unit = UnitSeen { active: "active".into(), enabled: "enabled".into(), ..UnitSeen::default() };
    world.seen.units.insert(EtcdLayout::UNIT.into(), unit);
    assert_eq!(stage(&world), Stage::Service);
    world.seen.facts.kubernetes.etcd_taken = true;
    assert_eq!(stage(&world), Stage::Between);
    let under_way =
        |world: &World| world.judge("cp1", |context| is_under_way(context.spec, |_| Some(&context.seen.facts)));
    assert!(under_way(&world));
    world.seen.facts.kubernetes.etcd_taken = false;
    assert!(!under_way(&world), "the cluster says that etcd is a service");
    world.spec.etcd = EtcdLayout::Stacked;
    assert!(under_way(&world), "and here that it is not");
    world.seen.facts.kubernetes.etcd_service = false;
    assert_eq!(odd(&world).unwrap(), "cp1 lacks /etc/kubernetes/manifests/etcd.yaml");
}
