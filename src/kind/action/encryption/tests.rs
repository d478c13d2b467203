use super::{
    steps::{names, step},
    *,
};
use crate::kind::testing::{World, change as changed, in_no_time, kinds, programs, reason, sh_with};
use crate::model::{
    encryption::{EncryptionProvider, Phase},
    op::{Op, Work},
};

fn text(op: &Op) -> &str {
    let Work::Node { script, .. } = &op.work else { panic!("an op of a node") };
    script
}

#[test]
fn a_cluster_begins_with_a_key_and_joins_bring_it() {
    let mut world = World::bare();
    assert!(matches!(world.judge("cp1", judge), Verdict::Satisfied));
    world.spec.encryption = Some(EncryptionProvider::Secretbox);
    let found = changed(world.judge("cp1", judge));
    assert_eq!((kinds(&found), found.late()), (vec!["encryption.write"], vec![Late::Encryption(Keys::Present)]));
    assert!(!text(&found.ops[0]).contains(PENDING));
    for node in ["cp2", "w1"] {
        assert!(matches!(world.judge(node, judge), Verdict::Satisfied), "{node}");
    }
    // A backup of before encryption is plain.
    world.seen.facts.kubernetes.restoring = true;
    assert!(text(&changed(world.judge("cp1", judge)).ops[0]).contains(PENDING));
    world.cluster = Cluster::Unknown { reason: "?".into() };
    assert!(matches!(world.judge("cp1", judge), Verdict::Unknown(_)));
}

#[test]
fn nobody_joins_while_it_is_turned_on() {
    let mut world = World::live("cp2");
    world.spec.encryption = Some(EncryptionProvider::Secretbox);
    assert!(reason(world.judge("cp2", judge)).contains("is to join"));
}

/// The text of a step on a folder of this machine, its API server played by `curl`.
struct Node {
    folder: tempfile::TempDir,
    path: String,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["before", "second", "first", "only"] {
            std::fs::create_dir_all(root.join("in/encryption")).unwrap();
            std::fs::write(root.join(format!("in/encryption/{name}.yaml")), name).unwrap();
        }
        std::fs::create_dir_all(root.join("bin")).unwrap();
        let metrics = "cat \"${0%/*}/metrics\"";
        let path = programs(
            &root.join("bin"),
            &[("curl", metrics), ("chown", ":"), ("crictl", "echo \"$*\" >> \"${0%/*}/asked\"; echo id")],
        );
        Self { folder, path }
    }

    /// The API server began, and last loaded a file, so many seconds from now.
    fn server(&self, began: f64, loaded: Option<f64>) {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let mut text = format!("process_start_time_seconds {:e}\n", now + began);
        if let Some(loaded) = loaded {
            let name = "apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds";
            text.push_str(&format!("{name}{{apiserver_id_hash=\"sha256:0\",status=\"failure\"}} 9e+09\n"));
            text.push_str(&format!("{name}{{apiserver_id_hash=\"sha256:0\",status=\"success\"}} {:e}\n", now + loaded));
        }
        std::fs::write(self.folder.path().join("bin/metrics"), text).unwrap();
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("pki/encryption/config.yaml")
    }

    fn restarted(&self) -> bool {
        std::fs::read_to_string(self.folder.path().join("bin/asked")).is_ok_and(|text| text.contains("stop"))
    }

    fn run(&self, op: &Op) -> Result<String, String> {
        let root = self.folder.path().to_str().unwrap();
        let script =
            text(op).replace("/etc/kubernetes/pki", &format!("{root}/pki")).replace("/var/lib/", &format!("{root}/"));
        let script = in_no_time(&self.folder.path().join("bin"), &script);
        sh_with(&script, &[("PATH", &self.path), ("KB_IN", &format!("{root}/in"))])
    }

    fn has(&self, name: &str) {
        std::fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        std::fs::write(self.file(), name).unwrap();
    }
}

#[test]
fn a_step_is_taken_from_the_one_before_and_from_no_other() {
    let node = Node::new();
    node.server(100.0, None);
    let first = phase(Phase::First, Keys::Next);
    for (there, ends) in [("second", "first"), ("first", "first"), ("only", "only")] {
        node.has(there);
        node.run(&first).unwrap();
        assert_eq!(std::fs::read_to_string(node.file()).unwrap(), ends, "{there}");
    }
    for there in ["before", "another"] {
        node.has(there);
        assert!(node.run(&first).unwrap_err().contains("nothing was changed"), "{there}");
        assert_eq!(std::fs::read_to_string(node.file()).unwrap(), there);
    }
    std::fs::remove_file(node.file()).unwrap();
    assert!(node.run(&first).is_err());
    // Only the first key of a cluster comes where there is none.
    let own = step(names(Keys::First), 0, false, Keys::First);
    node.run(&own).unwrap();
    assert_eq!(std::fs::read_to_string(node.file()).unwrap(), "second");
    node.has("another");
    assert!(node.run(&own).is_err());
}

#[test]
fn loaded_is_what_was_loaded_after_the_file_was_written() {
    let only = phase(Phase::Only, Keys::Next);
    let again = |began, loaded| {
        let node = Node::new();
        node.has("first");
        node.server(began, loaded);
        node.run(&only).map(|_| node)
    };
    for (began, loaded) in [(100.0, None), (-100.0, Some(50.0))] {
        assert!(!again(began, loaded).unwrap().restarted(), "{began} {loaded:?}");
    }
    // Neither a load nor a start of before counts, and a server that stays so after a restart is told.
    for (began, loaded) in [(-100.0, None), (-100.0, Some(-50.0))] {
        assert!(again(began, loaded).err().unwrap().contains("does not load"), "{began} {loaded:?}");
    }
    // What was seen to be loaded still is, if nothing was loaded since; whatever the file went through.
    let node = again(-100.0, Some(1.0)).unwrap();
    node.server(-100.0, Some(-50.0));
    node.has("only");
    node.run(&only).unwrap();
    assert!(!node.restarted());
}
