//! Two control planes and a witness: any of the three machines may go, and writes go on; and the layout stays what it is
//! while nodes come and go.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use crate::lab::{Lab, Shape, kills::through_kills, probe::Prober, until};

/// Where a control plane has the key of etcd's authority.
const KEY: &str = "/etc/kbootstrap/pki/etcd-ca.key";

#[test]
fn any_one_of_two_control_planes_and_a_witness_may_go() {
    let lab = Lab::up("witness", Shape::of(2, 2));
    let fleet = Fleet::of(&lab);
    let plan = lab.kbootstrap(&["plan", &fleet.inventory]).success();
    assert!(plan.contains("2 control planes and a witness on w1"), "where, and why: {plan}");
    // The authorities are there, and nobody has begun with etcd: the next run founds the cluster with them.
    through_kills(&lab, &["up", &fleet.inventory, "--yes"], &[("step-finished", "cp1", "endpoint.pki")]);
    fleet.is_well("cp1", &["cp1", "cp2", "w1"]);
    let listening = lab
        .ssh("w1", "sudo ls /etc/kubernetes/pki /etc/kbootstrap/etcd; systemctl show -p User kbootstrap-etcd")
        .success();
    assert!(!listening.contains("ca.key") && listening.contains("User=kbootstrap-etcd"), "{listening}");
    fleet.keeps_the_authority(&["cp1", "cp2"], &["w1", "w2"]);
    fleet.moves_the_key_out_of_kubeadms_sight();
    for (victim, asked) in [("cp1", "cp2"), ("cp2", "cp1"), ("w1", "cp1")] {
        fleet.goes_on_without(victim, asked);
    }
    fleet.plan_is_empty();
}

/// 2 → 3 → 2 control planes, new certificates, another witness, a dead control plane, and an upgrade.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn the_layout_stays_while_nodes_come_and_go() {
    let lab = Lab::up("witness-nodes", Shape::of(3, 2));
    let fleet = Fleet::of(&lab);
    let whole = fleet.text();
    fs::write(&fleet.inventory, fleet.without("cp3")).expect("an inventory");
    fleet.done(&["up", &fleet.inventory]);
    fleet.is_well("cp1", &["cp1", "cp2", "w1"]);
    let layout = "[etcd]\nlayout = \"stacked\"\n\n[[node]]";
    let stacked = lab.folder().join("stacked.toml");
    fs::write(&stacked, whole.replacen("[[node]]", layout, 1)).expect("an inventory");
    let said = lab.kbootstrap(&["up", &stacked.display().to_string(), "--yes"]).failure(1);
    assert!(said.contains("etcd is service, the inventory says stacked"), "{said}");

    let prober = Prober::start(&lab, "w2");
    let cp3 = [
        "node",
        "add",
        &fleet.inventory,
        "--role",
        "control-plane",
        "--name",
        "cp3",
        "--address",
        "10.77.0.13",
        "--yes",
    ];
    fleet.done(&cp3);
    fleet.is_well("cp1", &["cp1", "cp2", "cp3"]);
    assert_eq!(lab.ssh("w1", "ls /etc/kbootstrap/etcd /opt/kbootstrap/etcd 2> /dev/null; true").success(), "");
    fleet.done(&["node", "remove", &fleet.inventory, "cp3", "--yes", "--delete-local-data"]);
    fleet.is_well("cp1", &["cp1", "cp2", "w1"]);
    fleet.done(&["certs", "renew", &fleet.inventory, "--yes"]);
    fleet.is_well("cp1", &["cp1", "cp2", "w1"]);
    fleet.done(&["node", "remove", &fleet.inventory, "w1", "--yes", "--delete-local-data"]);
    fleet.is_well("cp1", &["cp1", "cp2", "w2"]);
    prober.end_well(500);

    fleet.done(&["node", "add", &fleet.inventory, "--name", "w1", "--address", "10.77.0.21", "--yes"]);
    lab.kill("cp2");
    until("the cluster misses it", Duration::from_secs(90), || {
        lab.kubectl("cp1", "get node cp2 --no-headers").stdout.contains("NotReady")
    });
    lab.wipe("cp2");
    fleet.done(&["node", "replace", &fleet.inventory, "cp2", "--dead", "--yes"]);
    fleet.is_well("cp1", &["cp1", "cp2", "w2"]);

    let prober = Prober::start(&lab, "w1");
    fleet.done(&["upgrade", &fleet.inventory, "--to", "1.31.13", "--yes"]);
    prober.end_well(500);
    fleet.is_well("cp1", &["cp1", "cp2", "w2"]);
}

