//! kubelet's configuration on a node that has joined: the cluster's, as kubeadm wrote it down from there, with what the
//! inventory says laid over.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    super::{cluster::config, op, write},
    Context, upgrade,
};
use crate::{
    model::{
        mode::Mode,
        observe::{ContentRead, FileSeen, Read},
        plan::{Change, Verdict},
    },
    render,
    shell::quote,
};

const CONFIG: &str = "/var/lib/kubelet/config.yaml";
const FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
/// There from the first change of a file until kubelet was restarted with it: a run that dies in between loses nothing.
pub const DUE: &str = "/var/lib/kbootstrap/stamps/kubelet-restart-due";
/// kubeadm changes these on a node by what it finds there.
const NODES_OWN: [&str; 1] = ["resolvConf"];
/// Flags that only matter when a node registers itself.
const REGISTRATION: [&str; 2] = ["register-with-taints", "node-labels"];

pub fn reads() -> Vec<Read> {
    let file = |path: &str| Read::File { path: path.to_owned(), content: ContentRead::Always };
    vec![file(CONFIG), file(FLAGS), Read::File { path: DUE.to_owned(), content: ContentRead::Never }]
}

pub fn judge(context: &Context<'_>) -> Verdict {
    let Some(live) = context.live() else { return Verdict::Satisfied };
    if !context.has_joined() || context.live_node().is_none() {
        return Verdict::Satisfied;
    }
    let Some(cluster) = &live.kubelet_config else { return Verdict::Satisfied };
    let (mut diff, mut puts) = (Vec::new(), Vec::new());
    let mut wanted = config::merged(cluster, &render::kubeadm::kubelet(context.spec));
    let found = text(context, CONFIG).and_then(|text| serde_yaml_ng::from_str::<Value>(&text).ok());
    for key in NODES_OWN {
        if let Some(own) = found.as_ref().and_then(|found| found.get(key)) {
            wanted[key] = own.clone();
        }
    }
    let changes = match &found {
        Some(found) => config::both_ways(&wanted, found),
        None => vec![format!("+ {CONFIG}")],
    };
    if !changes.is_empty() {
        diff.extend(changes.iter().map(|change| format!("~ kubelet {change}")));
        let yaml = render::document(&wanted);
        puts.push(write::put(CONFIG, write::Source::Text(&yaml), Mode::PUBLIC, write::ROOT));
    }
    let (flags, changes) = flags(context);
    if !changes.is_empty() {
        diff.extend(changes);
        let line = format!("KUBELET_KUBEADM_ARGS=\"{flags}\"\n");
        puts.push(write::put(FLAGS, write::Source::Text(&line), Mode::PUBLIC, write::ROOT));
    }
    let due = matches!(context.seen.files.get(DUE), Some(FileSeen::File { .. }));
    if puts.is_empty() && !due {
        return Verdict::Satisfied;
    }
    if puts.is_empty() {
        diff.push(
            "~ kubelet restarts, because its configuration was changed by a run that ended before that".to_owned(),
        );
    }
    let script = format!(
        r#"mkdir -p {stamps}
: > {due}
{puts}"#,
        stamps = write::STAMPS,
        due = quote(DUE),
        puts = puts.join("\n"),
    );
    let ops =
        vec![op::node("kubelet.config", "write kubelet's configuration", script, op::QUICK_S), upgrade::restart()];
    Verdict::Change(Change { diff, ops, disrupts: Some("kubelet restarts on a node that has joined".to_owned()) })
}

fn text(context: &Context<'_>, path: &str) -> Option<String> {
    match context.seen.files.get(path) {
        Some(FileSeen::File { content: Some(content), .. }) => Some(String::from_utf8_lossy(content).into_owned()),
        _ => None,
    }
}

