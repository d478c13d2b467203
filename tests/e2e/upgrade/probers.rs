//! Who asks the cluster all the while: the API through a worker's local proxy, and a service of three replicas.

use crate::lab::Lab;

/// A cluster's own address that the workload's service asks for.
const SERVICE: &str = "http://10.96.77.77/hostname";
/// An object that anybody may read, and that the API server reads from etcd each time.
const OBJECT: &str = "api/v1/namespaces/kube-public/configmaps/cluster-info";

pub struct Probers<'a> {
    lab: &'a Lab,
    node: &'static str,
}

/// What one prober counted.
pub struct Counts {
    pub asked: u64,
    /// Made again, because the first try failed.
    pub retried: u64,
    /// Failed after being made again at once.
    pub failed: u64,
    /// Every failure with its moment.
    pub log: String,
}

impl<'a> Probers<'a> {
    pub fn start(lab: &'a Lab, node: &'static str) -> Self {
        let script = include_str!("prober.sh");
        lab.ssh(node, &format!("rm -f /tmp/probe-*; cat > /tmp/prober.sh <<'P'\n{script}\nP")).success();
        let name = lab.ssh(node, "awk '/^127.0.0.1 api[.]/ { print $2 }' /etc/hosts").success();
        for (prober, url) in [("api", format!("https://{name}:7443/{OBJECT}")), ("service", SERVICE.to_owned())] {
            let start =
                format!("sudo systemd-run -q --collect --unit=probe-{prober} sh /tmp/prober.sh {prober} '{url}'");
            lab.ssh(node, &start).success();
        }
        Self { lab, node }
    }

    pub fn stop(self) -> Vec<(&'static str, Counts)> {
        self.lab.ssh(self.node, "touch /tmp/probe-stop; sleep 4").success();
        ["api", "service"].map(|name| (name, self.counts(name))).into()
    }

    fn counts(&self, name: &str) -> Counts {
        let text = self.lab.ssh(self.node, &format!("cat /tmp/probe-{name}")).success();
        let log = self.lab.ssh(self.node, &format!("cat /tmp/probe-{name}.log")).success();
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |key: &str| {
            let at = words.iter().position(|word| *word == key).unwrap_or_else(|| panic!("no {key} in {text}"));
            words[at + 1].parse().expect("a number")
        };
        Counts { asked: number("asked"), retried: number("retried"), failed: number("failed"), log }
    }
}
