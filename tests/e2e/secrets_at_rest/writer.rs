//! Somebody who makes Secrets all the while, and reads each back.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::lab::{Lab, until};

/// At work on a node, through its own proxy and so by every API server in turn, until it is told to end.
pub struct Writer<'a> {
    lab: &'a Lab,
    node: &'static str,
}

impl<'a> Writer<'a> {
    pub fn start(lab: &'a Lab, node: &'static str) -> Self {
        let conf = lab.ssh("cp1", "sudo cat /etc/kubernetes/admin.conf").success();
        let data = |key: &str| {
            let line = conf.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
            line.unwrap_or_else(|| panic!("no {key}")).to_owned()
        };
        let script = include_str!("writer.sh");
        let (ca, crt, key) =
            (data("certificate-authority-data"), data("client-certificate-data"), data("client-key-data"));
        lab.ssh(
            node,
            &format!("rm -rf /tmp/writer; mkdir -m 700 /tmp/writer; cat > /tmp/writer/writer.sh <<'W'\n{script}\nW"),
        )
        .success();
        lab.ssh(
            node,
            &format!(
                "cd /tmp/writer; echo {ca} | base64 -d > ca; echo {crt} | base64 -d > crt; echo {key} | base64 -d > key"
            ),
        )
        .success();
        let name = lab.ssh(node, "awk '/^127.0.0.1 api[.]/ { print $2 }' /etc/hosts").success();
        let api = format!("https://{name}:7443/api/v1/namespaces/default/secrets");
        lab.ssh(node, &format!("sudo systemd-run -q --collect --unit=writer sh /tmp/writer/writer.sh '{api}'"))
            .success();
        Self { lab, node }
    }

    /// Ends it.
    ///
    /// # Panics
    /// If it made less than so many, if anything failed, or if any that it made is not there as it was made.
    #[track_caller]
    pub fn end_well(self, least: usize) {
        let read = |file: &str| self.lab.ssh(self.node, &format!("sudo cat /tmp/writer/{file} 2> /dev/null")).stdout;
        self.lab.ssh(self.node, "sudo touch /tmp/writer/stop").success();
        until("the writer has ended", Duration::from_secs(60), || !read("ended").is_empty());
        let (failed, made) = (read("ended"), read("made"));
        let made: BTreeSet<&str> = made.lines().collect();
        println!("  writer: {} made, {} failed", made.len(), failed.trim());
        assert!(made.len() >= least, "only {}", made.len());
        assert_eq!(failed.trim(), "0", "{}", read("log"));
        let template = "'{{range .items}}{{.metadata.name}} {{.data.v}}{{\"\\n\"}}{{end}}'";
        let there = self.lab.kubectl("cp1", &format!("get secrets -o go-template={template}")).success();
        let there: BTreeSet<&str> = there.lines().filter(|line| line.starts_with("written-")).collect();
        let lost: Vec<&&str> = made.difference(&there).take(5).collect();
        assert!(lost.is_empty(), "lost, or otherwise than made: {lost:?}");
    }
}