/// The flags as they shall be, and what differs from those that are there.
fn flags(context: &Context<'_>) -> (String, Vec<String>) {
    let facts = render::kubeadm::NodeFacts { resolved_stub: context.seen.facts.os.resolved_stub };
    let mut wanted = render::kubeadm::kubelet_flags(context.spec, context.node, facts);
    let text = text(context, FLAGS).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("KUBELET_KUBEADM_ARGS=")).unwrap_or_default();
    let found: BTreeMap<String, String> = line
        .trim_matches('"')
        .split_whitespace()
        .map(|word| {
            let (flag, value) = word.split_once('=').unwrap_or((word, "true"));
            (flag.trim_start_matches('-').to_owned(), value.to_owned())
        })
        .collect();
    for flag in REGISTRATION {
        if let Some(value) = found.get(flag) {
            wanted.insert(flag.to_owned(), value.clone());
        }
    }
    let mut diff = Vec::new();
    for (flag, value) in &wanted {
        match found.get(flag) {
            Some(there) if there == value => {}
            Some(there) => diff.push(super::super::diff::value(&format!("kubelet --{flag}"), there, value)),
            None => diff.push(format!("+ kubelet --{flag}={value}")),
        }
    }
    let extra = found.iter().filter(|(flag, _)| !wanted.contains_key(*flag));
    diff.extend(extra.map(|(flag, value)| format!("- kubelet --{flag}={value}")));
    let words: Vec<String> = wanted.iter().map(|(flag, value)| format!("--{flag}={value}")).collect();
    (words.join(" "), diff)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::testing::{World, change, script};

    const ENV: &str = "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/containerd/containerd.sock \
                       --node-ip=10.0.0.21 --pod-infra-container-image=registry.k8s.io/pause:3.9 --resolv-conf=/etc/resolv.conf\"\n";

    fn world() -> World {
        let mut world = World::live("w1");
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "cgroupDriver": "systemd", "rotateCertificates": true, "clusterDNS": ["10.96.0.10"], "syncFrequency": "0s",
        });
        world.file(CONFIG, &serde_yaml_ng::to_string(&config).unwrap());
        world.file(FLAGS, ENV);
        world.live_mut().kubelet_config = Some(config);
        world
    }

    #[test]
    fn what_kubeadm_wrote_is_in_order() {
        assert!(matches!(world().judge("w1", judge), Verdict::Satisfied));
        let mut bare = world();
        bare.seen.facts.kubernetes.configs.clear();
        bare.seen.files.clear();
        assert!(matches!(bare.judge("w1", judge), Verdict::Satisfied), "kubeadm writes it with the join");
    }

    #[test]
    fn what_was_changed_by_hand_is_named_and_put_back() {
        let mut world = world();
        let FileSeen::File { content: Some(text), .. } = world.seen.files[CONFIG].clone() else { panic!() };
        let text = String::from_utf8(text).unwrap().replace("systemd", "cgroupfs") + "maxPods: 5\nresolvConf: /x\n";
        world.file(CONFIG, &text);
        world.file(FLAGS, &ENV.replace("--node-ip=10.0.0.21 ", "--v=9 "));
        let repair = change(world.judge("w1", judge));
        assert_eq!(
            repair.diff,
            [
                "~ kubelet cgroupDriver: found cgroupfs, wanted systemd",
                "~ kubelet maxPods: found 5, wanted nothing",
                "+ kubelet --node-ip=10.0.0.21",
                "- kubelet --v=9",
            ]
        );
        let script = script(&repair, 0);
        assert!(script.contains("resolvConf: /x") && !script.contains("maxPods"), "{script}");
    }

    #[test]
    fn what_the_inventory_says_comes_before_the_clusters() {
        let mut world = world();
        world.spec.overrides.kubelet = json!({"maxPods": 200}).as_object().unwrap().clone();
        assert_eq!(change(world.judge("w1", judge)).diff, ["~ kubelet maxPods: found nothing, wanted 200"]);
    }

    #[test]
    fn a_restart_that_a_dead_run_owes_is_due() {
        let mut world = world();
        world.file(DUE, "");
        assert!(change(world.judge("w1", judge)).diff[0].contains("restarts"));
    }
}