/// The cluster as a backup has it, with the same three members; and then bare machines again.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn what_was_lost_comes_back_with_its_witness() {
    let lab = Lab::up("witness-restored", Shape::of(2, 2));
    let fleet = Fleet::of(&lab);
    fleet.done(&["up", &fleet.inventory]);
    let (recipient, identity) = lab.age_key("witness.key");
    let archive = lab.folder().join("witness.backup.age").display().to_string();
    lab.kubectl("cp1", "create configmap before --from-literal=a=b").success();
    fleet.done(&["backup", &fleet.inventory, "--to", &archive, "--recipient", &recipient]);
    lab.kubectl("cp1", "create configmap after --from-literal=a=b").success();
    let from = ["restore", &fleet.inventory, "--from", &archive, "--identity", &identity];
    // Both others are gone, and with them the quorum; one of them comes back with nothing.
    for node in ["cp2", "w1"] {
        lab.kill(node);
    }
    lab.wipe("cp2");
    for node in ["cp2", "w1"] {
        lab.start(node);
    }
    fleet.done(&[&from[..], &["--yes-restore", lab.cluster()]].concat());
    let kept = lab.kubectl("cp1", "get configmaps -o name").success();
    assert!(kept.contains("before") && !kept.contains("after"), "{kept}");
    fleet.is_well("cp1", &["cp1", "cp2", "w1"]);
    fleet.done(&["reset", &fleet.inventory, "--yes-delete", lab.cluster()]);
    let left = "ls -d /var/lib/kbootstrap/etcd/member /etc/kbootstrap /opt/kbootstrap /etc/systemd/system/kbootstrap-etcd.service 2> /dev/null; true";
    for node in ["cp1", "cp2", "w1", "w2"] {
        assert_eq!(lab.ssh(node, left).success(), "", "left on {node}");
    }
}

/// etcd's authority is exchanged on all three members, and Secrets get another key, while the cluster serves.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn authorities_and_keys_are_exchanged_with_a_witness() {
    let lab = Lab::up("witness-keys", Shape::of(2, 2));
    let fleet = Fleet::of(&lab);
    let encrypted = fleet.text().replacen("[[node]]", "[encryption]\nprovider = \"secretbox\"\n\n[[node]]", 1);
    fs::write(&fleet.inventory, encrypted).expect("an inventory");
    fleet.done(&["up", &fleet.inventory]);
    let digest = |path: &str| lab.ssh("cp1", &format!("sudo sha256sum {path} | cut -d ' ' -f 1")).success();
    let (old_key, old_authority) = (digest(KEY), digest("/etc/kbootstrap/etcd/ca.crt"));

    let prober = Prober::start(&lab, "w2");
    // Killed when the witness has its new certificate, and before that is seen to be shown.
    let reissued = ("op-finished", "w1", "rotate.etcd");
    for (step, kills) in [(&["start"][..], &[][..]), (&["continue", "--restart"], &[reissued]), (&["finish"], &[])] {
        let arguments = [&["certs", "rotate-ca", &fleet.inventory], step, &["--yes", "--wait"]].concat();
        through_kills(&lab, &arguments, kills);
        fleet.is_well("cp1", &["cp1", "cp2", "w1"]);
    }
    prober.end_well(1000);
    let new_authority = digest("/etc/kbootstrap/etcd/ca.crt");
    assert_ne!(new_authority, old_authority);
    for node in ["cp1", "cp2", "w1"] {
        let said = lab.ssh(
            node,
            "cd /etc/kbootstrap/etcd; openssl verify -CAfile ca.crt member.crt; sha256sum ca.crt | cut -d ' ' -f 1; \
             openssl s_client -connect 127.0.0.1:2379 -CAfile ca.crt < /dev/null 2> /dev/null | grep -c 'Verify return code: 0'",
        );
        assert!(said.stdout.contains("member.crt: OK") && said.stdout.contains(new_authority.trim()), "{node}: {said}");
        let keys = lab.ssh(node, "sudo find /etc /var/lib/kbootstrap -name '*.key' -exec sha256sum {} +").success();
        assert!(!keys.contains(old_key.trim()), "{node} keeps the old key: {keys}");
    }
    fleet.keeps_the_authority(&["cp1", "cp2"], &["w1", "w2"]);
    fleet.done(&["secrets", "rotate-key", &fleet.inventory, "--yes"]);
    fleet.is_well("cp1", &["cp1", "cp2", "w1"]);
}

struct Fleet<'a> {
    lab: &'a Lab,
    inventory: String,
}

