//! Law: another version of the container runtime or of the network in the inventory is rolled node by node, and who asks the
//! cluster all the while does not notice.

use std::{fs, time::Duration};

use serde_json::Value;

use crate::lab::{Lab, Shape, probe::Prober, running::Running, workload::SERVICE};

const NODES: [&str; 3] = ["cp1", "w1", "w2"];
/// What the lab has besides the version of kube-router that the program brings.
const KUBE_ROUTER: &str = "v2.1.0-lab";
const RUN: Duration = Duration::from_secs(900);

/// The versions of containerd that the lab serves: an older and a newer one.
fn versions(lab: &Lab) -> [String; 2] {
    let listed = lab.ssh("w1", "sudo apt-get -qq update > /dev/null && apt-cache madison containerd").success();
    let mut found: Vec<String> =
        listed.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned())).collect();
    found.reverse();
    found.try_into().unwrap_or_else(|found| panic!("two versions are served, and not {found:?}"))
}

/// A cluster, and the versions that its inventory asks for.
struct Pinned<'a> {
    lab: &'a Lab,
    inventory: String,
    text: String,
}

impl<'a> Pinned<'a> {
    fn of(lab: &'a Lab) -> Self {
        let inventory = lab.inventory().display().to_string();
        let text = fs::read_to_string(&inventory).expect("an inventory");
        Self { lab, inventory, text }
    }

    fn ask_for(&self, version: &str) {
        self.ask(&format!("[runtime]\nversion = \"{version}\"\n"));
    }

    fn ask(&self, tables: &str) {
        fs::write(&self.inventory, format!("{}\n{tables}", self.text)).expect("written");
    }

    /// On every node it is installed, held, and what runs.
    fn has(&self, version: &str) {
        for node in NODES {
            let installed = self.lab.ssh(node, "dpkg-query -W -f='${Version} ${db:Status-Want}' containerd").success();
            assert_eq!(installed, format!("{version} hold"), "{node}");
            // The program of a daemon that was not restarted is a file that is no more.
            let program = "sudo readlink /proc/$(systemctl show -p MainPID --value containerd)/exe";
            assert_eq!(self.lab.ssh(node, program).success(), "/usr/bin/containerd", "{node}");
        }
    }

    /// What no repository has is met before anything is out of service.
    fn what_is_nowhere_disturbs_nobody(&self) {
        self.ask_for("9.9.9");
        let mut run = Running::up(self.lab, &[]);
        run.until(RUN, |event| event["event"] == "run-finished");
        let seen = std::mem::take(&mut run.seen);
        let ended = run.end(RUN);
        assert_ne!(ended.code, Some(0), "{}", ended.stderr);
        let failed: Vec<&Value> = seen.iter().filter(|event| event["event"] == "failed").collect();
        assert!(!failed.is_empty(), "{}", ended.stderr);
        for event in failed {
            assert_eq!(event["failure"]["step"], "upgrade.fetch", "{event}");
            assert!(event["failure"].to_string().contains("9.9.9"), "{event}");
        }
        let closed = self.lab.kubectl("cp1", "get nodes -o jsonpath='{.items[*].spec.unschedulable}'").success();
        assert_eq!(closed, "", "a node was closed");
    }

    /// Each node is emptied, changed, looked at and opened again.
    fn plan_shows_a_roll(&self) {
        let plan = self.lab.kbootstrap(&["plan", &self.inventory, "--exit-code", "--output", "json"]);
        assert_eq!(plan.code, Some(3), "{plan}");
        let plan: Value = serde_json::from_str(&plan.stdout).unwrap_or_else(|error| panic!("{error}: {plan}"));
        let chains = plan["chains"].as_array().expect("chains");
        for node in NODES {
            let chain = chains.iter().find(|chain| chain["owner"]["node"] == node).expect("a chain");
            let steps = chain["steps"].as_array().expect("steps").iter();
            let changes: Vec<&str> =
                steps.filter(|step| step["verdict"] == "change").filter_map(|step| step["step"].as_str()).collect();
            let mut wanted = vec!["upgrade.fetch", "upgrade.drain", "packages.install", "upgrade.settled"];
            if node == "cp1" {
                wanted.push("upgrade.return");
            }
            wanted.push("upgrade.uncordon");
            assert_eq!(changes, wanted, "{node}");
        }
    }

