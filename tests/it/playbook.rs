//! `kbootstrap playbook` over the built-in playbook, and over folders named by what is wrong with them.

use crate::kbootstrap::{folder, run};

#[test]
fn show() {
    insta::assert_snapshot!("playbook_show", run(&["playbook", "show"]));
    insta::assert_snapshot!("playbook_show_values", run(&["playbook", "show", "--values"]));
    insta::assert_snapshot!("playbook_show_changed", run(&["playbook", "show", "--playbook", "playbook-valid"]));
}

#[test]
fn show_for_programs() {
    let shown = run(&["playbook", "show", "--output", "json"]);
    let json = shown.strip_prefix("exit 0\n--- stdout\n").expect("a document");
    let document: serde_json::Value = serde_json::from_str(json).expect("JSON");
    assert_eq!(document["schema"], "kbootstrap.playbook/v1");
    assert_eq!(document["stages"][0]["steps"][0]["id"], "preflight.os");
}

/// What is printed can be read again: a user copies from it.
#[test]
fn show_the_source() {
    let shown = run(&["playbook", "show", "--source"]);
    let text = shown.strip_prefix("exit 0\n--- stdout\n").expect("a text");
    assert_eq!(text, std::fs::read_to_string(folder().join("../../playbooks/up.toml")).expect("the playbook"));
}

#[test]
fn folders() {
    let mut names: Vec<String> = std::fs::read_dir(folder().join("fixtures"))
        .expect("the folder of fixtures")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .filter(|name| name.starts_with("playbook-"))
        .collect();
    names.sort();
    for name in names {
        let shown = run(&["playbook", "check", &name]);
        let exit = if name == "playbook-valid" { "exit 0\n" } else { "exit 2\n" };
        assert!(shown.starts_with(exit), "{name}: {shown}");
        insta::assert_snapshot!(name.replace('-', "_"), shown);
    }
    insta::assert_snapshot!("playbook_no_folder", run(&["playbook", "check", "nowhere"]));
    insta::assert_snapshot!(
        "playbook_json",
        run(&["playbook", "check", "--output", "json", "playbook-skip-without-why"])
    );
}
