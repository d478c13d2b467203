//! The rows of modules: each may import only rows above it, and modules of one row never import each other.

use std::fs;
use std::path::{Path, PathBuf};

/// The rows as `lib.rs` prints them.
const ROWS: [&[&str]; 11] = [
    &["model"],
    &["diag", "error", "shell"],
    &["inventory", "playbook", "facts", "render", "pki"],
    &["kind"],
    &["plan"],
    &["transport"],
    &["backup", "kube", "exec", "gather"],
    &["action"],
    &["run"],
    &["ui"],
    &["cli"],
];

/// Crates that only one module may name.
const ALONE: [(&str, &str); 6] = [
    ("russh", "transport/ssh"),
    ("indicatif", "ui"),
    ("clap", "cli"),
    ("rcgen", "pki"),
    ("age", "backup"),
    ("tar", "backup"),
];

/// What no pure module names: clocks, files, the environment, the network, other programs. Each with the modules that
/// are pure in everything else.
const IMPURE: [(&str, &[&str]); 9] = [
    ("tokio::", &[]),
    ("std::fs", &["inventory", "playbook"]),
    ("std::env", &[]),
    ("env::var", &[]),
    ("SystemTime::now", &["pki"]),
    ("Instant::now", &[]),
    ("TcpStream", &[]),
    ("std::process::Command", &[]),
    ("OffsetDateTime::now", &["pki"]),
];

fn row_of(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// A source file: its top module, its path under `src`, and its code without comments and unit tests.
struct Source {
    module: String,
    path: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    walk(&root, &mut |path| {
        let relative = path.strip_prefix(&root).expect("under src").to_str().expect("a plain name").to_owned();
        let module = relative.split(['/', '.']).next().unwrap_or_default().to_owned();
        let is_test = relative.split(['/', '.']).any(|part| part == "tests");
        if row_of(&module).is_some() && !is_test {
            let code = bare(&fs::read_to_string(path).expect("a source file"));
            sources.push(Source { module, path: relative, code });
        }
    });
    assert!(sources.len() > 20, "sources are found");
    sources
}

/// Files that only tests are compiled with, by custom named so.
fn is_for_tests(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| ["testing", "tests"].contains(&stem.to_string_lossy().as_ref()))
}

fn walk(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_for_tests(&path) {
            each(&path);
        }
    }
}

/// Code up to the unit tests, which stand last by custom, without lines that are comments.
fn bare(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The top modules that the code names by `crate::…`, braces looked into.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(first_names(group)),
            None => found.push(name(rest)),
        }
    }
    found
}

/// The first name of each path of a brace group, the group's own `{` already gone.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut begins) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && (c.is_alphabetic() || c == '_') => {
                names.push(name(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn rows_import_only_rows_above() {
    let mut wrong = Vec::new();
    for source in sources() {
        let own = row_of(&source.module).expect("a module of a row");
        for import in imports(&source.code) {
            if row_of(&import).is_some_and(|row| row >= own) && import != source.module {
                wrong.push(format!("src/{} (row {}) imports crate::{import}", source.path, own + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_row() {
    let lib = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    let modules: Vec<&str> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    for module in &modules {
        assert!(row_of(module).is_some(), "{module} has no row");
    }
    assert!(modules.len() > 10, "modules are found");
}

#[test]
fn some_crates_are_named_in_one_place() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, place) in ALONE {
            let named = source.code.match_indices(&format!("{name}::")).any(|(at, _)| {
                // `image::` is not `age::`.
                !source.code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
            });
            if named && !source.path.starts_with(place) {
                wrong.push(format!("src/{} names {name}, which belongs in {place}", source.path));
            }
        }
        let names_ssh = source.code.contains("transport::ssh");
        if names_ssh && !["cli", "transport"].contains(&source.module.as_str()) {
            wrong.push(format!("src/{} names transport::ssh, which only cli may choose", source.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rows_up_to_plan_are_pure() {
    let plan = row_of("plan").expect("a row");
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| row_of(&source.module) <= Some(plan)) {
        for (word, except) in IMPURE {
            if source.code.contains(word) && !except.contains(&source.module.as_str()) {
                wrong.push(format!("src/{} is pure and names {word}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_are_found_in_every_form() {
    let code = "use crate::a::{b, c};\nuse crate::{d::{e, f}, g, h as i};\nlet x = crate::j::k();\nmycrate::l;";
    assert_eq!(imports(code), ["a", "d", "g", "h", "j"]);
}
