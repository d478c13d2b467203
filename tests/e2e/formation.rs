//! `kbootstrap up` on five bare machines: the laws that hold of a cluster from its first minute.
//!
//! Forming costs more than a minute, so one test forms a cluster and asks it everything; each question is a function.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{self, Lab, Shape, until};

const NODES: [&str; 5] = ["cp1", "cp2", "cp3", "w1", "w2"];

#[test]
fn five_bare_machines_become_a_proven_cluster() {
    let lab = Lab::up("formation", Shape::default());
    let inventory = lab.inventory().display().to_string();
    let inventory = inventory.as_str();
    let planned = plan_changes_nothing(&lab, inventory);
    what_ran_is_what_was_shown(&lab, inventory, &planned);
    every_node_is_ready_and_etcd_votes(&lab);
    plan_after_up_is_empty(&lab, inventory);
    a_second_up_changes_nothing(&lab, inventory);
    pods_reach_each_other_and_policies_deny(&lab);
    nothing_secret_is_left(&lab);
    a_control_plane_may_die(&lab, inventory);
}

/// A digest of what lies on a node's disk, less what reading itself writes: logs, sudo's and systemd's own state.
fn disk_digest(lab: &Lab, node: &str) -> String {
    let find = "sudo find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log \
                -o -path /var/lib/systemd -o -path /var/lib/sudo -o -path /var/tmp -o -path /home/ubuntu/.cache \\) -prune \
                -o -printf '%p %y %m %U %G %s %T@ %l\\n' | LC_ALL=C sort | sha256sum";
    lab.ssh(node, find).success()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("no JSON: {error}\n{text}"))
}

/// Every step of every node is in the plan, and planning leaves no trace on any disk.
fn plan_changes_nothing(lab: &Lab, inventory: &str) -> Value {
    let before: Vec<String> = NODES.iter().map(|node| disk_digest(lab, node)).collect();
    let text = lab.kbootstrap(&["plan", inventory, "--output", "json"]).success();
    let after: Vec<String> = NODES.iter().map(|node| disk_digest(lab, node)).collect();
    assert_eq!(before, after, "planning changed a disk");
    let plan = json(&text);
    assert_eq!(plan["schema"], "kbootstrap.plan/v1");
    let steps = |owner: usize| -> BTreeSet<String> {
        let steps = plan["chains"][owner]["steps"].as_array().expect("a chain has steps");
        steps.iter().map(|step| step["step"].as_str().expect("a step has a name").to_owned()).collect()
    };
    assert_eq!(plan["chains"].as_array().map(Vec::len), Some(NODES.len() + 1), "five nodes and the cluster");
    assert_eq!(steps(3), steps(4), "two workers have the same steps");
    assert!(steps(0).is_superset(&["preflight.os", "os.swap", "kubernetes.init"].map(String::from).into()));
    let code = lab.kbootstrap(&["plan", inventory, "--exit-code"]).code;
    assert_eq!(code, Some(3), "changes are pending");
    plan
}

/// `(owner, step, op digest)` of every change that a plan shows.
fn shown(plan: &Value) -> BTreeSet<(String, String, String)> {
    let mut all = BTreeSet::new();
    for chain in plan["chains"].as_array().expect("chains") {
        for step in chain["steps"].as_array().expect("steps") {
            for op in step["ops"].as_array().into_iter().flatten() {
                all.insert((
                    chain["owner"].to_string(),
                    step["step"].as_str().expect("a name").to_owned(),
                    op["digest"].as_str().expect("a digest").to_owned(),
                ));
            }
        }
    }
    all
}

/// `up` runs the reviewed plan and no other, and its events carry exactly the ops that were shown.
fn what_ran_is_what_was_shown(lab: &Lab, inventory: &str, plan: &Value) {
    let other = lab.kbootstrap(&["up", inventory, "--expect", "0000"]);
    assert_eq!(other.code, Some(1), "another plan than the expected one is refused: {}", other.stderr);
    let began = Instant::now();
    let digest = plan["digest"].as_str().expect("a digest");
    let text = lab.kbootstrap(&["up", inventory, "--expect", digest, "--output", "json"]).success();
    println!("formed and proven in {:.1} s", began.elapsed().as_secs_f64());
    let events: Vec<Value> = text.lines().map(json).collect();
    let ran: BTreeSet<(String, String, String)> = events
        .iter()
        .filter(|event| event["event"] == "op-finished")
        .map(|event| {
            let text = |key: &str| event[key].as_str().expect("a text").to_owned();
            (event["owner"].to_string(), text("step"), text("op"))
        })
        .collect();
    assert_eq!(ran, shown(plan), "what ran is what was shown");
}

fn every_node_is_ready_and_etcd_votes(lab: &Lab) {
    let nodes = lab.kubectl("cp1", "get nodes --no-headers").success();
    assert_eq!(nodes.lines().filter(|line| line.contains(" Ready ")).count(), 5, "{nodes}");
    let members = lab.etcd_members("cp1");
    assert_eq!(members.len(), 3);
    assert!(members.iter().all(|member| member["isLearner"] != true && member["name"] != Value::Null));
}

fn plan_after_up_is_empty(lab: &Lab, inventory: &str) {
    let outcome = lab.kbootstrap(&["plan", inventory, "--exit-code"]);
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.contains("Nothing to change."), "{}", outcome.stdout);
}

