//! A prober: who asks the API through a worker's own proxy, ten times a second by new connections and ten times by one that
//! is kept. Failed is what failed after one immediate retry.

use super::Lab;

/// At work on a node until it is told to end.
pub struct Prober<'a> {
    lab: &'a Lab,
    node: String,
}

/// What it saw.
#[derive(Debug, Default)]
pub struct Probes {
    pub asked: usize,
    pub failed: usize,
    /// Failed once and then not: what a client sees as a hiccup.
    pub retried: usize,
}

const NEW: &str = r#"
url=https://$(awk '/^127.0.0.1 api[.]/ { print $2 }' /etc/hosts):7443/readyz
while [ -e /tmp/prober ]; do
  curl -sk --max-time 2 -o /dev/null -w '%{http_code}\n' "$url"
  sleep 0.08
done > /tmp/prober.new &
while [ -e /tmp/prober ]; do
  curl -sk --max-time 2 --rate 10/s -o /dev/null -w '%{http_code}\n' "$url?[1-600]"
done > /tmp/prober.kept &
"#;

impl<'a> Prober<'a> {
    pub fn start(lab: &'a Lab, node: &str) -> Prober<'a> {
        let text =
            format!("touch /tmp/prober; setsid sh -c '{}' > /dev/null 2>&1 < /dev/null &", NEW.replace('\'', r"'\''"));
        lab.ssh(node, &text).success();
        Prober { lab, node: node.to_owned() }
    }

    /// Ends it and tells what it saw.
    pub fn end(self) -> Probes {
        let text = "rm -f /tmp/prober; pkill -x curl; sleep 0.5; cat /tmp/prober.new; echo; cat /tmp/prober.kept";
        let answers = self.lab.ssh(&self.node, text).stdout;
        let mut probes = Probes::default();
        for series in answers.split("\n\n") {
            let codes: Vec<&str> = series.lines().collect();
            // The last ones were killed with the prober.
            let codes = &codes[..codes.len().saturating_sub(2)];
            probes.asked += codes.len();
            let mut before = true;
            for code in codes {
                let well = *code == "200";
                probes.failed += usize::from(!well && !before);
                probes.retried += usize::from(well && !before);
                before = well;
            }
        }
        probes
    }
}
