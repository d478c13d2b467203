//! The flags of a control plane's programs, as kubeadm gave them and the inventory wants them. What somebody changed by
//! hand is put back in the manifest, everything else of which stays; kubelet then restarts that program alone.

use std::collections::BTreeMap;

use serde_yaml_ng::{Mapping, Value};

use super::{
    super::{op, rotate, write},
    Context, etcd_membership,
};
use crate::{
    model::{
        etcd::EtcdLayout,
        mode::Mode,
        observe::{ContentRead, FileSeen, Read},
        op::Op,
        plan::{Change, Verdict},
    },
    pki::is_bundle,
    render::{
        images,
        static_pods::{Component, flags},
    },
    shell::{Until, quote},
};

/// kubelet sees a manifest within moments; an API server takes up to 40 s to end and to be ready again.
const RESTART_S: u32 = 240;

pub fn reads() -> Vec<Read> {
    let file = |component: Component| Read::File { path: component.manifest(), content: ContentRead::Always };
    Component::ALL.map(file).into()
}

pub fn judge(context: &Context<'_>) -> Verdict {
    // Before the node is in the cluster kubeadm writes them anew.
    if !context.node.is_control_plane() || !context.has_joined() || context.live_node().is_none() {
        return Verdict::Satisfied;
    }
    let (mut diff, mut ops, mut restarts) = (Vec::new(), Vec::new(), Vec::new());
    for component in Component::ALL {
        if component == Component::Etcd && context.spec.etcd != EtcdLayout::Stacked {
            continue;
        }
        let Some(FileSeen::File { content: Some(content), .. }) = context.seen.files.get(&component.manifest()) else {
            // Its absence is the join's affair.
            continue;
        };
        let text = String::from_utf8_lossy(content);
        let mut manifest = match Manifest::read(&text) {
            Ok(manifest) => manifest,
            Err(why) => {
                return op::refused(
                    format!("{} is no manifest: {why}", component.manifest()),
                    "put back what kubeadm wrote: kubeadm init phase control-plane --help",
                );
            }
        };
        let changes = manifest.mend(context, component);
        if changes.is_empty() {
            continue;
        }
        diff.extend(changes);
        restarts.push(component.name());
        ops.push(replace(context, component, &manifest.text()));
    }
    if ops.is_empty() {
        return Verdict::Satisfied;
    }
    if restarts.contains(&Component::Etcd.name()) {
        ops.push(etcd_membership::settle_op(context));
    }
    let disrupts = Some(format!("{} restarts on a control plane", restarts.join(", ")));
    Verdict::Change(Change { diff, ops, disrupts })
}

/// A manifest with the place of its first container.
struct Manifest(Value);

impl Manifest {
    fn read(text: &str) -> Result<Self, String> {
        let mut manifest = Self(serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?);
        match manifest.container().and_then(|container| container.get("command")) {
            Some(Value::Sequence(_)) => Ok(manifest),
            _ => Err("spec.containers[0].command is no list".to_owned()),
        }
    }

    fn container(&mut self) -> Option<&mut Mapping> {
        self.0.get_mut("spec")?.get_mut("containers")?.get_mut(0)?.as_mapping_mut()
    }

    /// Makes flags and image as wanted; gives what differed.
    fn mend(&mut self, context: &Context<'_>, component: Component) -> Vec<String> {
        let name = component.name();
        let mut wanted = flags(context.spec, context.node, component);
        if component == Component::ControllerManager && context.ca_crt.is_some_and(is_bundle) {
            wanted.insert("cluster-signing-cert-file".to_owned(), rotate::SIGNING.to_owned());
        }
        let container = self.container().expect("it was there when it was read");
        let command = container.get("command").and_then(Value::as_sequence).cloned().unwrap_or_default();
        let words: Vec<&str> = command.iter().filter_map(Value::as_str).collect();
        let mut diff = Vec::new();
        let mut there: BTreeMap<String, String> = BTreeMap::new();
        for word in words.iter().skip(1) {
            match word.strip_prefix("--") {
                Some(flag) => {
                    let (flag, value) = flag.split_once('=').unwrap_or((flag, "true"));
                    if there.insert(flag.to_owned(), value.to_owned()).is_some() {
                        diff.push(format!("- {name} --{flag} given twice"));
                    }
                }
                None => diff.push(format!("- {name} {word}")),
            }
        }
        for flag in component.historical() {
            if let Some(value) = there.get(*flag) {
                wanted.insert((*flag).to_owned(), value.clone());
            }
        }
        for (flag, value) in &wanted {
            match there.get(flag) {
                Some(found) if found == value => {}
                Some(found) => diff.push(super::super::diff::value(&format!("{name} --{flag}"), found, value)),
                None => diff.push(format!("+ {name} --{flag}={value}")),
            }
        }
        let extra = there.iter().filter(|(flag, _)| !wanted.contains_key(*flag));
        diff.extend(extra.map(|(flag, value)| format!("- {name} --{flag}={value}")));
        let image = images::of_component(context.spec, component).to_string();
        let found = container.get("image").and_then(Value::as_str).unwrap_or_default().to_owned();
        // Another version of the same image is an upgrade's affair, half done or not.
        let other = untagged(&found) != untagged(&image);
        if other {
            diff.push(super::super::diff::value(&format!("{name} image"), &found, &image));
        }
        let command = std::iter::once(name.to_owned())
            .chain(wanted.iter().map(|(flag, value)| format!("--{flag}={value}")))
            .map(Value::String);
        container.insert("command".into(), Value::Sequence(command.collect()));
        container.insert("image".into(), Value::String(if other { image } else { found }));
        diff
    }

