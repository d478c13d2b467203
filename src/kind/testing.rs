//! What tests of kinds share: a small cluster to judge by, and running ops' text as a node's batch does.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

use super::Context;
use crate::model::{
    cluster::{ClusterSpec, NodeSpec, Role},
    facts::{ClusterIdentity, Facts},
    live::{Cluster, Live, LiveNode},
    name::{ClusterName, NodeName},
    observe::{FileSeen, Seen},
    op::Work,
    plan::{Change, Verdict},
    release::Release,
};

/// Three control planes and a worker with every default, of Kubernetes 1.30.14.
pub fn spec() -> ClusterSpec {
    let node = |name: &str, ip: &str, role| NodeSpec::new(name.parse().unwrap(), ip.parse().unwrap(), role);
    let nodes = vec![
        node("cp1", "10.0.0.11", Role::ControlPlane),
        node("cp2", "10.0.0.12", Role::ControlPlane),
        node("cp3", "10.0.0.13", Role::ControlPlane),
        node("w1", "10.0.0.21", Role::Worker),
    ];
    let release = Release::of("1.30.14".parse().unwrap()).unwrap();
    ClusterSpec::new(ClusterName::new("lab").unwrap(), release, nodes)
}

/// A cluster as [`spec`] wants it, one of whose nodes is judged.
pub struct World {
    pub spec: ClusterSpec,
    pub seen: Seen,
    pub cluster: Cluster,
    pub facts: BTreeMap<NodeName, Facts>,
    pub ca_crt: Option<String>,
    pub identity: Option<ClusterIdentity>,
}

impl World {
    /// Bare machines, and no cluster.
    pub fn bare() -> Self {
        let mut seen = Seen::default();
        seen.facts.identity.machine_id = "own".into();
        Self { spec: spec(), seen, cluster: Cluster::Absent, facts: BTreeMap::new(), ca_crt: None, identity: None }
    }

    /// The same machines, all in a cluster that lives; etcd has the three members.
    pub fn live(node: &str) -> Self {
        let mut world = Self::bare();
        let identity = ClusterIdentity { id: "0123".into(), name: "lab".into(), ca_sha256: "ab".into() };
        let mut live = Live { cluster_info: true, coredns: Some(Default::default()), ..Live::default() };
        live.daemon_sets.insert("kube-system/kube-proxy".into(), Default::default());
        for spec in &world.spec.nodes {
            let machine_id = if spec.name.as_str() == node { "own".into() } else { spec.name.to_string() };
            let mut object = LiveNode { machine_id, ready: true, ..LiveNode::default() };
            if spec.is_control_plane() {
                object.labels.insert("node-role.kubernetes.io/control-plane".into(), String::new());
            }
            live.nodes.insert(spec.name.clone(), object);
        }
        world.cluster = Cluster::Live(Box::new(live));
        let there = &mut world.seen.facts.kubernetes;
        there.identity = Some(identity.clone());
        there.configs = vec!["kubelet.conf".into()];
        let components = ["etcd.yaml", "kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"];
        there.manifests = components.map(String::from).into();
        let mut leader = Facts::default();
        leader.kubernetes.etcd = Some(etcd(&world.spec));
        world.facts.insert("cp1".parse().unwrap(), leader);
        world.identity = Some(identity);
        world.ca_crt = Some("CA\n".into());
        world
    }

    pub fn live_mut(&mut self) -> &mut Live {
        match &mut self.cluster {
            Cluster::Live(live) => live,
            _ => panic!("no cluster lives"),
        }
    }

    /// What cp1's etcd says.
    pub fn etcd_mut(&mut self) -> &mut crate::model::facts::Etcd {
        self.facts.values_mut().next().unwrap().kubernetes.etcd.as_mut().unwrap()
    }

    /// Puts a text file on the judged machine.
    pub fn file(&mut self, path: &str, text: &str) {
        self.seen.files.insert(path.into(), text_file(text));
    }

