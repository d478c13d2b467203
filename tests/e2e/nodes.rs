//! Nodes come and go: removed, added, replaced, and the whole cluster reset. One cluster goes through all of it, each law a
//! function; it begins from kept disks.

mod keeping;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::lab::probe::Prober;
use crate::lab::running::{Running, is, is_boundary};
use crate::lab::{CONTROL_PLANES, Lab, long, seed, until};

#[test]
fn nodes_come_and_go() {
    let lab = Lab::formed("nodes");
    let inventory = lab.inventory().display().to_string();
    let fleet = Fleet { lab: &lab, inventory };
    fleet.what_makes_no_sense_is_refused();
    fleet.certificates_are_told();
    fleet.a_backup_is_whole();
    fleet.a_budget_that_never_allows_ends_the_drain();
    fleet.a_worker_leaves_and_others_things_stay();
    fleet.a_worker_comes_and_nobody_else_is_touched();
    fleet.a_control_plane_leaves_and_comes_back_unnoticed();
    fleet.a_dead_control_plane_is_replaced();
    fleet.reset_leaves_bare_machines_and_up_forms_again();
}

/// The same through many kills and many rounds.
#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn nodes_come_and_go_again_and_again() {
    if !long() {
        return;
    }
    let lab = Lab::formed("nodes-again");
    let inventory = lab.inventory().display().to_string();
    let fleet = Fleet { lab: &lab, inventory };
    fleet.three_become_one_and_three_again();
    for round in 0..5 {
        println!("round {round}");
        fleet.done(&["node", "remove", &fleet.inventory, "w2", "--yes"]);
        fleet.done(&[
            "node",
            "add",
            &fleet.inventory,
            "--name",
            "w2",
            "--address",
            "10.77.0.22",
            "--zone",
            "b",
            "--yes",
        ]);
    }
    fleet.plan_is_empty();
    fleet.killed_on_the_way();
    let reset = ["reset", &fleet.inventory, "--yes-delete", lab.cluster()];
    for round in 0..3 {
        println!("round {round}");
        fleet.done(&reset);
        fleet.done(&["up", &fleet.inventory, "--yes"]);
    }
    lab.assert_converged();
}

struct Fleet<'a> {
    lab: &'a Lab,
    inventory: String,
}

