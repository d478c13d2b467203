//! Each variant of a node really is one: without it, the same command ends otherwise.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::lab::{Lab, Outcome, Shape};

/// A node has several variants where they do not hide each other, so that one lab shows them all; cp1 has none.
const VARIANTS: [(&str, &str); 7] = [
    ("w1", "sudo-password,apt-lock:40,machine-id-cloned"),
    ("w2", "root-only,max-sessions-2,swap-fstab,machine-id-cloned"),
    ("w3", "shell-fish,tmp-noexec"),
    ("w4", "shell-zsh,umask-077"),
    ("w5", "shell-dash,no-forwarding,clock-skew:120"),
    ("w6", "noisy"),
    ("w7", "foreign-containerd,held-packages"),
];

/// A variant's name, and what shows that it bites.
type Check = (&'static str, fn(&Lab));

#[test]
fn every_variant_bites() {
    let shape = Shape { variants: VARIANTS.to_vec(), ..Shape::of(1, 7) };
    let lab = Lab::up("every_variant_bites", shape);
    let checks: [Check; 14] = [
        ("apt-lock", apt_lock),
        ("sudo-password", sudo_password),
        ("machine-id-cloned", machine_id_cloned),
        ("root-only", root_only),
        ("max-sessions-2", max_sessions_2),
        ("swap-fstab", swap_fstab),
        ("login shells", login_shells),
        ("tmp-noexec", tmp_noexec),
        ("umask-077", umask_077),
        ("no-forwarding", no_forwarding),
        ("clock-skew", clock_skew),
        ("noisy", noisy),
        ("foreign-containerd", foreign_containerd),
        ("held-packages", held_packages),
    ];
    // One lab for all: so every check is made before the first failure ends the test.
    let failed: Vec<&str> = checks
        .iter()
        .filter(|(_, check)| catch_unwind(AssertUnwindSafe(|| check(&lab))).is_err())
        .map(|(name, _)| *name)
        .collect();
    assert!(failed.is_empty(), "these variants do not bite: {failed:?}");
}

fn apt_lock(lab: &Lab) {
    let refused = lab.ssh("w1", "echo lab-password | sudo -S apt-get install -y less").failure(100);
    assert!(refused.contains("Could not get lock /var/lib/dpkg/lock-frontend"), "{refused}");
    lab.ssh("cp1", "sudo apt-get install -y less").success();
    // And it ends.
    lab.ssh("w1", "echo lab-password | sudo -S apt-get -o DPkg::Lock::Timeout=60 install -y less").success();
}

fn sudo_password(lab: &Lab) {
    lab.ssh("cp1", "sudo -n true").success();
    assert!(lab.ssh("w1", "sudo -n true").failure(1).contains("a password is required"));
    lab.ssh("w1", "echo lab-password | sudo -S -p '' true").success();
    lab.ssh("w1", "echo wrong | sudo -S -p '' true").failure(1);
}

fn machine_id_cloned(lab: &Lab) {
    let id = |node: &str| lab.ssh(node, "cat /etc/machine-id").success();
    assert_eq!(id("w1"), id("w2"));
    assert_ne!(id("cp1"), id("w1"));
    assert_ne!(id("cp1"), id("w3"));
}

fn login(lab: &Lab, user: &str, node: &str) -> Outcome {
    let mut ssh = lab.ssh_client();
    ssh.args(["-o", "BatchMode=yes", "-l", user, node, "id -un"]);
    Outcome::of(ssh)
}

fn root_only(lab: &Lab) {
    assert_eq!(login(lab, "root", "w2").success(), "root");
    login(lab, "ubuntu", "w2").failure(255);
    login(lab, "root", "cp1").failure(255);
}

/// One connection, kept by a master, and sessions in it.
fn max_sessions_2(lab: &Lab) {
    let third = |node: &str| {
        let script = format!(
            "set -e; s=$(mktemp -d); ssh='ssh -F {} -o ControlPath='$s/master; \
             $ssh -o ControlMaster=yes -fN {node}; trap \"$ssh -O exit {node} 2> /dev/null; rm -r $s\" EXIT; \
             $ssh {node} 'sleep 3' & $ssh {node} 'sleep 3' & sleep 1; \
             $ssh -o ProxyCommand=false {node} true",
            lab.folder().join("ssh_config").display()
        );
        lab.run("bash", &["-c", &script])
    };
    third("cp1").success();
    let refused = third("w2");
    assert!(!refused.ok(), "w2 allowed a third session: {refused}");
}

fn swap_fstab(lab: &Lab) {
    assert_eq!(lab.ssh("w2", "grep -c ' swap ' /etc/fstab; ls /swapfile").success(), "1\n/swapfile");
}

fn login_shells(lab: &Lab) {
    for (node, shell) in [("cp1", "/bin/bash"), ("w3", "/usr/bin/fish"), ("w4", "/usr/bin/zsh"), ("w5", "/bin/dash")] {
        assert_eq!(lab.ssh(node, "getent passwd ubuntu | cut -d: -f7").success(), shell);
    }
    // Each with what no other understands in this way.
    assert_eq!(lab.ssh("w3", "set x 1; echo x$x; status fish-path").success(), "x1\n/usr/bin/fish");
    assert!(lab.ssh("w4", "echo $ZSH_VERSION").success().starts_with("5."));
    assert_eq!(lab.ssh("w5", "echo a{b,c}").success(), "a{b,c}");
}

fn tmp_noexec(lab: &Lab) {
    let script = "printf '#!/bin/sh\\necho ran\\n' > /tmp/x; chmod 755 /tmp/x; /tmp/x";
    assert_eq!(lab.ssh("cp1", script).success(), "ran");
    assert!(!lab.ssh("w3", script).ok(), "/tmp is not noexec");
}

fn umask_077(lab: &Lab) {
    let modes = |node: &str| lab.ssh(node, "touch a; sudo touch b; stat -c %a a b; sudo rm a b").success();
    assert_eq!(modes("cp1"), "644\n644");
    assert_eq!(modes("w4"), "600\n600");
}

fn no_forwarding(lab: &Lab) {
    let forwarded = |node: &str| {
        let mut ssh = lab.ssh_client();
        ssh.args(["-W", "127.0.0.1:22", node]);
        Outcome::of(ssh)
    };
    let banner = forwarded("cp1");
    assert!(banner.stdout.starts_with("SSH-2.0"), "{banner}");
    let refused = forwarded("w5");
    assert!(!refused.stdout.contains("SSH-2.0") && refused.stderr.contains("forwarding failed"), "{refused}");
}

fn clock_skew(lab: &Lab) {
    let clock = |command: &str| lab.ssh("w5", command).success().parse::<i64>().expect("a number of seconds");
    let ahead = clock("sudo date +%s") - clock("/usr/bin/date +%s");
    assert!((118..=122).contains(&ahead), "{ahead} s ahead");
}

fn noisy(lab: &Lab) {
    let quiet = lab.ssh("cp1", "echo data");
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("data\n", ""));
    let mut ssh = lab.ssh_client();
    ssh.args(["-o", "LogLevel=INFO", "w6", "echo data"]);
    let noise = Outcome::of(ssh);
    assert_eq!(noise.stdout, "Welcome to w6!\nno newline at the enddata\n");
    assert!(noise.stderr.contains("Authorized use only") && noise.stderr.contains("updates can be applied"), "{noise}");
}

fn foreign_containerd(lab: &Lab) {
    assert!(lab.ssh("w7", "cat /etc/containerd/config.toml").success().contains("disabled_plugins"));
}

fn held_packages(lab: &Lab) {
    lab.ssh("w7", "sudo apt-get update").success();
    assert_eq!(lab.ssh("w7", "apt-mark showhold").success(), "iptables");
    let refused = lab.ssh("w7", "sudo apt-get install -y conntrack");
    assert!(!refused.ok() && refused.stderr.contains("conntrack"), "{refused}");
    lab.ssh("cp1", "sudo apt-get update && sudo apt-get install -y --no-install-recommends --download-only conntrack")
        .success();
}
