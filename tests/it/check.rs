//! `kbootstrap check` over inventories that are right, and over ones named by what is wrong with them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::kbootstrap::{folder, run};

/// Every fixture of a folder has a snapshot of all that the user sees.
fn snapshots_of(kind: &str) -> usize {
    let mut names: Vec<String> = std::fs::read_dir(folder().join("fixtures").join(kind))
        .expect("the folder of fixtures")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .collect();
    names.sort();
    let exit = if kind == "valid" { "exit 0\n" } else { "exit 2\n" };
    for name in &names {
        let shown = run(&["check", &format!("{kind}/{name}")]);
        assert!(shown.starts_with(exit), "{kind}/{name}: {shown}");
        let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).expect("a name before the dot");
        insta::assert_snapshot!(format!("{kind}_{stem}"), shown);
    }
    names.len()
}

#[test]
fn valid_inventories() {
    assert!(snapshots_of("valid") > 0);
}

#[test]
fn invalid_inventories() {
    assert!(snapshots_of("invalid") > 0);
}

#[test]
fn no_file_no_folder() {
    insta::assert_snapshot!("check_no_file", run(&["check", "nowhere.toml"]));
    insta::assert_snapshot!("check_folder", run(&["check", "valid"]));
}

#[test]
fn json() {
    insta::assert_snapshot!("json_valid", run(&["check", "--output", "json", "valid/every_key.toml"]));
    insta::assert_snapshot!("json_invalid", run(&["check", "--output", "json", "invalid/control_planes_two.toml"]));
}

#[test]
fn quiet_says_what_matters() {
    let loud = run(&["check", "valid/smallest.toml"]);
    assert_eq!(run(&["check", "--quiet", "valid/smallest.toml"]), loud, "the summary is the result, not talk");
    assert!(run(&["check", "--quiet", "invalid/empty.toml"]).contains("error"));
}

#[test]
fn the_inventories_that_we_give_are_valid() {
    for name in ["small", "full"] {
        let shown = run(&["check", &format!("../../../inventory/{name}.toml")]);
        assert!(shown.starts_with("exit 0\n"), "{shown}");
    }
}

/// `full.toml` shows every key, with the class and the default that the program has for it; all of them read.
#[test]
fn the_full_inventory_shows_every_key() {
    let path = folder().join("../../inventory/full.toml");
    let full = std::fs::read_to_string(path).expect("full.toml");
    let mut table = String::new();
    let mut shown = BTreeSet::new();
    let mut everything = String::new();
    for line in full.lines() {
        let live = line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line);
        everything.push_str(live);
        everything.push('\n');
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_start_matches('[').split(']').next().unwrap_or_default().to_owned();
            shown.insert(table.clone());
        }
        let Some((key, rest)) = live.split_once(" = ") else { continue };
        let path = format!("{table}.{key}");
        // Inside [override.*] stand examples of what is not ours.
        if table.starts_with("override.") {
            continue;
        }
        let known = kbootstrap::inventory::keys::find(&path).unwrap_or_else(|| panic!("{path} is no key"));
        assert!(rest.contains(&format!("# {}", known.class.as_str())), "{path} is {}", known.class.as_str());
        shown.insert(path);
    }
    for key in kbootstrap::inventory::keys::KEYS {
        assert!(shown.contains(key.path), "full.toml does not show {}", key.path);
    }
    let places = kbootstrap::inventory::Places { home: Some("/home/operator".into()), ..Default::default() };
    let spec = kbootstrap::inventory::parse("full.toml", &everything, &places);
    assert!(spec.is_ok(), "{}", spec.unwrap_err().render(false));
}

/// A person who reads a problem is told the way out of it, except where the text isn't TOML at all.
#[test]
fn every_problem_has_a_hint() {
    for entry in std::fs::read_dir(folder().join("fixtures/invalid")).expect("the folder of fixtures") {
        let path = entry.expect("an entry").path();
        let name = path.display().to_string();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let places = kbootstrap::inventory::Places::default();
        let Err(problems) = kbootstrap::inventory::parse(&name, &text, &places) else { panic!("{name} is valid") };
        for problem in problems.list() {
            assert!(problem.hint.is_some() || name.contains("/syntax"), "{name}: {}", problem.message);
        }
    }
}