fn a_second_up_changes_nothing(lab: &Lab, inventory: &str) {
    let before: Vec<String> = ["w1", "w2"].iter().map(|node| managed_digest(lab, node)).collect();
    let began = Instant::now();
    let outcome = lab.kbootstrap(&["up", inventory]);
    println!("a second up took {:.2} s", began.elapsed().as_secs_f64());
    assert!(outcome.ok() && outcome.stderr.contains("Nothing to change"), "{outcome}");
    let after: Vec<String> = ["w1", "w2"].iter().map(|node| managed_digest(lab, node)).collect();
    assert_eq!(before, after);
}

/// What the program manages on a node that works (whose disk as a whole never rests).
fn managed_digest(lab: &Lab, node: &str) -> String {
    let find = "sudo find /etc /opt /usr /var/lib/kbootstrap /var/lib/dpkg -xdev -printf '%p %y %m %U %G %s %T@ %l\\n' \
                | LC_ALL=C sort | sha256sum";
    lab.ssh(node, find).success()
}

/// Two pods on two nodes, a Service, DNS, and a policy that shuts the door.
fn pods_reach_each_other_and_policies_deny(lab: &Lab) {
    let manifest = include_str!("formation/pods.yaml");
    let apply = format!(
        "sudo tee /root/pods.yaml > /dev/null <<'Y'\n{manifest}\nY\nsudo kubectl --kubeconfig \
                         /etc/kubernetes/admin.conf apply -f /root/pods.yaml"
    );
    lab.ssh("cp1", &apply).success();
    lab.kubectl("cp1", "-n formation wait pod --all --for=condition=Ready --timeout=90s").success();
    let nodes = lab.kubectl("cp1", "-n formation get pods -o jsonpath='{.items[*].spec.nodeName}'").success();
    assert_eq!(nodes.split_whitespace().collect::<BTreeSet<_>>().len(), 2, "two pods on two nodes: {nodes}");
    let ask = "-n formation exec client -- wget -q -T 3 -O - http://server.formation.svc.cluster.local/hostname";
    until("the client reaches the server by its name", Duration::from_secs(30), || {
        lab.kubectl("cp1", ask).code == Some(0)
    });
    let deny = "-n formation patch networkpolicy server --type merge -p '{\"spec\":{\"ingress\":[]}}'";
    lab.kubectl("cp1", deny).success();
    until("the policy denies", Duration::from_secs(30), || lab.kubectl("cp1", ask).code != Some(0));
    lab.kubectl("cp1", "delete namespace formation --wait=false").success();
}

/// No secret outside the places made for it: not in the journal, not where others can read on the nodes.
fn nothing_secret_is_left(lab: &Lab) {
    for node in NODES {
        let readable = "sudo find /etc/kubernetes/pki /etc/kbootstrap /var/lib/kbootstrap -name '*.key' -perm /077";
        assert_eq!(lab.ssh(node, readable).success(), "", "private keys that others can read on {node}");
        let inputs = lab.ssh(node, "sudo find /run/kbootstrap -path '*/in/*'").success();
        assert_eq!(inputs, "", "late inputs left on {node}");
    }
    let tokens = lab.kubectl("cp1", "-n kube-system get secrets -o name").success();
    assert!(!tokens.contains("bootstrap-token"), "{tokens}");
}

/// `kubectl` on the operator's machine, which is on the lab's network and knows no names of it.
fn operator_reaches(lab: &Lab, file: &str, control_planes: &[&str]) {
    let kubectl = lab::asset("kubernetes-1.30.14", "kubectl");
    for name in control_planes {
        let context = format!("{}-{name}", lab.cluster());
        let ask = ["--kubeconfig", file, "--context", &context, "--request-timeout=5s", "get", "nodes", "--no-headers"];
        let nodes = lab.run(&kubectl, &ask).success();
        assert_eq!(nodes.lines().count(), 5, "{nodes}");
    }
}

/// Any control plane may die: workers go on through their own proxy, and the operator has another context.
fn a_control_plane_may_die(lab: &Lab, inventory: &str) {
    let file = lab.folder().join("admin.kubeconfig").display().to_string();
    lab.kbootstrap(&["kubeconfig", inventory, "--to", &file]).success();
    lab.kill("cp1");
    let began = Instant::now();
    // The endpoint's name is the one that the program put into /etc/hosts.
    let ask = "curl -sk --max-time 2 -o /dev/null -w '%{http_code}' \
               https://$(awk '/^127.0.0.1 api[.]/ { print $2 }' /etc/hosts):7443/readyz";
    // The operator's file has a context for each control plane, and any that lives will do.
    operator_reaches(lab, &file, &["cp2", "cp3"]);
    until("w1 reaches the API through its proxy", Duration::from_secs(30), || {
        lab.ssh("w1", ask).stdout.trim() == "200"
    });
    println!("the API answers w1 again {:.1} s after cp1 lost its power", began.elapsed().as_secs_f64());
    // The first control plane holds no office that another can't take: the API accepts writes.
    until("cp2 takes writes", Duration::from_secs(60), || {
        lab.kubectl("cp2", "create configmap written-without-cp1 -n default").code == Some(0)
    });
    let status = lab.kbootstrap(&["status", inventory]);
    assert_eq!(status.code, Some(4), "one node is missing: {}{}", status.stdout, status.stderr);
    let plan = lab.kbootstrap(&["plan", inventory]);
    assert_eq!(plan.code, Some(4), "unknown is not absent: {}{}", plan.stdout, plan.stderr);
    assert!(!plan.stdout.contains("kubeadm init"), "{}", plan.stdout);
    lab.start("cp1");
    until("the plan is empty again", Duration::from_secs(120), || {
        lab.kbootstrap(&["plan", inventory, "--exit-code"]).code == Some(0)
    });
}
