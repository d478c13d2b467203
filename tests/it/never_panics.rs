//! Whatever stands in an inventory, the answer is a cluster or a list of problems that can be shown.

use kbootstrap::inventory::{Places, keys, parse};
use kbootstrap::playbook;
use proptest::prelude::*;

fn answers(text: &str) {
    if let Err(problems) = parse("x.toml", text, &Places::default()) {
        assert!(!problems.list().is_empty());
        assert!(problems.render(false).contains("x.toml"));
        assert_eq!(problems.located().count(), problems.list().len());
    }
}

/// A playbook is a playbook or a list of problems that can be shown.
fn playbook_answers(text: &str) {
    if let Err(problems) = playbook::check(&vec![("site.toml".to_owned(), text.to_owned())]) {
        assert!(!problems.is_empty());
        assert!(problems.iter().all(|problems| problems.render(false).contains("site.toml")));
    }
}

/// A value of any type, some of which fit the keys that they are given to.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("\"10.0.0.0/8\"".to_owned()),
        Just("\"fd00::/64\"".to_owned()),
        Just("\"1.30.14\"".to_owned()),
        Just("\"a\"".to_owned()),
        Just("\"10.0.0.1\"".to_owned()),
        Just("\"control-plane\"".to_owned()),
        Just("true".to_owned()),
        Just("1979-05-27".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}").replace("NaN", "nan")),
        "[ -~]{0,12}".prop_map(|text| format!("{text:?}")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
            inner.prop_map(|value| format!("{{ extraArgs = {value}, x = {value} }}")),
        ]
    })
}

/// A line of an inventory: a known key of some table with any value.
fn line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(keys::KEYS);
    (key, value()).prop_map(|(key, value)| {
        let (table, name) = key.path.rsplit_once('.').expect("every key has a table");
        let header = if table == "node" { "[[node]]".to_owned() } else { format!("[{table}]") };
        format!("{header}\n{name} = {value}\n")
    })
}

/// A field of some kind of step.
fn step_field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "id",
        "title",
        "kind",
        "when",
        "path",
        "content",
        "mode",
        "owner",
        "lines",
        "name",
        "optional",
        "packages",
        "from",
        "unit",
        "state",
        "watches",
        "reload",
        "check",
        "values",
        "at-least",
        "modules",
        "images",
        "that",
        "repository",
        "urls",
        "run",
        "timeout",
        "action",
        "why",
        "chain",
        "servers",
    ])
}

proptest! {
    #[test]
    fn on_any_text(text in any::<String>()) {
        answers(&text);
    }

    #[test]
    fn on_what_looks_like_toml(text in "[\\[\\]a-z\"'=.{}# \n0-9,\\-]{0,200}") {
        answers(&text);
    }

    #[test]
    fn on_known_keys_with_any_values(lines in prop::collection::vec(line(), 0..12)) {
        answers(&lines.concat());
    }

    #[test]
    fn on_any_playbook(text in any::<String>(), looks in "[\\[\\]a-z\"'=.{}# \n0-9,\\-]{0,200}") {
        playbook_answers(&text);
        playbook_answers(&looks);
    }

    #[test]
    fn on_a_step_with_any_fields(fields in prop::collection::vec((step_field(), value()), 0..8)) {
        let fields: String = fields.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        for table in ["step", "patch", "skip", "stage"] {
            playbook_answers(&format!("[[{table}]]\nid = \"os.swap\"\n{fields}"));
            playbook_answers(&format!("[[{table}]]\n{fields}"));
        }
    }

    #[test]
    fn on_a_torn_playbook(cut in 0_usize..12000, insert in any::<char>()) {
        let whole = include_str!("../../playbooks/up.toml");
        let cut = (0..=cut.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
        playbook_answers(&whole[..cut]);
        playbook_answers(&format!("{}{insert}{}", &whole[..cut], &whole[cut..]));
    }

    #[test]
    fn on_a_torn_inventory(cut in 0_usize..2000, insert in any::<char>()) {
        let whole = include_str!("../../inventory/small.toml");
        let cut = (0..=cut.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
        answers(&whole[..cut]);
        answers(&format!("{}{insert}{}", &whole[..cut], &whole[cut..]));
    }
}