    fn text(&self) -> String {
        serde_yaml_ng::to_string(&self.0).expect("what was read as YAML can be written")
    }
}

/// Writes the manifest and waits until kubelet runs it and it is well.
fn replace(context: &Context<'_>, component: Component, text: &str) -> Op {
    let name = component.name();
    let path = component.manifest();
    let put = write::put(&path, write::Source::Text(text), Mode::PRIVATE, write::ROOT);
    let before = match component {
        // Whoever has a request under way at this moment must not wait for an election.
        Component::Etcd => etcd_membership::step_down(context),
        _ => String::new(),
    };
    let otherwise = format!(
        r#"echo '{name} is not well with its new manifest' >&2
    crictl ps -a --name '^{name}$' >&2 || :
    crictl logs --tail 15 "$(crictl ps -a -q --name '^{name}$' | head -n 1)" >&2 || :
    exit 1"#
    );
    let another = r#"kb_now=$(kb_running) && [ -n "$kb_now" ] && [ "$kb_now" != "$kb_was" ]"#;
    let holds = format!("{another} && {}", well(component));
    let runs = Until { holds: &holds, seconds: RESTART_S - 60, pause: "1", otherwise: &otherwise };
    let script = format!(
        r#"kb_wanted={digest}
kb_running() {{ crictl ps -q --name '^{name}$' --state Running | head -n 1; }}
kb_was=$(kb_running)
if [ "$(sha256sum < {path} | cut -d ' ' -f 1)" != "$kb_wanted" ]; then
{before}{put}
fi
{runs}"#,
        digest = super::super::file::sha256(text.as_bytes()),
        path = quote(&path),
        runs = runs.text(),
    );
    op::node("static-pod.write", format!("restart {name} with its flags"), script, RESTART_S)
}

/// An image without its tag: what follows the last colon, unless that is a registry's port.
fn untagged(image: &str) -> &str {
    image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(image, |(name, _)| name)
}

/// POSIX text that tells whether a program of this control plane says that it is well.
pub fn well(component: Component) -> String {
    match component {
        Component::Etcd => "case $(curl -s --max-time 3 --noproxy '*' http://127.0.0.1:2381/health) in *'\"health\":\"true\"'*) ;; *) false ;; esac".to_owned(),
        Component::ApiServer => ask(6443, "readyz"),
        Component::ControllerManager => ask(10257, "healthz"),
        Component::Scheduler => ask(10259, "healthz"),
    }
}

