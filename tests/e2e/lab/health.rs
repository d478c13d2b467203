//! What must be true of a cluster after whatever happened to it.

use serde_json::Value;

use super::Lab;

impl Lab {
    /// Nodes of this lab's inventory in its order, control planes first.
    pub fn nodes(&self) -> Vec<String> {
        let path = self.folder().join("nodes");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    /// Members of etcd by the word of a node's own.
    pub fn etcd_members(&self, node: &str) -> Vec<Value> {
        self.ask_etcd(node, "cluster/member/list")["members"].as_array().expect("members").clone()
    }

    /// What a node's member of etcd says of itself: `leader`, `raftTerm` and so on.
    pub fn etcd_status(&self, node: &str) -> Value {
        self.ask_etcd(node, "maintenance/status")
    }

    fn ask_etcd(&self, node: &str, what: &str) -> Value {
        let ask = format!(
            "sudo sh -c 'd=/etc/kbootstrap/etcd f=member; [ -e $d/$f.key ] || d=/etc/kubernetes/pki/etcd f=server; \
             curl -fsS --cacert $d/ca.crt --cert $d/$f.crt --key $d/$f.key -d {{}} https://127.0.0.1:2379/v3/{what}'"
        );
        let text = self.ssh(node, &ask).success();
        serde_json::from_str(&text).expect("etcd answers with JSON")
    }

    /// The law of convergence: every node Ready, each control plane a voter and no learner, no unit of ours left at work,
    /// and nothing left to plan.
    ///
    /// # Panics
    /// Where anything of that does not hold.
    #[track_caller]
    pub fn assert_converged(&self) {
        let nodes = self.nodes();
        let control_planes = nodes.iter().filter(|node| node.starts_with("cp")).count();
        let inventory = self.inventory().display().to_string();
        let plan = self.kbootstrap(&["plan", &inventory, "--exit-code"]);
        assert_eq!(plan.code, Some(0), "the plan is not empty: {plan}");
        let ready = self.kubectl("cp1", "get nodes --no-headers").success();
        assert_eq!(ready.lines().filter(|line| line.contains(" Ready ")).count(), nodes.len(), "{ready}");
        let members = self.etcd_members("cp1");
        let voters = members.iter().filter(|member| member["isLearner"] != true && member["name"] != Value::Null);
        assert_eq!((members.len(), voters.count()), (control_planes, control_planes), "{members:?}");
        for node in &nodes {
            let units = self.ssh(node, "systemctl list-units --all --plain --no-legend 'kbootstrap-*'").success();
            assert_eq!(units, "", "units left on {node}");
            // A node that was booted since has no such folder.
            let inputs = self.ssh(node, "sudo find /run/kbootstrap -path '*/in/*' 2> /dev/null; true").success();
            assert_eq!(inputs, "", "late inputs left on {node}");
        }
    }
}