    /// `up` does it, one node after the other.
    fn is_rolled(&self) {
        let mut run = Running::up(self.lab, &[]);
        run.until(RUN, |event| event["event"] == "run-finished");
        let seen = std::mem::take(&mut run.seen);
        run.end(RUN).with(0);
        let (mut order, mut away) = (Vec::new(), Vec::new());
        for event in &seen {
            let node = event["owner"]["node"].as_str().unwrap_or_default();
            if event["event"] == "step-started" && event["step"] == "upgrade.drain" {
                order.push(node);
                away.push(node);
                assert_eq!(away, [node], "more than one is out of service");
            }
            if event["event"] == "step-finished" && event["step"] == "upgrade.uncordon" {
                away.retain(|other| *other != node);
            }
        }
        assert_eq!(order, NODES);
        let seconds = seen.last().map(|event| event["seconds"].to_string()).unwrap_or_default();
        println!("rolled in {seconds} s");
    }

    /// An image that is nowhere is met by every node, and no pod is touched for it; one that is there takes the old one's place
    /// on all nodes, and nobody else's pods go for it.
    fn network_is_rolled(&self, containerd: &str) {
        let of = |version: &str| {
            self.ask(&format!("[runtime]\nversion = \"{containerd}\"\n[network]\nkube-router = \"{version}\"\n"));
        };
        let pods = |what: &str, selector: &str| {
            let list = format!("get pods -A -l {selector} -o jsonpath='{{.items[*].{what}}}'");
            self.lab.kubectl("cp1", &list).success()
        };
        let firewall = "app.kubernetes.io/name=kube-router";
        let (routers, web) = (pods("metadata.uid", firewall), pods("metadata.uid", "app=web"));
        of("v9.9.9");
        let nowhere = self.lab.kbootstrap(&["up", &self.inventory, "--yes"]);
        assert!(!nowhere.ok() && nowhere.stderr.contains("kube-router:v9.9.9"), "{nowhere}");
        assert_eq!(pods("metadata.uid", firewall), routers, "a pod was replaced by one that has no image");
        of(KUBE_ROUTER);
        let up = self.lab.kbootstrap(&["up", &self.inventory, "--yes"]);
        assert!(up.ok(), "{up}");
        let image = format!("docker.io/cloudnativelabs/kube-router:{KUBE_ROUTER}");
        assert_eq!(pods("spec.containers[*].image", firewall), [image.as_str(); NODES.len()].join(" "));
        assert_eq!(pods("metadata.uid", "app=web"), web, "the network's roll moves nobody");
    }
}

#[test]
#[ignore = "long: `tests/run e2e --long` runs it"]
fn another_containerd_and_another_network_are_rolled_node_by_node() {
    let lab = Lab::up("runtime", Shape::of(1, 2));
    let [older, newer] = versions(&lab);
    let pinned = Pinned::of(&lab);
    pinned.ask_for(&older);
    let up = lab.kbootstrap(&["up", &pinned.inventory, "--yes"]);
    assert!(up.ok(), "{up}");
    pinned.has(&older);
    lab.start_workload();
    pinned.what_is_nowhere_disturbs_nobody();
    pinned.has(&older);
    pinned.ask_for(&newer);
    pinned.plan_shows_a_roll();
    let prober = Prober::with(&lab, "w1", &[("service", SERVICE)]);
    pinned.is_rolled();
    pinned.has(&newer);
    pinned.network_is_rolled(&newer);
    prober.end_well(200);
    lab.assert_converged();
}
