//! Running the real program.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Folder of this test program.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it")
}

/// Runs the program in the folder of the fixtures with a home folder that doesn't exist, so that nothing of the machine
/// plays a part, and gives back all that a user would see.
pub fn run(args: &[&str]) -> String {
    run_with(args, &[])
}

/// The same with variables in its environment.
pub fn run_with(args: &[&str], variables: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kbootstrap"))
        .args(args)
        .current_dir(folder().join("fixtures"))
        .env_clear()
        .env("HOME", "/home/operator")
        .envs(variables.iter().copied())
        .output()
        .expect("the program starts");
    shown(&output)
}

fn shown(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let code = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
    let mut shown = format!("exit {code}\n");
    for (name, text) in [("stdout", out), ("stderr", err)] {
        if !text.is_empty() {
            shown.push_str(&format!("--- {name}\n{text}"));
        }
    }
    shown
}
