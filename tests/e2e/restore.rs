//! Law: of a backup the cluster comes back, whatever is left of it: what was there when it was taken is there, what came
//! later is not, and every worker goes on as it was.

use std::fs;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::lab::{Lab, Shape, long, running::Running, seed};

const RUN: Duration = Duration::from_secs(600);

/// A cluster with a backup of it, and the file that opens it.
struct Kept<'a> {
    lab: &'a Lab,
    inventory: String,
    archive: String,
    identity: String,
}

impl<'a> Kept<'a> {
    /// Taken between two ConfigMaps, while others come and go.
    fn of(lab: &'a Lab, inventory: String) -> Self {
        let (recipient, identity) = lab.age_key("restore.key");
        let archive = lab.folder().join("restore.backup.age").display().to_string();
        lab.kubectl("cp1", "create configmap before --from-literal=a=b").success();
        let write = "sudo sh -c 'for i in $(seq 100); do kubectl --kubeconfig /etc/kubernetes/admin.conf create configmap \
                     kept-$i --from-literal=a=$i; done > /dev/null 2>&1 &'";
        lab.ssh("cp1", write).success();
        let taken = lab.kbootstrap(&["backup", &inventory, "--to", &archive, "--recipient", &recipient]);
        assert!(taken.ok(), "{taken}");
        lab.kubectl("cp1", "create configmap after --from-literal=a=b").success();
        Self { lab, inventory, archive, identity }
    }