    /// Judges by this world, as the node of this name.
    pub fn judge<T>(&self, node: &str, judge: impl FnOnce(&Context<'_>) -> T) -> T {
        let leader: NodeName = "cp1".parse().unwrap();
        let node = self.spec.node(&node.parse().unwrap()).expect("a node of the world");
        judge(&Context {
            spec: &self.spec,
            node,
            seen: &self.seen,
            cluster: &self.cluster,
            facts: &self.facts,
            ca_crt: self.ca_crt.as_deref(),
            leader: &leader,
            identity: self.identity.as_ref(),
        })
    }
}

fn etcd(spec: &ClusterSpec) -> crate::model::facts::Etcd {
    let members = spec.control_planes().map(|node| crate::model::facts::EtcdMember {
        id: node.name.to_string(),
        name: node.name.to_string(),
        peer_urls: vec![format!("https://{}:2380", node.node_ip())],
        learner: false,
    });
    crate::model::facts::Etcd { members: members.collect(), ..Default::default() }
}

/// A file of root's with this content.
pub fn text_file(text: &str) -> FileSeen {
    FileSeen::File {
        mode: 0o644,
        owner: "root".into(),
        group: "root".into(),
        sha256: super::file::sha256(text.as_bytes()),
        content: Some(text.as_bytes().to_vec()),
    }
}

/// The change of a verdict that is one; every script of it is understood by a shell.
pub fn change(verdict: Verdict) -> Change {
    let Verdict::Change(change) = verdict else { panic!("not a change: {verdict:?}") };
    for op in &change.ops {
        if let Work::Node { script, .. } = &op.work {
            parses(script).unwrap_or_else(|said| panic!("{}: {said}\n{script}", op.what));
            // A `\1` that became one is understood by a shell, too.
            let odd = script.chars().find(|letter| letter.is_control() && *letter != '\n' && *letter != '\t');
            assert_eq!(odd, None, "{}: {script}", op.what);
        }
    }
    change
}

/// Every script of a verdict that is a change is understood by a shell.
pub fn change_parses(verdict: &Verdict) {
    if let Verdict::Change(its) = verdict {
        change(Verdict::Change(its.clone()));
    }
}

/// The reason of a verdict that refuses.
pub fn reason(verdict: Verdict) -> String {
    let Verdict::Refused(refusal) = verdict else { panic!("not refused: {verdict:?}") };
    assert!(!refusal.hint.is_empty());
    refusal.reason
}

/// The kinds of a change's ops.
pub fn kinds(change: &Change) -> Vec<&'static str> {
    change.ops.iter().map(|op| op.kind).collect()
}

/// The text of an op of a node.
pub fn script(change: &Change, op: usize) -> &str {
    match &change.ops[op].work {
        Work::Node { script, .. } => script,
        Work::Cluster(_) => panic!("not an op of a node"),
    }
}

/// Runs the text under a real shell with `set -eu`, in a subshell as a batch does; the error is what it said.
pub fn sh(script: &str) -> Result<String, String> {
    sh_with(script, &[])
}

/// The same with variables in the environment, such as `PATH` or `KB_IN`.
pub fn sh_with(script: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let output = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("set -eu\n(\n{script}\n)"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("/bin/sh runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The text with a clock of its own, kept in a folder of [`programs`], on which `sleep` takes a second and no time.
pub fn in_no_time(folder: &std::path::Path, script: &str) -> String {
    let clock = folder.join("uptime");
    let clock = clock.to_str().unwrap();
    std::fs::write(clock, "0.00 0.00\n").unwrap();
    let sleep = format!("read -r now rest < {clock}\necho \"$((${{now%.*}} + 1)).00 0.00\" > {clock}");
    programs(folder, &[("sleep", &sleep)]);
    script.replace("/proc/uptime", clock)
}

/// Whether a shell understands the text; nothing of it is run.
fn parses(script: &str) -> Result<(), String> {
    let output = Command::new("/bin/sh").args(["-n", "-c", script]).output().expect("/bin/sh runs");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Puts programs into a folder that stands before all others in the `PATH` that is returned.
pub fn programs(folder: &std::path::Path, programs: &[(&str, &str)]) -> String {
    use std::os::unix::fs::PermissionsExt;
    for (name, body) in programs {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}
