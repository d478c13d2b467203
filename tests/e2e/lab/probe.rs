//! A prober: who asks the cluster through a worker all the while, ten times a second each: the API by the worker's own
//! proxy, with new connections and over one that is kept, and other addresses. Failed is what failed after one immediate
//! retry.

use super::Lab;

/// An object that anybody may read, and that the API server reads from etcd each time.
const OBJECT: &str = "api/v1/namespaces/kube-public/configmaps/cluster-info";

/// At work on a node until it is told to end.
pub struct Prober<'a> {
    lab: &'a Lab,
    node: &'static str,
    names: Vec<&'static str>,
}

/// What one of its series saw.
#[derive(Debug)]
pub struct Probes {
    pub name: &'static str,
    pub asked: u64,
    /// Failed once and then not: what a client sees as a hiccup.
    pub retried: u64,
    pub failed: u64,
    /// Every failure with its moment.
    pub log: String,
}

impl<'a> Prober<'a> {
    /// Asks the API.
    pub fn start(lab: &'a Lab, node: &'static str) -> Prober<'a> {
        Self::with(lab, node, &[])
    }

    /// Asks the API, and these addresses (a name, an URL), too.
    pub fn with(lab: &'a Lab, node: &'static str, more: &[(&'static str, &str)]) -> Prober<'a> {
        let script = include_str!("prober.sh");
        lab.ssh(node, &format!("rm -rf /tmp/probe-*; cat > /tmp/prober.sh <<'P'\n{script}\nP")).success();
        let name = lab.ssh(node, "awk '/^127.0.0.1 api[.]/ { print $2 }' /etc/hosts").success();
        let api = format!("https://{name}:7443/{OBJECT}");
        let mut names = Vec::new();
        let mut start = |name: &'static str, url: &str, kept: &str| {
            let text =
                format!("sudo systemd-run -q --collect --unit=probe-{name} sh /tmp/prober.sh {name} '{url}' {kept}");
            lab.ssh(node, &text).success();
            names.push(name);
        };
        start("api", &api, "");
        start("api-kept", &api, "kept");
        more.iter().for_each(|(name, url)| start(name, url, ""));
        Prober { lab, node, names }
    }

    /// Ends it and tells what each series saw.
    pub fn end(self) -> Vec<Probes> {
        self.lab.ssh(self.node, "touch /tmp/probe-stop; sleep 6").success();
        self.names.iter().map(|name| self.probes(name)).collect()
    }

    /// As [`end`](Self::end).
    ///
    /// # Panics
    /// If any series asked less than so often, or anything failed.
    #[track_caller]
    pub fn end_well(self, least: u64) {
        let all = self.end();
        for probes in &all {
            println!("  {}: {} asked, {} retried, {} failed", probes.name, probes.asked, probes.retried, probes.failed);
        }
        for probes in all {
            assert!(probes.asked >= least, "{probes:?}");
            assert_eq!(probes.failed, 0, "{}:\n{}", probes.name, probes.log);
        }
    }

    fn probes(&self, name: &'static str) -> Probes {
        let text = self.lab.ssh(self.node, &format!("cat /tmp/probe-{name}")).success();
        let log = self.lab.ssh(self.node, &format!("cat /tmp/probe-{name}.log")).success();
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |key: &str| {
            let at = words.iter().position(|word| *word == key).unwrap_or_else(|| panic!("no {key} in {text}"));
            words[at + 1].parse().expect("a number")
        };
        Probes { name, asked: number("asked"), retried: number("retried"), failed: number("failed"), log }
    }
}
