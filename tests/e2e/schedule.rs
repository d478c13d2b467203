//! Law: control planes take backups by themselves that are as good as any other: of them the cluster comes back. What fails
//! is told, and costs nothing that was kept.

use std::{
    fs,
    process::{Child, Stdio},
    time::Duration,
};

use crate::lab::{CONTROL_PLANES, Lab, asset, until};

const FOLDER: &str = "/var/lib/kbootstrap/backup/scheduled";

const S3: &str = "10.77.0.1:9000";
const KEY: [&str; 2] = ["KEYID", "se/cr+et-of-the-bucket"];

/// A server that takes objects from who signs with the key. It ends with its value.
struct S3Server(Child);

impl S3Server {
    fn start(lab: &Lab) -> Self {
        let folder = lab.folder().join("objects");
        fs::create_dir_all(&folder).expect("made");
        let mut command = lab.command(asset("s3", "s3"));
        command.arg(S3).arg(&folder).args(KEY).stdout(Stdio::null());
        Self(command.spawn().expect("it starts"))
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A cluster that takes backups, and the key of them.
struct Scheduled {
    lab: Lab,
    inventory: String,
    identity: String,
}

impl Scheduled {
    /// Laid by `up`, on control planes alone; a second `up` has nothing to do.
    fn of(lab: Lab) -> Self {
        let (recipient, identity) = lab.age_key("schedule.key");
        let inventory = lab.inventory().display().to_string();
        let text = fs::read_to_string(&inventory).expect("an inventory");
        let table = format!("[backup]\nrecipients = [\"{recipient}\"]\nschedule = \"daily\" # by night\nkeep = 2\n");
        let account = lab.folder().join("s3-account");
        let [id, secret] = KEY;
        let text_of_key = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
        fs::write(&account, text_of_key).expect("written");
        let table = format!(
            "{table}[backup.s3]\nendpoint = \"http://{S3}\"\nbucket = \"backups\"\nprefix = \"lab/\"\ncredentials = \"{}\"\n",
            account.display()
        );
        fs::write(&inventory, format!("{text}\n{table}")).expect("written");
        let up = lab.kbootstrap(&["up", &inventory, "--yes", "-vv"]);
        assert!(up.ok(), "{up}");
        assert!(!up.stdout.contains(secret) && !up.stderr.contains(secret), "the secret is told");
        let this = Self { lab, inventory, identity };
        for node in this.lab.nodes() {
            let runs = this.lab.ssh(&node, "systemctl is-active kube-backup.timer").stdout;
            assert_eq!(runs.trim() == "active", node.starts_with("cp"), "{node}: {runs}");
            let key = this.lab.ssh(&node, "sudo stat -c '%a %U' /etc/kbootstrap/backup-s3").stdout;
            assert_eq!(key.trim(), if node.starts_with("cp") { "600 root" } else { "" }, "{node}");
        }
        this.has_nothing_to_plan();
        let status = this.lab.kbootstrap(&["status", &this.inventory]);
        assert!(status.ok() && status.stdout.contains("backups: none yet; the first is due in "), "{status}");
        this
    }

    fn has_nothing_to_plan(&self) {
        let plan = self.lab.kbootstrap(&["plan", &self.inventory, "--exit-code"]);
        assert_eq!(plan.code, Some(0), "{plan}");
    }

    /// As the timer would; whether it went well.
    fn take(&self, node: &str) -> bool {
        // `start` would wait for the next try of one that failed.
        self.lab.ssh(node, "sudo systemctl restart kube-backup.service").ok()
    }

    /// Names of archives on a control plane, oldest first.
    fn archives(&self, node: &str) -> Vec<String> {
        let list = self.lab.ssh(node, &format!("sudo ls {FOLDER}")).success();
        list.lines().filter(|name| name.ends_with(".backup.age")).map(str::to_owned).collect()
    }

    /// Nothing that can be read is left, and nobody but root gets at what is there.
    fn leaves_nothing_readable(&self, node: &str) {
        let modes = self.lab.ssh(node, &format!("sudo find {FOLDER} -printf '%m\\n'")).success();
        assert!(modes.lines().all(|mode| ["600", "700"].contains(&mode)), "{modes}");
        assert!(!self.lab.ssh(node, &format!("ls {FOLDER}")).ok(), "anybody may look");
        // The login user's shell could not expand these.
        let drafts = format!("sudo sh -c 'ls -d {FOLDER}/.new /var/lib/etcd/kbootstrap-snapshot.db*'");
        assert_eq!(self.lab.ssh(node, &drafts).stdout, "", "drafts are left on {node}");
        let clear = format!("sudo sh -c 'grep -aqE \"PRIVATE KEY|/registry/|manifest.json\" {FOLDER}/*.age'");
        assert_eq!(self.lab.ssh(node, &clear).code, Some(1), "something is in clear");
    }

    /// Fetches the newest one, and gives its file.
    fn fetch(&self) -> String {
        let file = self.lab.folder().join("fetched.backup.age").display().to_string();
        let fetched = self.lab.kbootstrap(&["backup", "fetch", &self.inventory, "--to", &file]);
        assert!(fetched.ok() && fetched.stdout.contains(&file), "{fetched}");
        let (_, other) = self.lab.age_key("schedule-other.key");
        assert!(!self.lab.kbootstrap(&["backup", "verify", &file, "--identity", &other]).ok(), "any key opens it");
        let verified = self.lab.kbootstrap(&["backup", "verify", &file, "--identity", &self.identity]);
        let whole = format!("is whole: cluster {} ", self.lab.cluster());
        assert!(verified.ok() && verified.stdout.contains(&whole), "{verified}");
        file
    }

    /// What this control plane has sent, by name.
    fn sent(&self, node: &str) -> Vec<String> {
        let entries = fs::read_dir(self.lab.folder().join("objects/backups/lab").join(node)).into_iter().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.expect("an object").file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// It is sent as it lies there; where it can't be, that is told, and it is sent with the next.
    fn sends(&self) {
        assert!(self.take("cp1"));
        self.tells("cp1", "was not sent to http://10.77.0.1:9000");
        assert!(self.sent("cp1").is_empty());
        let server = S3Server::start(&self.lab);
        until("it is sent", Duration::from_secs(30), || self.take("cp1") && !self.sent("cp1").is_empty());
        self.is_well();
        let kept = self.archives("cp1");
        assert!(kept.iter().all(|name| self.sent("cp1").contains(name)), "{kept:?}");
        let object = self.lab.folder().join("objects/backups/lab/cp1").join(&kept[0]).display().to_string();
        let verified = self.lab.kbootstrap(&["backup", "verify", &object, "--identity", &self.identity]);
        assert!(verified.ok(), "{verified}");
        // Whoever does not know the key is not let in.
        let stranger = format!("curl -s -o /dev/null -w '%{{http_code}}' -T /etc/hostname http://{S3}/backups/x");
        assert_eq!(self.lab.ssh("cp1", &stranger).stdout, "403");
        drop(server);
        // From here on nothing is sent.
        let text = fs::read_to_string(&self.inventory).expect("an inventory");
        let (before, _) = text.split_once("[backup.s3]").expect("the table");
        fs::write(&self.inventory, before).expect("written");
        let up = self.lab.kbootstrap(&["up", &self.inventory, "--yes"]);
        assert!(up.ok(), "{up}");
        assert!(!self.lab.ssh("cp1", "sudo test -e /etc/kbootstrap/backup-s3").ok(), "the key is left");
        self.has_nothing_to_plan();
        assert!(self.take("cp1"));
        self.is_well();
    }

    /// `status` fails, and says so of this node.
    fn tells(&self, node: &str, why: &str) {
        let status = self.lab.kbootstrap(&["status", &self.inventory]);
        let line = status.stdout.lines().find(|line| line.contains("backups: ")).unwrap_or_default();
        assert!(line.contains(&format!("{node} failed ")) && line.contains(why), "{status}");
        assert!(line.starts_with("FAIL") && line.contains("the last good one is ") && !status.ok(), "{status}");
    }

    fn is_well(&self) {
        until("backups are well", Duration::from_secs(240), || {
            let status = self.lab.kbootstrap(&["status", &self.inventory]);
            status.ok() && status.stdout.contains("backups: the last good one is ")
        });
    }

    /// A full disk, a member of etcd that is away, a kill in its midst: each is told, and what was kept is there.
    fn failures_are_told(&self) {
        let kept = self.archives("cp1");
        // A disk of its own for archives: with the node's whole disk full, kubelet would throw images away.
        self.lab.ssh("cp1", &format!("sudo mount -t tmpfs -o size=20m tmpfs {FOLDER}")).success();
        assert!(!self.take("cp1"));
        self.lab.ssh("cp1", &format!("sudo umount {FOLDER}")).success();
        self.tells("cp1", "KiB are free");
        assert_eq!(self.archives("cp1"), kept);

        // It waits for whoever takes another snapshot; there it is killed.
        let hold = "sudo systemd-run -q --unit hold-snapshot flock /run/kbootstrap-snapshot.lock sleep 300";
        self.lab.ssh("cp1", &format!("{hold}; sudo systemctl restart --no-block kube-backup.service")).success();
        until("it has begun", Duration::from_secs(20), || {
            self.lab.ssh("cp1", &format!("sudo ls -d {FOLDER}/.new")).ok()
        });
        self.lab.ssh("cp1", "sudo systemctl kill -s KILL kube-backup.service").success();
        until("it is told", Duration::from_secs(20), || {
            self.lab.kbootstrap(&["backup", "schedule", &self.inventory]).stdout.contains("it ended by signal")
        });
        self.lab.ssh("cp1", "sudo systemctl stop hold-snapshot.service").success();
        self.leaves_nothing_readable("cp1");
        assert_eq!(self.archives("cp1"), kept);
        assert!(self.take("cp1"));
        assert_eq!(self.archives("cp1").len(), 2);
        self.is_well();

        assert!(self.take("cp2"));
        let kept = self.archives("cp2");
        self.lab.ssh("cp2", "sudo mv /etc/kubernetes/manifests/etcd.yaml /root/etcd.yaml").success();
        until("the member is away", Duration::from_secs(90), || {
            !self.lab.ssh("cp2", "sudo ss -ltn | grep -q :2379").ok()
        });
        assert!(!self.take("cp2"));
        self.tells("cp2", "does not answer, or has no quorum");
        assert_eq!(self.archives("cp2"), kept);
        self.lab.ssh("cp2", "sudo mv /root/etcd.yaml /etc/kubernetes/manifests/etcd.yaml").success();
        until("the member is back", Duration::from_secs(120), || self.take("cp2"));
        self.is_well();
    }

    /// All is as the archive has it, and goes on being backed up.
    fn comes_back_of(&self, file: &str) {
        let (from, key) = (["--from", file], ["--identity", &self.identity]);
        let restore = [&["restore", &self.inventory][..], &from, &key, &["--yes-restore", self.lab.cluster()]].concat();
        let restored = self.lab.kbootstrap(&restore);
        assert!(restored.ok(), "{restored}");
        let all = self.lab.kubectl("cp1", "get configmaps -o name").success();
        let has = |name: &str| all.lines().any(|line| line == format!("configmap/{name}"));
        assert!(has("before") && !has("after"), "{all}");
        self.has_nothing_to_plan();
        for node in CONTROL_PLANES {
            assert!(self.take(node), "{node} takes no backups any more");
        }
        self.is_well();
    }

    /// Taken out of the inventory by the command: the timer goes, archives stay.
    fn ends(&self) {
        let kept = self.archives("cp1");
        let off = self.lab.kbootstrap(&["backup", "schedule", &self.inventory, "--off", "--yes"]);
        assert!(off.ok() && off.stderr.contains(&format!("{} archives stay under {FOLDER}", kept.len())), "{off}");
        let text = fs::read_to_string(&self.inventory).expect("an inventory");
        assert!(!text.contains("schedule =") && text.contains("recipients ="), "{text}");
        for node in CONTROL_PLANES {
            let left = "ls /etc/kbootstrap/backup.sh /etc/systemd/system/kube-backup.* 2> /dev/null; systemctl list-timers --all | grep kube-backup";
            assert_eq!(self.lab.ssh(node, left).stdout, "", "{node}");
        }
        assert_eq!(self.archives("cp1"), kept);
        let listed = self.lab.kbootstrap(&["backup", "ls", &self.inventory]);
        assert!(listed.ok() && kept.iter().all(|name| listed.stdout.contains(&format!("cp1  {name}"))), "{listed}");
        self.has_nothing_to_plan();
    }
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn control_planes_take_backups_that_the_cluster_comes_back_of() {
    let scheduled = Scheduled::of(Lab::formed("schedule"));
    let lab = &scheduled.lab;
    scheduled.sends();
    for _ in 0..3 {
        assert!(scheduled.take("cp1"), "{}", lab.ssh("cp1", "sudo journalctl -u kube-backup.service").stdout);
    }
    assert_eq!(scheduled.archives("cp1").len(), 2, "two are kept");
    scheduled.leaves_nothing_readable("cp1");
    scheduled.failures_are_told();
    lab.kubectl("cp1", "create configmap before --from-literal=a=b").success();
    assert!(scheduled.take("cp3"));
    lab.kubectl("cp1", "create configmap after --from-literal=a=b").success();
    let file = scheduled.fetch();
    scheduled.comes_back_of(&file);
    scheduled.ends();
    lab.assert_converged();
}
