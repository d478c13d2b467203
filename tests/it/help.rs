//! Help texts and mistakes on the command line.

use crate::kbootstrap::run;

#[test]
fn help() {
    insta::assert_snapshot!("help", run(&["--help"]));
    for command in [
        "check",
        "facts",
        "plan",
        "up",
        "upgrade",
        "reset",
        "node",
        "backup",
        "restore",
        "etcd",
        "certs",
        "secrets",
        "kubeconfig",
        "runs",
        "report",
    ] {
        insta::assert_snapshot!(format!("help_{command}"), run(&[command, "--help"]));
    }
    for command in ["add", "remove", "replace"] {
        insta::assert_snapshot!(format!("help_node_{command}"), run(&["node", command, "--help"]));
    }
    for command in ["status", "renew", "rotate-ca"] {
        insta::assert_snapshot!(format!("help_certs_{command}"), run(&["certs", command, "--help"]));
    }
    for command in ["verify", "ls", "schedule", "fetch"] {
        insta::assert_snapshot!(format!("help_backup_{command}"), run(&["backup", command, "--help"]));
    }
    insta::assert_snapshot!("help_secrets_rotate-key", run(&["secrets", "rotate-key", "--help"]));
    for command in ["members", "alarms", "defrag", "convert"] {
        insta::assert_snapshot!(format!("help_etcd_{command}"), run(&["etcd", command, "--help"]));
    }
}

#[test]
fn version_is_data() {
    assert_eq!(run(&["--version"]), format!("exit 0\n--- stdout\nkbootstrap {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage() {
    insta::assert_snapshot!("usage_none", run(&[]));
    insta::assert_snapshot!("usage_unknown_command", run(&["chekc", "x.toml"]));
    insta::assert_snapshot!("usage_no_inventory", run(&["check"]));
    insta::assert_snapshot!("usage_quiet_and_verbose", run(&["check", "-q", "-v", "x.toml"]));
}
