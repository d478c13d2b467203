//! Law: no secret is anywhere but where it belongs. Looked for are the private keys that a formation really made, the tokens
//! that it really used and sudo's password, in everything that was said, kept, passed as an argument or left readable.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::lab::{Lab, Shape, running::Running};

const PASSWORD: &str = "lab-password";

/// Keeps arguments and environment of every process on a node, ten times a second, and each token as it comes by.
const SAMPLER: &str = r"mkdir -m 700 /run/sampler && touch /run/sampler/on
setsid sh -c 'while [ -e /run/sampler/on ]; do
  cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >> /run/sampler/processes
  cat /run/kbootstrap/*/*/in/token >> /run/sampler/tokens && echo >> /run/sampler/tokens
  sleep 0.1
done' > /dev/null 2>&1 < /dev/null &";

fn inside(lab: &Lab, node: &str, text: &str) -> String {
    lab.lab("enter", &[node, "sh", "-c", text]).stdout
}

/// The lines of private keys, and of kubeconfigs what is a key in base64.
fn keys(lab: &Lab, node: &str) -> BTreeSet<String> {
    let text = inside(
        lab,
        node,
        "find /etc/kubernetes /var/lib/kubelet/pki -name '*.key' -o -name '*.pem' | xargs -r awk '/BEGIN.*PRIVATE/{on=1;next} \
         /END/{on=0} on'; sed -n 's/.*client-key-data: //p' /etc/kubernetes/*.conf; \
         sed -n 's/^ *secret: //p' /etc/kubernetes/pki/encryption/config.yaml 2> /dev/null",
    );
    text.lines().map(str::trim).filter(|line| line.len() >= 40).map(str::to_owned).collect()
}

fn files_below(folder: &Path, all: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files_below(&path, all) } else { all.push(path) }
    }
}

#[test]
fn no_secret_is_anywhere_but_where_it_belongs() {
    let lab = Lab::up("secrets", Shape { variants: vec![("all", "sudo-password")], ..Shape::of(1, 1) });
    let inventory = lab.folder().join("sudo-password.toml");
    let text = std::fs::read_to_string(lab.inventory()).expect("an inventory");
    let text = text.replace("user = \"ubuntu\"\n", "user = \"ubuntu\"\nsudo = \"password\"\n");
    let text = format!("{text}\n[encryption]\nprovider = \"secretbox\"\n");
    std::fs::write(&inventory, text).expect("an inventory is written");
    let inventory = inventory.display().to_string();
    let nodes = lab.nodes();
    for node in &nodes {
        inside(&lab, node, SAMPLER);
    }

    let mut command = Running::command(&lab, &["up", &inventory, "--yes", "-vv"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    writeln!(child.stdin.take().expect("it is piped"), "{PASSWORD}").expect("it reads");
    let process = child.id();
    let mut run = Running::of(child);
    let mut operator = Vec::new();
    while !run.until(Duration::from_millis(500), |event| event["event"] == "run-finished") {
        operator.extend(std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default());
        operator.extend(std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default());
        assert!(operator.len() < 100_000_000, "it does not end");
        if !Path::new(&format!("/proc/{process}")).exists() {
            break;
        }
    }
    let events: String = run.seen.iter().map(|event| event.to_string() + "\n").collect();
    let talk = run.end(Duration::from_secs(60)).with(0);
    assert!(!operator.is_empty() && talk.contains("DEBUG"), "all that could be said was said");

    let mut secrets = BTreeSet::from([PASSWORD.to_owned()]);
    let mut tokens = BTreeSet::new();
    for node in &nodes {
        inside(&lab, node, "rm /run/sampler/on");
        secrets.extend(keys(&lab, node));
        let seen = inside(&lab, node, "cat /run/sampler/tokens");
        tokens.extend(seen.lines().map(str::trim).filter(|line| line.len() == 23).map(str::to_owned));
    }
    assert!(!tokens.is_empty() && secrets.len() > 10, "{} tokens, {} lines of keys", tokens.len(), secrets.len());
    println!("{} tokens and {} lines of keys are looked for", tokens.len(), secrets.len() - 1);
    secrets.extend(tokens);

    let report = lab.kbootstrap(&["report"]).success();
    let list = lab.kbootstrap(&["runs", "--output", "json"]).success();
    let mut said: Vec<(String, Vec<u8>)> = vec![
        ("standard output".into(), events.into_bytes()),
        ("standard error".into(), talk.into_bytes()),
        ("the report".into(), report.into_bytes()),
        ("the list of runs".into(), list.into_bytes()),
        ("the operator's processes".into(), operator),
    ];
    let mut files = Vec::new();
    files_below(&lab.state_home(), &mut files);
    assert!(files.iter().any(|file| file.extension().is_some_and(|extension| extension == "jsonl")), "a journal");
    said.extend(files.iter().map(|file| (file.display().to_string(), std::fs::read(file).expect("a file"))));
    for (what, bytes) in &said {
        let text = String::from_utf8_lossy(bytes);
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{what} holds a secret that begins with {}", &secret[..6]);
        }
    }

    let list: String = secrets.iter().map(|secret| format!("{secret}\n")).collect();
    for node in &nodes {
        let found = inside(
            &lab,
            node,
            &format!(
                "umask 077; cat > /run/sampler/secrets << 'SECRETS'\n{list}SECRETS\n\
                 grep -aqFf /run/sampler/secrets /run/sampler/processes && echo 'arguments or environment of a process'\n\
                 journalctl -o cat | grep -aqFf /run/sampler/secrets && echo 'the journal of systemd'\n\
                 grep -arlFf /run/sampler/secrets /var/log /run/kbootstrap 2> /dev/null\n\
                 find / /run /dev/shm /tmp -xdev -type f -perm -004 -newer /etc/hostname -size -10M -not -path '/proc/*' \
                 -not -path '/sys/*' -not -path '/run/sampler/*' -exec grep -alFf /run/sampler/secrets {{}} +\ntrue"
            ),
        );
        assert_eq!(found, "", "secrets on {node}");
    }
}