impl Fleet<'_> {
    fn text(&self) -> String {
        fs::read_to_string(&self.inventory).expect("an inventory")
    }

    fn address(&self, node: &str) -> String {
        let text = self.text();
        let table = text.split("[[node]]").find(|table| table.contains(&format!("name = \"{node}\""))).expect(node);
        table.split("address = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("an address").to_owned()
    }

    /// Controllers may still be at it for a moment.
    fn plan_is_empty(&self) {
        let plan = || self.lab.kbootstrap(&["plan", &self.inventory, "--exit-code"]);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(45) {
            if plan().ok() {
                return;
            }
        }
        let plan = plan();
        assert_eq!(plan.code, Some(0), "{plan}");
    }

    /// The names of etcd's voters, as the member on a node lists them.
    fn voters(&self, node: &str) -> BTreeSet<String> {
        let list = self.lab.etcd_members(node);
        list.iter().filter(|member| member["isLearner"] != true).map(|member| member["name"].to_string()).collect()
    }

    /// The command ends well; its time is told.
    #[track_caller]
    fn done(&self, arguments: &[&str]) {
        let began = Instant::now();
        let outcome = self.lab.kbootstrap(arguments);
        assert!(outcome.ok(), "{outcome}");
        println!("  {}: {:.1} s", arguments[..2].join(" "), began.elapsed().as_secs_f64());
    }

    /// One by one down to a single member, and two at once up again, unnoticed.
    fn three_become_one_and_three_again(&self) {
        let prober = Prober::start(self.lab, "w1");
        for node in ["cp3", "cp1"] {
            self.done(&["node", "remove", &self.inventory, node, "--yes", "--delete-local-data"]);
        }
        assert_eq!(self.voters("cp2").len(), 1);
        let last = self.lab.kbootstrap(&["node", "remove", &self.inventory, "cp2", "--yes"]).failure(1);
        assert!(last.contains("it is the last one"), "{last}");
        let add = ["node", "add", &self.inventory, "--role", "control-plane", "--yes"];
        let both = ["--name", "cp3", "--address", "10.77.0.13", "--name", "cp1", "--address", "10.77.0.11"];
        self.done(&[&add[..], &both].concat());
        assert_eq!(self.voters("cp2").len(), 3);
        prober.end_well(500);
        self.plan_is_empty();
    }

    /// Each command is killed ten times on its way, and the last time let go.
    fn killed_on_the_way(&self) {
        let mut random = StdRng::seed_from_u64(seed());
        let mut through = |arguments: &[&str], millis: u64| {
            let mut kills = 0;
            for _ in 0..10 {
                let mut run = Running::start(self.lab, arguments);
                let moment = Duration::from_millis(random.random_range(300..millis));
                if run.until(moment, |event| event["event"] == "run-finished") {
                    break;
                }
                run.kill();
                kills += 1;
            }
            println!("  {} was killed {kills} times", arguments[..2].join(" "));
            let last = self.lab.kbootstrap(arguments);
            // A removal that was done has nobody left to remove.
            let gone = arguments[1] == "remove" && last.code == Some(2) && last.stderr.contains("has such a node");
            assert!(last.ok() || gone, "{last}");
        };
        through(&["node", "remove", &self.inventory, "w1", "--yes"], 3000);
        through(
            &["node", "add", &self.inventory, "--name", "w1", "--address", "10.77.0.21", "--zone", "a", "--yes"],
            3000,
        );
        self.plan_is_empty();
        through(&["node", "replace", &self.inventory, "cp3", "--yes", "--delete-local-data"], 6000);
        self.plan_is_empty();
        through(&["reset", &self.inventory, "--yes-delete", self.lab.cluster()], 1500);
    }

    /// Bad input ends with 2 and changes nothing.
    fn what_makes_no_sense_is_refused(&self) {
        let before = self.text();
        let inventory = self.inventory.as_str();
        for (arguments, word) in [
            (&["node", "remove", inventory, "w9"][..], "w9"),
            (&["node", "add", inventory, "--name", "w1", "--address", "10.77.0.99"][..], "another name"),
            (&["node", "add", inventory, "--name", "cp1", "--address", "10.77.0.11"][..], "control-plane"),
            (&["node", "replace", inventory, "w9"][..], "no such node"),
            (&["reset", inventory][..], "--yes-delete"),
            (&["reset", inventory, "--yes-delete", "other"][..], "other"),
        ] {
            let said = self.lab.kbootstrap(arguments).failure(2);
            assert!(said.contains(word), "nothing is said of {word:?}: {said}");
        }
        let nobody = ["node", "add", inventory, "--name", "w7", "--address", "10.77.0.99", "--yes"];
        let said = self.lab.kbootstrap(&nobody).failure(1);
        assert!(said.contains("nothing is known of its machine"), "{said}");
        assert_eq!(self.text(), before, "a refused command changed the inventory");
        self.plan_is_empty();
    }

    /// The drain names pod and budget, and the node takes pods again.
    fn a_budget_that_never_allows_ends_the_drain(&self) {
        let manifest = include_str!("nodes/budget.yaml");
        let apply = format!(
            "sudo tee /root/budget.yaml > /dev/null <<'Y'\n{manifest}\nY\nsudo kubectl --kubeconfig \
             /etc/kubernetes/admin.conf apply -f /root/budget.yaml"
        );
        self.lab.ssh("cp1", &apply).success();
        let kubectl = |arguments: &str| self.lab.kubectl("cp1", arguments).success();
        kubectl("-n budget rollout status deployment held --timeout=90s");
        let said = self
            .lab
            .kbootstrap(&["node", "remove", &self.inventory, "w1", "--yes", "--drain-timeout", "8s"])
            .failure(4);
        for word in ["budget/held-", "disruption budget never"] {
            assert!(said.contains(word), "nothing is said of {word:?}: {said}");
        }
        assert_eq!(kubectl("get node w1 -o jsonpath='{.spec.unschedulable}'"), "", "w1 is cordoned still");
        let planned = self.lab.kbootstrap(&["node", "remove", &self.inventory, "w1", "--plan"]).success();
        assert!(
            planned.contains("- pod budget/held-") && planned.contains("budget never lets none go now"),
            "{planned}"
        );
        self.plan_is_empty();
    }

    /// What is not ours survives the removal of a node; `force` goes over the budget.
    fn a_worker_leaves_and_others_things_stay(&self) {
        let put = "sudo iptables -I INPUT -p tcp --dport 4711 -m comment --comment 'not KUBE-FORWARD' -j ACCEPT; \
                   sudo iptables -N MINE; sudo iptables -A FORWARD -j MINE; \
                   image=$(sudo ctr -n k8s.io images ls -q | grep pause: | head -n 1); \
                   sudo ctr -n k8s.io images export /tmp/pause.tar $image && sudo ctr -n mine images import /tmp/pause.tar && \
                   sudo ctr -n mine run -d $image mine; \
                   echo mine | sudo tee /etc/cni/net.d/99-mine.conf.off /etc/sysctl.d/50-mine.conf > /dev/null";
        self.lab.ssh("w1", put).success();
        let began = Instant::now();
        let force =
            ["node", "remove", &self.inventory, "w1", "--yes", "--drain-timeout", "5s", "--on-blocked", "force"];
        let done = self.lab.kbootstrap(&force);
        assert!(done.ok(), "{done}");
        println!("w1 left in {:.1} s", began.elapsed().as_secs_f64());
        assert!(!self.text().contains("\"w1\""), "{}", self.text());
        let nodes = self.lab.kubectl("cp1", "get nodes -o name").success();
        assert!(!nodes.contains("w1"), "{nodes}");
        let rules = self.lab.ssh("w1", "sudo iptables-save").success();
        assert!(rules.contains("4711") && rules.contains("-A FORWARD -j MINE"), "{rules}");
        assert!(!rules.contains(":KUBE-") && !rules.contains(":FLANNEL-") && !rules.contains(":CNI-"), "{rules}");
        let tasks = self.lab.ssh("w1", "sudo ctr -n mine tasks ls").success();
        assert!(tasks.contains("RUNNING"), "a container of others: {tasks}");
        let left = "sudo cat /etc/cni/net.d/99-mine.conf.off /etc/sysctl.d/50-mine.conf; ls -d /etc/kbootstrap /etc/kubernetes \
                    /var/lib/kbootstrap/cluster.toml 2> /dev/null; ip -br link | grep -E 'cni0|flannel'; \
                    apt-mark showhold; grep -c kbootstrap /etc/hosts; true";
        assert_eq!(self.lab.ssh("w1", left).success(), "mine\nmine\n0");
        self.plan_is_empty();
        let again = self.lab.kbootstrap(&["node", "remove", &self.inventory, "w1", "--yes"]);
        assert_eq!(again.code, Some(2), "there is no w1 any more: {again}");
        self.lab.kubectl("cp1", "delete namespace budget --wait=false").success();
    }

    /// Killed on the way, and run again: it joins, and its run did nothing on any other node.
    fn a_worker_comes_and_nobody_else_is_touched(&self) {
        let address = "10.77.0.21";
        let add = ["node", "add", &self.inventory, "--name", "w1", "--address", address, "--yes"];
        let points = if long() { 10 } else { 1 };
        for point in 0..points {
            let mut run = Running::start(self.lab, &add);
            let mut left = 4 + 3 * point;
            let met = run.until(Duration::from_secs(200), |event| {
                left -= i32::from(is_boundary(event));
                left == 0
            });
            run.kill();
            if !met {
                break;
            }
        }
        assert!(self.text().contains("\"w1\""), "the inventory has it from the beginning");
        let began = Instant::now();
        let mut run = Running::start(self.lab, &add);
        run.until(Duration::from_secs(300), |event| event["event"] == "run-finished");
        let touched: BTreeSet<String> = run
            .seen
            .iter()
            .filter(|event| is_boundary(event))
            .map(|event| event["owner"]["node"].as_str().unwrap_or("cluster").to_owned())
            .collect();
        run.end(Duration::from_secs(60)).with(0);
        println!("w1 came in {:.1} s", began.elapsed().as_secs_f64());
        // The killed runs may have left nothing to do on w1 itself.
        assert!(touched.is_subset(&BTreeSet::from(["cluster".to_owned(), "w1".to_owned()])), "{touched:?}");
        self.plan_is_empty();
    }

    /// 3 → 2 → 3, the leader of etcd among them; asked ten times a second through a worker's proxy.
    fn a_control_plane_leaves_and_comes_back_unnoticed(&self) {
        let prober = Prober::start(self.lab, "w1");
        let began = Instant::now();
        let removed = self.lab.kbootstrap(&["node", "remove", &self.inventory, "cp2", "--yes", "--delete-local-data"]);
        assert!(removed.ok(), "{removed}");
        println!("cp2 left in {:.1} s", began.elapsed().as_secs_f64());
        assert_eq!(self.voters("cp1").len(), 2);
        // From two everything goes on: nothing to do, and one more makes it three.
        let plan = self.lab.kbootstrap(&["plan", &self.inventory, "--exit-code"]);
        assert!(plan.ok() && plan.stdout.contains("2 control planes"), "{plan}");
        let began = Instant::now();
        let add =
            ["node", "add", &self.inventory, "--role", "control-plane", "--name", "cp2", "--address", "10.77.0.12"];
        let added = self.lab.kbootstrap(&[&add[..], &["--yes"]].concat());
        assert!(added.ok(), "{added}");
        println!("cp2 came in {:.1} s", began.elapsed().as_secs_f64());
        assert_eq!(self.voters("cp1").len(), 3);
        prober.end_well(500);
        self.plan_is_empty();
    }

    /// The power of a control plane, the one that leads etcd, is off for ever; a bare machine has its name and address.
    fn a_dead_control_plane_is_replaced(&self) {
        let victim = self.leader();
        let others: Vec<&str> = CONTROL_PLANES.into_iter().filter(|node| *node != victim).collect();
        let (witness, other) = (others[0], others[1]);
        let address = self.address(victim);
        let before = self.lab.etcd_members(witness);
        let dead = before.iter().find(|member| member["name"] == victim).expect("a member")["ID"].clone();
        self.lab.kill(victim);
        until("another leads", Duration::from_secs(30), || {
            self.lab.etcd_status(witness)["leader"]
                .as_str()
                .is_some_and(|leader| Some(leader) != dead.as_str() && leader != "0")
        });
        let quorum = self.lab.kbootstrap(&["node", "remove", &self.inventory, other, "--yes"]).failure(1);
        assert!(quorum.contains(&format!("2 of 3 voters healthy; removing {other} leaves 1 of 2")), "{quorum}");
        let silent = self.lab.kbootstrap(&["node", "remove", &self.inventory, victim, "--yes"]).failure(1);
        assert!(silent.contains("does not answer") && silent.contains("--dead"), "{silent}");
        until("the cluster misses it", Duration::from_secs(90), || {
            self.lab.kubectl(witness, &format!("get node {victim} --no-headers")).stdout.contains("NotReady")
        });
        self.lab.wipe(victim);
        let began = Instant::now();
        let replaced = self.lab.kbootstrap(&["node", "replace", &self.inventory, victim, "--dead", "--yes"]);
        assert!(replaced.ok(), "{replaced}");
        println!("{victim}, which led etcd, was replaced in {:.1} s", began.elapsed().as_secs_f64());
        let after = self.lab.etcd_members(witness);
        assert_eq!(after.len(), 3);
        assert!(after.iter().all(|member| member["ID"] != dead && member["isLearner"] != true), "{after:?}");
        assert_eq!(self.address(victim), address);
        self.plan_is_empty();
    }

    /// The control plane that leads etcd.
    fn leader(&self) -> &'static str {
        let leader = self.lab.etcd_status("cp1")["leader"].clone();
        let members = self.lab.etcd_members("cp1");
        let found = members.iter().find(|member| member["ID"] == leader).expect("the leader is a member");
        CONTROL_PLANES.into_iter().find(|node| found["name"] == *node).expect("a control plane")
    }

    /// Killed on the way, run again, run a third time; and the machines are as good as new.
    fn reset_leaves_bare_machines_and_up_forms_again(&self) {
        let reset = ["reset", &self.inventory, "--yes-delete", &self.name()];
        let mut run = Running::start(self.lab, &reset);
        run.until(Duration::from_secs(60), |event| is(event, "op-started", "w1", "reset.reset"));
        run.kill();
        let began = Instant::now();
        let done = self.lab.kbootstrap(&reset);
        assert!(done.ok(), "{done}");
        println!("the cluster was reset in {:.1} s", began.elapsed().as_secs_f64());
        let again = self.lab.kbootstrap(&reset);
        assert!(again.ok() && again.stderr.contains("Nothing to change"), "{again}");
        for node in ["cp1", "cp2", "cp3", "w1", "w2"] {
            let left =
                self.lab.ssh(node, "ls -d /etc/kubernetes /etc/kbootstrap /var/lib/etcd/member 2> /dev/null; true");
            assert_eq!(left.success(), "", "left on {node}");
        }
        let began = Instant::now();
        let up = self.lab.kbootstrap(&["up", &self.inventory]);
        assert!(up.ok(), "{up}");
        println!("formed again in {:.1} s", began.elapsed().as_secs_f64());
    }

    fn name(&self) -> String {
        let text = self.text();
        text.split("name = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a name").to_owned()
    }
}
