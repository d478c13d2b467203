//! What a cluster is like now, as a table and a list of conditions.

use std::fmt::Write;

use super::{Paint, table};
use crate::action::Condition;

/// One node as the table shows it.
#[derive(Clone, Debug, Default)]
pub struct NodeStatus {
    pub name: String,
    /// `control-plane`, `worker`; what the API says where the inventory has no such node.
    pub role: &'static str,
    pub in_inventory: bool,
    /// Absent where the cluster has no such node.
    pub ready: Option<bool>,
    /// Why it is not ready, or could not be reached by SSH.
    pub why: Option<String>,
    pub kubelet: Option<String>,
    /// Static pods that are ready, and how many there are; absent on workers.
    pub static_pods: Option<(usize, usize)>,
    pub etcd: Option<EtcdStatus>,
}

/// A member of etcd, by its own word.
#[derive(Clone, Debug, Default)]
pub struct EtcdStatus {
    pub member: String,
    pub leader: bool,
    pub learner: bool,
    pub db_bytes: u64,
    pub version: String,
    pub alarms: Vec<String>,
}

/// All that `status` shows.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub cluster: String,
    /// The random id, absent where the cluster holds none.
    pub id: Option<String>,
    /// `live`, `absent`, `half-formed`, `unknown`.
    pub state: &'static str,
    /// Why it is not live.
    pub reason: Option<String>,
    /// The API server's version.
    pub version: Option<String>,
    pub nodes: Vec<NodeStatus>,
    pub conditions: Vec<Condition>,
}

impl Status {
    /// Whether it lives and every condition holds.
    pub fn is_healthy(&self) -> bool {
        self.state == "live" && self.conditions.iter().all(|condition| condition.holds)
    }
}

/// The status for a person.
pub fn status(status: &Status, paint: Paint) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{}", line.trim_end()).expect("a String takes all");
    let version = status.version.as_deref().map(|version| format!(", Kubernetes {version}")).unwrap_or_default();
    let id = status.id.as_deref().map(|id| paint.dim(format!("  {id}"))).unwrap_or_default();
    line(format!("{}: {}{version}{id}", paint.bold(&status.cluster), status.state));
    if let Some(reason) = &status.reason {
        line(format!("  {reason}"));
    }
    line(String::new());
    let rows: Vec<[String; 6]> = status.nodes.iter().map(cells).collect();
    let (head, lines) = table::lines(["NODE", "ROLE", "STATE", "VERSION", "STATIC PODS", "ETCD"], &rows);
    line(paint.dim(head));
    for (row, node) in lines.into_iter().zip(&status.nodes) {
        line(if node.ready == Some(true) { row } else { paint.red(row) });
        if let Some(why) = &node.why {
            line(format!("  {why}"));
        }
    }
    if !status.conditions.is_empty() {
        line(String::new());
    }
    for condition in &status.conditions {
        let mark = if condition.holds { paint.green("ok  ") } else { paint.red("FAIL") };
        line(format!("{mark}  {}: {}", condition.name, condition.detail));
    }
    text
}

fn cells(node: &NodeStatus) -> [String; 6] {
    let none = || String::from("-");
    let state = match node.ready {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "not joined",
    };
    let state = if node.in_inventory { String::from(state) } else { format!("{state}, not in the inventory") };
    [
        node.name.clone(),
        String::from(node.role),
        state,
        node.kubelet.clone().unwrap_or_else(none),
        node.static_pods.map_or_else(none, |(ready, all)| format!("{ready}/{all}")),
        node.etcd.as_ref().map_or_else(none, etcd),
    ]
}

fn etcd(etcd: &EtcdStatus) -> String {
    let role = match etcd {
        EtcdStatus { leader: true, .. } => "leader",
        EtcdStatus { learner: true, .. } => "learner",
        _ => "voter",
    };
    let alarms = etcd.alarms.iter().map(|alarm| format!(", {alarm}")).collect::<String>();
    format!("{role}, {}{alarms}", table::mib(etcd.db_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_its_conditions() {
        let node = |name: &str, ready, why: Option<&str>| NodeStatus {
            name: name.into(),
            role: "worker",
            in_inventory: true,
            ready,
            why: why.map(String::from),
            kubelet: ready.map(|_| "v1.30.14".into()),
            ..NodeStatus::default()
        };
        let etcd = EtcdStatus { leader: true, db_bytes: 3 << 20, ..EtcdStatus::default() };
        let cp1 = NodeStatus {
            role: "control-plane",
            static_pods: Some((4, 4)),
            etcd: Some(etcd),
            ..node("cp1", Some(true), None)
        };
        let condition = |name, holds, detail: &str| Condition { name, holds, detail: detail.into() };
        let all = Status {
            cluster: "lab".into(),
            id: Some("00ff".into()),
            state: "live",
            version: Some("v1.30.14".into()),
            nodes: vec![
                cp1,
                node("w1", Some(false), Some("Kubelet stopped posting node status.")),
                node("w2", None, None),
                NodeStatus { in_inventory: false, ..node("w9", Some(true), None) },
            ],
            conditions: vec![condition("nodes-ready", false, "w1 is not ready"), condition("etcd", true, "1 voter")],
            ..Status::default()
        };
        insta::assert_snapshot!(status(&all, Paint { colour: false }));
        assert!(!all.is_healthy());
    }

    #[test]
    fn what_does_not_live_says_why() {
        let absent = Status {
            cluster: "lab".into(),
            state: "absent",
            reason: Some("no control plane carries cluster state".into()),
            ..Status::default()
        };
        let text = status(&absent, Paint { colour: false });
        assert!(text.starts_with("lab: absent\n  no control plane carries cluster state\n"));
        assert!(!absent.is_healthy());
    }
}