/// Asked with a client certificate, because anonymous requests may be refused.
fn ask(port: u16, path: &str) -> String {
    format!(
        "[ \"$(curl -s -k --max-time 3 --noproxy '*' -o /dev/null -w '%{{http_code}}' \
         --cert /etc/kubernetes/pki/apiserver-kubelet-client.crt --key /etc/kubernetes/pki/apiserver-kubelet-client.key \
         https://127.0.0.1:{port}/{path})\" = 200 ]"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::testing::{World, change, kinds, reason, script};

    fn manifest(world: &World, component: Component, edit: impl Fn(&mut Vec<String>)) -> String {
        let node = world.spec.node(&"cp2".parse().unwrap()).unwrap();
        let flags = flags(&world.spec, node, component);
        let mut words: Vec<String> = flags.iter().map(|(flag, value)| format!("--{flag}={value}")).collect();
        edit(&mut words);
        let image = images::of_component(&world.spec, component);
        let command: String = words.iter().map(|word| format!("    - {word}\n")).collect();
        format!(
            "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - command:\n    - {name}\n{command}    image: {image}\n    \
             name: {name}\n  hostNetwork: true\n",
            name = component.name()
        )
    }

    fn world() -> World {
        let mut world = World::live("cp2");
        for component in Component::ALL {
            let text = manifest(&world, component, |_| {});
            world.file(&component.manifest(), &text);
        }
        world
    }

    #[test]
    fn what_kubeadm_wrote_is_in_order_and_history_does_not_count() {
        let mut world = world();
        assert!(matches!(world.judge("cp2", judge), Verdict::Satisfied));
        let text = manifest(&world, Component::Etcd, |words| {
            words.push("--initial-cluster=cp1=https://10.0.0.11:2380".into());
            words.push("--initial-cluster-state=existing".into());
        });
        world.file(&Component::Etcd.manifest(), &text);
        assert!(matches!(world.judge("cp2", judge), Verdict::Satisfied));
    }

    #[test]
    fn a_flag_changed_by_hand_is_named_and_put_back() {
        let mut world = world();
        let text = manifest(&world, Component::ApiServer, |words| {
            words.retain(|word| !word.starts_with("--shutdown-delay"));
            words.push("--anonymous-auth=false".into());
            for word in words.iter_mut().filter(|word| word.starts_with("--authorization-mode")) {
                *word = "--authorization-mode=AlwaysAllow".into();
            }
        });
        world.file(&Component::ApiServer.manifest(), &text);
        let repair = change(world.judge("cp2", judge));
        assert_eq!(
            repair.diff,
            [
                "~ kube-apiserver --authorization-mode: AlwaysAllow -> Node,RBAC",
                "+ kube-apiserver --shutdown-delay-duration=10s",
                "- kube-apiserver --anonymous-auth=false",
            ]
        );
        assert_eq!(kinds(&repair), ["static-pod.write"]);
        assert!(repair.disrupts.is_some(), "one control plane at a time");
        let script = script(&repair, 0);
        assert!(script.contains("--authorization-mode=Node,RBAC") && script.contains("hostNetwork: true"), "{script}");
        assert!(!script.contains("anonymous-auth"));
    }

    #[test]
    fn another_version_is_an_upgrades_and_another_image_is_not() {
        let mut world = world();
        let path = Component::Scheduler.manifest();
        let text = manifest(&world, Component::Scheduler, |_| {});
        world.file(&path, &text.replace("v1.30.14", "v1.30.13"));
        assert!(matches!(world.judge("cp2", judge), Verdict::Satisfied));
        world.file(&path, &text.replace("registry.k8s.io/", "evil.example:5000/"));
        let repair = change(world.judge("cp2", judge));
        assert_eq!(
            repair.diff,
            ["~ kube-scheduler image: evil.example:5000/kube-scheduler:v1.30.14 -> \
                 registry.k8s.io/kube-scheduler:v1.30.14"]
        );
    }

    #[test]
    fn etcd_hands_over_first_and_is_waited_for() {
        let mut world = world();
        let text = manifest(&world, Component::Etcd, |words| {
            words.push("--quota-backend-bytes=1".into());
            words.push("--initial-cluster-state=existing".into());
        });
        world.file(&Component::Etcd.manifest(), &text);
        let repair = change(world.judge("cp2", judge));
        assert_eq!(repair.diff, ["- etcd --quota-backend-bytes=1"]);
        assert_eq!(kinds(&repair), ["static-pod.write", "etcd.settle"]);
        assert!(script(&repair, 0).contains("--initial-cluster-state=existing"));
        assert!(script(&repair, 0).contains("transfer-leadership"));
    }

    #[test]
    fn while_authorities_are_exchanged_it_signs_with_a_file_of_one() {
        let mut world = world();
        world.ca_crt = Some("-----BEGIN CERTIFICATE-----\n".repeat(2));
        let there = change(world.judge("cp2", judge));
        let line = "~ kube-controller-manager --cluster-signing-cert-file: /etc/kubernetes/pki/ca.crt -> \
                    /etc/kubernetes/pki/rotation/signing.crt";
        assert_eq!((there.diff.as_slice(), kinds(&there)), ([line.to_owned()].as_slice(), vec!["static-pod.write"]));
        let text = manifest(&world, Component::ControllerManager, |words| {
            for word in words.iter_mut().filter(|word| word.starts_with("--cluster-signing-cert-file=")) {
                *word = format!("--cluster-signing-cert-file={}", rotate::SIGNING);
            }
        });
        world.file(&Component::ControllerManager.manifest(), &text);
        assert!(matches!(world.judge("cp2", judge), Verdict::Satisfied));
        world.ca_crt = Some("-----BEGIN CERTIFICATE-----\n".to_owned());
        assert_eq!(kinds(&change(world.judge("cp2", judge))), ["static-pod.write"], "and back");
    }

    #[test]
    fn nothing_is_judged_before_the_join_and_what_is_no_manifest_is_refused() {
        let mut world = world();
        world.file(&Component::Scheduler.manifest(), "a: [");
        assert!(reason(world.judge("cp2", judge)).contains("kube-scheduler.yaml is no manifest"));
        world.live_mut().nodes.clear();
        assert!(matches!(world.judge("cp2", judge), Verdict::Satisfied));
        assert!(matches!(World::live("w1").judge("w1", judge), Verdict::Satisfied));
    }
}
