use super::*;
use crate::{
    kind::testing::{World, programs, sh_with},
    model::op::Work,
};

const SAVED: &str = r#"*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:KUBE-FORWARD - [0:0]
:KUBER - [0:0]
:FLANNEL-FWD - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "mine, not KUBE-FORWARD" -j ACCEPT
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m comment --comment "rule to explicitly ACCEPT traffic that comply to network policies" -m mark --mark 0x20000/0x20000 -j ACCEPT
-A FORWARD -j KUBER
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080
COMMIT
"#;

fn text(op: &Op) -> &str {
    let Work::Node { script, .. } = &op.work else { panic!("an op of a node") };
    script
}

/// Only chains of ours, and rules that lead there; and a rule that merely mentions one stays.
#[test]
fn rules_of_others_are_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join("saved"), SAVED).unwrap();
    let path = programs(
        root,
        &[
            ("iptables-nft-save", "cat \"${0%/*}/saved\""),
            ("iptables-nft-restore", "cat > \"${0%/*}/restored\"; echo \"$*\" > \"${0%/*}/args\""),
            ("ip6tables-nft-save", ":"),
            ("ip6tables-nft-restore", "exit 9"),
            ("iptables-legacy-save", ":"),
            ("ip6tables-legacy-save", ":"),
            (
                "ipset",
                "[ \"$1\" = list ] && printf '%s\\n' KUBE-SRC-1 mine inet6:KUBE-DST-2 || echo \"$*\" >> \"${0%/*}/sets\"",
            ),
        ],
    );
    let found = sh_with(&rules::finding(), &[("PATH", &path)]).unwrap();
    assert_eq!(found, "iptables-nft: 2 chains of Kubernetes, 2 rules that lead there\n");
    let work = root.to_str().unwrap();
    sh_with(&rules::removing(), &[("PATH", &path), ("kb_work", work)]).unwrap();
    let restored = std::fs::read_to_string(root.join("restored")).unwrap();
    let wanted = "*filter\n\
        -D FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD\n\
        -D FORWARD -m comment --comment \"rule to explicitly ACCEPT traffic that comply to network policies\" -m mark --mark 0x20000/0x20000 -j ACCEPT\n\
        -F KUBE-FORWARD\n-F FLANNEL-FWD\n-X KUBE-FORWARD\n-X FLANNEL-FWD\nCOMMIT\n";
    assert_eq!(restored, wanted);
    assert_eq!(std::fs::read_to_string(root.join("args")).unwrap(), "--noflush\n");
    assert_eq!(std::fs::read_to_string(root.join("sets")).unwrap(), "destroy KUBE-SRC-1\ndestroy inet6:KUBE-DST-2\n");
}

#[test]
fn every_script_is_shell() {
    let spec = World::bare().spec;
    let mut texts = vec![finding(&spec, true)];
    for op in [
        stop_api_server("0123"),
        reset("0123", EtcdLayout::Stacked, false),
        reset("0123", EtcdLayout::Stacked, true),
        clean(&spec, Some("0123"), true),
        clean(&spec, None, false),
    ] {
        texts.push(text(&op).to_owned());
    }
    for text in texts {
        let out = std::process::Command::new("sh").args(["-n", "-c", &text]).output().unwrap();
        assert!(out.status.success(), "{}\n{text}", String::from_utf8_lossy(&out.stderr));
    }
}

/// Nothing destructive begins on a machine of another cluster, or of none that it names.
#[test]
fn another_clusters_machine_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.toml");
    let at = |text: &str| text.replace(render::identity::PATH, path.to_str().unwrap());
    for (content, fits) in [("id = \"0123\"\nname = \"lab\"\n", true), ("id = \"9999\"\n", false), ("", false)] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(sh_with(&at(&proof("0123")), &[]).is_ok(), fits, "{content:?}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(sh_with(&at(&proof("0123")), &[]).unwrap_err().contains("nothing was changed"));
}

/// Lines that are ours leave a file of others; the rest of it stays.
#[test]
fn our_lines_go_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join("etc")).unwrap();
    let hosts = root.join("etc/hosts");
    std::fs::write(
        &hosts,
        "127.0.0.1 localhost\n# BEGIN kbootstrap hosts\n1.2.3.4 a\n# END kbootstrap hosts\n5.6.7.8 b\n",
    )
    .unwrap();
    let quiet = ["systemctl", "ip", "dpkg-query", "apt-mark", "ipset", "rm", "rmdir", "find"];
    let saves = rules::TOOLS.split(' ').map(|tool| format!("{tool}-save")).collect::<Vec<_>>();
    let all: Vec<(&str, &str)> =
        quiet.into_iter().chain(saves.iter().map(String::as_str)).map(|name| (name, ":")).collect();
    let path = programs(root, &all);
    let script = clean::script(&World::bare().spec, false).replace("/etc/hosts", hosts.to_str().unwrap());
    sh_with(&script, &[("PATH", &path)]).unwrap();
    assert_eq!(std::fs::read_to_string(&hosts).unwrap(), "127.0.0.1 localhost\n5.6.7.8 b\n");
}