impl<'a> Fleet<'a> {
    fn of(lab: &'a Lab) -> Self {
        Self { lab, inventory: lab.inventory().display().to_string() }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.inventory).expect("an inventory")
    }

    /// The inventory less one node.
    fn without(&self, node: &str) -> String {
        let text = self.text();
        let mut tables = text.split("[[node]]");
        let head = tables.next().expect("a head").to_owned();
        let own = format!("name = \"{node}\"");
        tables.filter(|table| !table.contains(&own)).fold(head, |text, table| text + "[[node]]" + table)
    }

    /// The command ends well; its time is told.
    #[track_caller]
    fn done(&self, arguments: &[&str]) {
        let began = Instant::now();
        let outcome = self.lab.kbootstrap(arguments);
        assert!(outcome.ok(), "{outcome}");
        println!("  {}: {:.1} s", arguments[0], began.elapsed().as_secs_f64());
    }

    /// Controllers may still be at it for a moment.
    #[track_caller]
    fn plan_is_empty(&self) {
        let plan = || self.lab.kbootstrap(&["plan", &self.inventory, "--exit-code"]);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            if plan().ok() {
                return;
            }
        }
        let plan = plan();
        assert_eq!(plan.code, Some(0), "{plan}");
    }

    /// etcd has exactly these members, all with a vote, and nothing is left to do.
    #[track_caller]
    fn is_well(&self, node: &str, members: &[&str]) {
        let list = self.lab.etcd_members(node);
        let voters: BTreeSet<&str> = list
            .iter()
            .filter(|member| member["isLearner"] != true)
            .filter_map(|member| member["name"].as_str())
            .collect();
        assert_eq!((list.len(), voters), (members.len(), members.iter().copied().collect()), "{list:?}");
        self.plan_is_empty();
        let status = self.lab.kbootstrap(&["status", &self.inventory]);
        assert!(status.ok() && status.stdout.contains(&format!("{} voters", members.len())), "{status}");
        let rows = self.lab.kbootstrap(&["etcd", "members", &self.inventory]).success();
        for member in members {
            assert!(rows.contains(member), "{rows}");
        }
    }

    /// The key of etcd's authority is on these machines, root's alone and out of what kubeadm reads, and on no other.
    #[track_caller]
    fn keeps_the_authority(&self, on: &[&str], not_on: &[&str]) {
        // Nor a copy under any other name: whatever is the key of the authority's certificate.
        let find = "sudo sh -c 'want=$(openssl x509 -noout -pubkey -in /etc/kbootstrap/etcd/ca.crt 2> /dev/null); \
                    find /etc/kubernetes /etc/kbootstrap /var/lib/kbootstrap -type f -name \"*.key\" | while read -r key; do \
                    [ \"$(openssl pkey -pubout -in \"$key\" 2> /dev/null)\" != \"$want\" ] || stat -c \"%a %U %n\" \"$key\"; done'";
        for node in on {
            assert_eq!(self.lab.ssh(node, find).success(), format!("600 root {KEY}"), "{node}");
        }
        for node in not_on {
            let keys =
                "sudo find /etc /root /opt /var/lib/kbootstrap \\( -name etcd-ca.key -o -path '*/etcd/ca.key' \\)";
            assert_eq!(self.lab.ssh(node, keys).success(), "", "{node} has the authority's key");
        }
    }

    /// A cluster that an older version formed has it where kubeadm reads: `up` moves it, and meanwhile nothing is amiss.
    fn moves_the_key_out_of_kubeadms_sight(&self) {
        self.lab.ssh("cp2", &format!("sudo mv {KEY} /etc/kubernetes/pki/etcd/ca.key")).success();
        let plan = self.lab.kbootstrap(&["plan", &self.inventory]).success();
        assert!(plan.contains(&format!("/etc/kubernetes/pki/etcd/ca.key -> {KEY}")), "{plan}");
        self.done(&["up", &self.inventory]);
        self.keeps_the_authority(&["cp1", "cp2"], &[]);
        self.plan_is_empty();
    }

    /// The power of a machine goes: a write through another control plane succeeds again; and when the machine is back, all
    /// is well by itself.
    fn goes_on_without(&self, victim: &str, asked: &str) {
        let write = |name: &str| {
            self.lab.kubectl(
                asked,
                &format!("--server https://127.0.0.1:6443 --request-timeout=3s create configmap {name}"),
            )
        };
        let began = Instant::now();
        self.lab.kill(victim);
        until("writes go on", Duration::from_secs(60), || write(&format!("without-{victim}")).ok());
        println!("  {victim} off: a write through {asked} after {:.1} s", began.elapsed().as_secs_f64());
        let status = self.lab.kbootstrap(&["status", &self.inventory]);
        let silent = format!("the member on {victim} does not answer");
        assert!(!status.ok() && status.stdout.contains(&silent), "{status}");
        self.lab.start(victim);
        until("all is well again", Duration::from_secs(180), || self.lab.kbootstrap(&["status", &self.inventory]).ok());
    }
}
