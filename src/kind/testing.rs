//! Running ops' text in tests, as a node's batch does.

use std::process::{Command, Stdio};

/// Runs the text under a real shell with `set -eu`, in a subshell as a batch does; the error is what it said.
pub fn sh(script: &str) -> Result<String, String> {
    sh_with(script, &[])
}

/// The same with variables in the environment, such as `PATH` or `KB_IN`.
pub fn sh_with(script: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let output = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("set -eu\n(\n{script}\n)"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("/bin/sh runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Whether a shell understands the text; nothing of it is run.
pub fn parses(script: &str) -> Result<(), String> {
    let output = Command::new("/bin/sh").args(["-n", "-c", script]).output().expect("/bin/sh runs");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
