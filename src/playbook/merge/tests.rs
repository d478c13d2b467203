//! What users' files make of the compiled-in playbook, and what is said of wrong ones.

use super::*;
use crate::{
    model::step::StepId,
    playbook::{Given, TemplateKind, builtin, check},
};

fn with(text: &str) -> Result<Playbook, String> {
    check(&vec![("site.toml".to_owned(), text.to_owned())])
        .map_err(|all| all.iter().map(|problems| problems.render(false)).collect::<Vec<_>>().join("\n"))
}

fn ids(playbook: &Playbook) -> Vec<&str> {
    playbook.steps.iter().map(|step| step.id.as_str()).collect()
}

#[test]
fn the_compiled_in_playbook_names_every_step_once() {
    let playbook = builtin();
    let mut ids = ids(&playbook);
    ids.sort_unstable();
    let before = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), before);
    assert!(playbook.skipped.is_empty());
    insta::assert_snapshot!(
        playbook.steps.iter().map(|step| format!("{} {}\n", step.id, step.kind.word())).collect::<String>()
    );
}

#[test]
fn steps_are_added_where_they_are_asked_for() {
    let playbook = with(
        r#"
        [[stage]]
        id = "site"
        title = "Site"
        after = "os"
        [[step]]
        id = "site.motd"
        title = "message of the day"
        kind = "file"
        path = "/etc/motd"
        content = "hello\n"
        [[step]]
        id = "os.early"
        title = "early"
        kind = "directory"
        path = "/srv"
        before = "os.modules"
        when = { os = "ubuntu", role = ["worker"] }
        "#,
    )
    .unwrap();
    let stages: Vec<&str> = playbook.stages.iter().map(|stage| stage.id.as_str()).collect();
    assert_eq!(stages[..4], ["preflight", "os", "site", "packages"]);
    let ids = ids(&playbook);
    let at = |id: &str| ids.iter().position(|known| *known == id).unwrap();
    assert_eq!(at("os.early") + 1, at("os.modules"));
    let early = playbook.step("os.early").unwrap();
    assert_eq!((early.when.machine.os.as_slice(), early.when.role.len()), (&["ubuntu".to_owned()][..], 1));
    let order: Vec<&StepId> = playbook.steps_of(Chain::Node).map(|step| &step.id).collect();
    let motd = order.iter().position(|id| id.as_str() == "site.motd").unwrap();
    assert_eq!(order[motd + 1].as_str(), "packages.certificates");
}

#[test]
fn a_patch_changes_the_fields_that_it_names() {
    let playbook = with(
        r#"
        [[patch]]
        step = "os.sysctls"
        at-least = { "fs.inotify.max_user_watches" = 8192 }
        [[patch]]
        step = "runtime.config"
        mode = "0600"
        [[skip]]
        step = "os.swap"
        why = "kubelets here run with swap"
        "#,
    )
    .unwrap();
    let TemplateKind::Sysctls { exact, at_least } = &playbook.step("os.sysctls").unwrap().kind else { panic!() };
    assert!(matches!(exact, Given::From(_)));
    assert_eq!(at_least, &[("fs.inotify.max_user_watches".to_owned(), 8192)]);
    let config = playbook.step("runtime.config").unwrap();
    assert_eq!(config.patched_by, ["site.toml"]);
    let TemplateKind::File { path, mode, .. } = &config.kind else { panic!() };
    assert_eq!((path.as_str(), mode.to_string().as_str()), ("/etc/containerd/config.toml", "0600"));
    assert!(playbook.step("os.swap").is_none());
    assert_eq!(playbook.skipped[0].why, "kubelets here run with swap");
}

#[test]
fn every_step_can_be_patched_without_changing_it() {
    let text: String = ids(&builtin()).iter().map(|id| format!("[[patch]]\nstep = \"{id}\"\n")).collect();
    let patched = with(&text).unwrap();
    for (before, after) in builtin().steps.iter().zip(&patched.steps) {
        assert_eq!(before.kind, after.kind, "{}", before.id);
        assert_eq!(before.when, after.when, "{}", before.id);
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let said = with(
        r#"
[[step]]
id = "os.sysctl"
kind = "fil"
path = "/x"
[[step]]
id = "oss.x"
title = "x"
kind = "file"
path = "etc/x"
content = { from = "containerd-konfig" }
[[step]]
id = "os.swap"
title = "again"
kind = "swap-off"
when = { roles = "worker", os = "fedora", arch = [] }
[[step]]
id = "os.y"
title = "y"
kind = "file"
content = { from = "images" }
motd = true
[[step]]
id = "cluster.z"
title = "z"
kind = "directory"
path = "/z"
[[patch]]
step = "os.sysctl"
[[patch]]
step = "os.sysctls"
kind = "file"
values = { ip_forward = 1 }
[[skip]]
step = "kubernetes.joins"
why = ""
[[skip]]
step = "os.hosts"
"#,
    )
    .unwrap_err();
    insta::assert_snapshot!(said);
}
