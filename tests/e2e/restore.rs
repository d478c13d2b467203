//! Law: of a backup the cluster comes back, whatever is left of it: what was there when it was taken is there, what came
//! later is not, and every worker goes on as it was.

use std::time::{Duration, Instant};
use std::{fs, thread};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::lab::{CONTROL_PLANES, Lab, Shape, long, running::Running, seed, until};

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
        let cluster = self.lab.cluster();
        fs::write(&elsewhere, text.replace(&format!("name = \"{cluster}\""), "name = \"elsewhere\"")).expect("written");
        let foreign = format!("of cluster \"{cluster}\"");
        let (archive, own) = (self.archive.as_str(), self.identity.as_str());
        for (inventory, from, key, word) in [
            (self.inventory.as_str(), archive, other.as_str(), "decrypt"),
            (&self.inventory, &cut, own, "cut short or was altered"),
            (&self.inventory, &changed, own, "cut short or was altered"),
            (&elsewhere, archive, own, &foreign),
        ] {
            let arguments = ["restore", inventory, "--from", from, "--identity", key, "--yes-restore", cluster];
            let said = self.lab.kbootstrap(&arguments);
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

/// An inventory without these nodes.
fn without(inventory: &str, names: &[&str]) -> String {
    let is_of = |table: &str, name: &&str| table.contains(&format!("name = \"{name}\""));
    let mut tables = inventory.split("[[node]]");
    let head = tables.next().into_iter();
    let nodes = tables.filter(|table| !names.iter().any(|name| is_of(table, name)));
    head.chain(nodes).collect::<Vec<_>>().join("[[node]]")
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

/// A backup that is killed leaves nothing on the node, and nothing of an archive's name; the next one clears the rest away.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn backups_come_through_kills() {
    let lab = Lab::up("backups-killed", Shape::of(1, 1));
    let inventory = lab.inventory().display().to_string();
    let up = lab.kbootstrap(&["up", &inventory, "--yes"]);
    assert!(up.ok(), "{up}");
    let (recipient, identity) = lab.age_key("killed.key");
    let folder = lab.folder().join("killed");
    fs::create_dir(&folder).expect("made");
    let to = folder.display().to_string();
    let backup = ["backup", &inventory, "--to", &to, "--recipient", &recipient];
    let mut random = StdRng::seed_from_u64(seed());
    for _ in 0..10 {
        let run = Running::start(&lab, &backup);
        thread::sleep(Duration::from_millis(random.random_range(200..2500)));
        run.kill();
    }
    let taken = lab.kbootstrap(&backup);
    assert!(taken.ok(), "{taken}");
    let files: Vec<_> = fs::read_dir(&folder).expect("there").map(|entry| entry.expect("an entry").path()).collect();
    println!("  {} archives of 11 runs", files.len());
    assert!(!files.is_empty());
    for file in &files {
        let verified = lab.kbootstrap(&["backup", "verify", &file.display().to_string(), "--identity", &identity]);
        assert!(verified.ok(), "{verified}");
    }
    let find = "sudo find /var/lib/kbootstrap/backup /run/kbootstrap -name '*.db' 2> /dev/null; true";
    assert_eq!(lab.ssh("cp1", find).success(), "", "left on the node");
    lab.assert_converged();
}

/// The only control plane is no more; another machine, at another address, takes its place.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn a_cluster_without_control_planes_comes_back_elsewhere() {
    let lab = Lab::up("restore-elsewhere", Shape::of(1, 2));
    let whole = fs::read_to_string(lab.inventory()).expect("an inventory");
    let inventory = lab.inventory().display().to_string();
    // The second worker's machine is not in the cluster.
    fs::write(&inventory, without(&whole, &["w2"])).expect("written");
    let up = lab.kbootstrap(&["up", &inventory, "--yes"]);
    assert!(up.ok(), "{up}");
    let kept = Kept::of(&lab, inventory.clone());
    lab.kill("cp1");
    let moved: Vec<String> = without(&whole, &["cp1"])
        .split("[[node]]")
        .map(|table| match table.contains("name = \"w2\"") {
            true => table.replace("role = \"worker\"", "role = \"control-plane\""),
            false => table.to_owned(),
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

/// Objects of two kinds: written before the backup, and while it was taken.
const WRITTEN: [std::ops::RangeInclusive<u32>; 2] = [1..=600, 601..=1000];
/// The machines that take the place of all control planes.
const NEW: [&str; 3] = ["cp4", "cp5", "cp6"];

/// As root on a control plane: ConfigMaps `many-FIRST` to `many-LAST`, one after the other.
fn writing(of: &std::ops::RangeInclusive<u32>) -> String {
    format!(
        "for i in $(seq {} {}); do printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {{name: many-%s}}\\n---\\n' $i; done \
         | kubectl --kubeconfig /etc/kubernetes/admin.conf create -f - > /dev/null",
        of.start(),
        of.end()
    )
}

/// Numbers of the ConfigMaps that are there, in order.
fn written(lab: &Lab, node: &str) -> Vec<u32> {
    let all = lab.kubectl(node, "get configmaps -o name").success();
    let mut numbers: Vec<u32> =
        all.lines().filter_map(|line| line.strip_prefix("configmap/many-")?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// The containers of a worker's pods that are the workload's.
fn containers(lab: &Lab) -> Vec<String> {
    let all = lab.ssh("w1", "sudo crictl ps -q --state Running --name '^web$'").success();
    all.lines().map(str::to_owned).collect()
}

/// A backup that is taken while objects are written.
fn kept_while_written(lab: &Lab, inventory: String) -> Kept<'_> {
    let (recipient, identity) = lab.age_key("restore.key");
    let archive = lab.folder().join("restore.backup.age").display().to_string();
    let [before, during] = &WRITTEN;
    let root = |text: &str| lab.ssh("cp1", &format!("sudo sh -e -s << 'AS-ROOT'\n{text}\nAS-ROOT")).success();
    root(&writing(before));
    lab.kubectl("cp1", "create configmap before --from-literal=a=b").success();
    let file = format!("cat > /root/writing.sh << 'W'\n{}\nW", writing(during));
    root(&format!("{file}\nsystemd-run -q --collect --unit=writing sh /root/writing.sh"));
    until("it is written to", Duration::from_secs(30), || {
        lab.kubectl("cp1", &format!("get configmap many-{}", during.start())).ok()
    });
    let taken = lab.kbootstrap(&["backup", &inventory, "--to", &archive, "--recipient", &recipient]);
    assert!(taken.ok(), "{taken}");
    until("all is written", Duration::from_secs(120), || written(lab, "cp1").last() == Some(during.end()));
    lab.kubectl("cp1", "create configmap after --from-literal=a=b").success();
    Kept { lab, inventory, archive, identity }
}

/// Too little room on a machine, and old control planes of which nobody said that they are no more: each is told of, and
/// nothing is written anywhere.
fn what_stands_in_the_way_is_told(kept: &Kept) {
    let lab = kept.lab;
    let cluster = ["--yes-restore", lab.cluster()];
    let destroyed = ["--destroyed", "cp1", "--destroyed", "cp2", "--destroyed", "cp3"];
    lab.fill("cp5");
    let before = NEW.map(|node| lab.disk(node));
    let silent = lab.kbootstrap(&kept.arguments(&cluster));
    assert!(silent.code == Some(2) && silent.stderr.contains(&destroyed.join(" ")), "{silent}");
    let full = lab.kbootstrap(&kept.arguments(&[&cluster[..], &destroyed, &["--output", "json"]].concat()));
    assert!(!full.ok() && full.stderr.contains("cp5 restore.room: 0 MiB are free for "), "{full}");
    for (node, before) in NEW.iter().zip(before) {
        assert_eq!(lab.disk(node), before, "something was written on {node}");
    }
    lab.unfill("cp5");
}

/// All three control planes are destroyed, and three other machines take their place, with names and addresses of their own.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn a_cluster_whose_control_planes_are_destroyed_comes_back_on_others() {
    let lab = Lab::up("restore-on-others", Shape::of(6, 1));
    let whole = fs::read_to_string(lab.inventory()).expect("an inventory");
    let inventory = lab.inventory().display().to_string();
    fs::write(&inventory, without(&whole, &NEW)).expect("written");
    let up = lab.kbootstrap(&["up", &inventory, "--yes"]);
    assert!(up.ok(), "{up}");
    lab.start_workload();
    let kept = kept_while_written(&lab, inventory);
    let ran = containers(&lab);
    assert_eq!(ran.len(), 3);
    for node in CONTROL_PLANES {
        lab.wipe(node);
        lab.kill(node);
    }
    fs::write(&kept.inventory, without(&whole, &CONTROL_PLANES)).expect("written");
    what_stands_in_the_way_is_told(&kept);
    assert_eq!(containers(&lab), ran, "pods of the worker run on");

    let began = Instant::now();
    let mut arguments = kept.arguments(&["--yes-restore", lab.cluster()]);
    arguments.extend(CONTROL_PLANES.iter().flat_map(|node| ["--destroyed", node]));
    Running::start(&lab, &arguments).end(RUN).with(0);
    println!("restored on three other machines in {:.1} s", began.elapsed().as_secs_f32());

    let numbers = written(&lab, "cp4");
    let [before, during] = &WRITTEN;
    println!("of {} objects {} are in the backup", during.end(), numbers.len());
    assert!(numbers.len() >= *before.end() as usize, "{numbers:?}");
    assert_eq!(
        numbers,
        (1..=numbers.len() as u32).collect::<Vec<_>>(),
        "one that was written before another is missing"
    );
    kept.is_as_it_was("cp4");
    let nodes = lab.kubectl("cp4", "get nodes --no-headers").success();
    let names: Vec<&str> = nodes.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!((names, nodes.matches(" Ready ").count()), (vec!["cp4", "cp5", "cp6", "w1"], 4), "{nodes}");
    assert_eq!(lab.etcd_members("cp4").len(), 3);
    assert_eq!(containers(&lab), ran, "pods of the worker ran on");
    lab.kubectl("cp5", "create deployment new --image=registry.k8s.io/e2e-test-images/agnhost:2.47 --replicas=2")
        .success();
    lab.kubectl("cp6", "rollout status deployment/new --timeout=90s").success();
}