    fn arguments<'b>(&'b self, more: &[&'b str]) -> Vec<&'b str> {
        let own = ["restore", &self.inventory, "--from", &self.archive, "--identity", &self.identity];
        [&own[..], more].concat()
    }

    /// Each says why, and touches nothing.
    fn what_does_not_fit_is_refused(&self) {
        let ours = || {
            let list = "sudo find /etc/kubernetes /etc/kbootstrap /var/lib/kbootstrap -printf '%p %s %T@\\n' | sort | sha256sum";
            self.lab.ssh("cp1", list).success()
        };
        let before = ours();
        let (_, other) = self.lab.age_key("other.key");
        let bytes = fs::read(&self.archive).expect("an archive");
        let cut = format!("{}.cut", self.archive);
        fs::write(&cut, &bytes[..bytes.len() - 100]).expect("written");
        let mut altered = bytes;
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        let changed = format!("{}.changed", self.archive);
        fs::write(&changed, altered).expect("written");
        let elsewhere = self.lab.folder().join("elsewhere.toml").display().to_string();
        let text = fs::read_to_string(&self.inventory).expect("an inventory");
        fs::write(&elsewhere, text.replace("\"e2e\"", "\"elsewhere\"")).expect("written");
        let (archive, own) = (self.archive.as_str(), self.identity.as_str());
        for (inventory, from, key, word) in [
            (self.inventory.as_str(), archive, other.as_str(), "decrypt"),
            (&self.inventory, &cut, own, "cut short or was altered"),
            (&self.inventory, &changed, own, "cut short or was altered"),
            (&elsewhere, archive, own, "of cluster \"e2e\""),
        ] {
            let said =
                self.lab.kbootstrap(&["restore", inventory, "--from", from, "--identity", key, "--yes-restore", "e2e"]);
            assert!(!said.ok() && said.stderr.contains(word), "nothing is said of {word:?}: {said}");
        }
        let unsaid = self.lab.kbootstrap(&self.arguments(&[]));
        assert!(unsaid.code == Some(2) && unsaid.stderr.contains("--yes-restore"), "{unsaid}");
        let wrong = self.lab.kbootstrap(&self.arguments(&["--yes-restore", "other"]));
        assert!(wrong.code == Some(2) && wrong.stderr.contains("nothing was changed"), "{wrong}");
        assert_eq!(ours(), before, "something was written");
    }

    /// What the cluster knows on `node`.
    fn is_as_it_was(&self, node: &str) {
        let all = self.lab.kubectl(node, "get configmaps -o name").success();
        let has = |name: &str| all.lines().any(|line| line == format!("configmap/{name}"));
        assert!(has("before") && !has("after"), "{all}");
        let plan = self.lab.kbootstrap(&["plan", &self.inventory, "--exit-code"]);
        assert_eq!(plan.code, Some(0), "{plan}");
    }
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn a_cluster_without_quorum_comes_back() {
    let lab = Lab::formed("restore");
    let kept = Kept::of(&lab, lab.inventory().display().to_string());
    kept.what_does_not_fit_is_refused();
    // Two disks of three are gone for good.
    for node in ["cp2", "cp3"] {
        lab.wipe(node);
    }
    let up = lab.kbootstrap(&["up", &kept.inventory, "--yes"]);
    assert!(!up.ok() && up.stderr.contains("unknown"), "{up}");
    let restore = kept.arguments(&["--yes-restore", lab.cluster()]);
    let mut random = StdRng::seed_from_u64(seed());
    for _ in 0..if long() { 5 } else { 1 } {
        let mut run = Running::start(&lab, &restore);
        run.until(Duration::from_millis(random.random_range(3000..25000)), |event| event["event"] == "run-finished");
        let talk = run.kill();
        println!("killed; it had said {:?}", talk.lines().last().unwrap_or_default());
    }
    let began = Instant::now();
    Running::start(&lab, &restore).end(RUN).with(0);
    println!("restored in {:.1} s", began.elapsed().as_secs_f32());
    kept.is_as_it_was("cp1");
    lab.assert_converged();
    let aside = lab.ssh("cp1", "sudo sh -c 'ls -d /var/lib/kbootstrap/aside/*/etcd/member'").success();
    assert!(!aside.is_empty(), "the old data is kept");
}

/// The only control plane is no more; another machine, at another address, takes its place.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn a_cluster_without_control_planes_comes_back_elsewhere() {
    let lab = Lab::up("restore-elsewhere", Shape::of(1, 2));
    let whole = fs::read_to_string(lab.inventory()).expect("an inventory");
    // The second worker's machine is not in the cluster.
    let tables: Vec<&str> = whole.split("[[node]]").collect();
    let spare = tables.iter().position(|table| table.contains("name = \"w2\"")).expect("w2");
    let without: Vec<&str> =
        tables.iter().enumerate().filter(|(at, _)| *at != spare).map(|(_, table)| *table).collect();
    let inventory = lab.inventory().display().to_string();
    fs::write(&inventory, without.join("[[node]]")).expect("written");
    let up = lab.kbootstrap(&["up", &inventory, "--yes"]);
    assert!(up.ok(), "{up}");
    let kept = Kept::of(&lab, inventory.clone());
    lab.kill("cp1");
    let moved: Vec<String> = tables
        .iter()
        .filter(|table| !table.contains("name = \"cp1\""))
        .map(|table| match table.contains("name = \"w2\"") {
            true => table.replace("role = \"worker\"", "role = \"control-plane\""),
            false => (*table).to_owned(),
        })
        .collect();
    fs::write(&inventory, moved.join("[[node]]")).expect("written");
    let yes = ["--yes-restore", lab.cluster()];
    let running = lab.kbootstrap(&kept.arguments(&yes));
    assert!(running.code == Some(2) && running.stderr.contains("--destroyed cp1"), "{running}");
    let began = Instant::now();
    let restored = lab.kbootstrap(&kept.arguments(&[&yes[..], &["--destroyed", "cp1"]].concat()));
    assert!(restored.ok(), "{restored}");
    println!("restored elsewhere in {:.1} s", began.elapsed().as_secs_f32());
    kept.is_as_it_was("w2");
    let nodes = lab.kubectl("w2", "get nodes --no-headers").success();
    assert!(!nodes.contains("cp1 ") && nodes.matches(" Ready ").count() == 2, "{nodes}");
}
