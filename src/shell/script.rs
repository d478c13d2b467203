//! Composing: commands become scripts that run whole or not at all.

/// A script that may arrive over a connection that breaks: its body is one function, called on the last line.
///
/// A shell that reads it from standard input runs nothing of the body before all of it has arrived. The body's standard
/// input is `/dev/null`, so that no command in it swallows what follows, and the script's exit status is the body's.
pub fn wrap(body: &str) -> String {
    // The name is nobody's program, nor is any beginning of it: a call that was cut off is "not found".
    // The colon makes an empty body, or one of comments only, a valid function.
    format!("_kb_main_() {{\n:\n{body}\n}}\n_kb_main_ </dev/null\nexit $?\n")
}

/// As [`wrap`], for a script that is talked with: its body reads what comes on standard input after the script itself.
pub fn wrap_listening(body: &str) -> String {
    format!("_kb_main_() {{\n:\n{body}\n}}\n_kb_main_\nexit $?\n")
}

/// The commands one after the other for as long as each succeeds: an and-list that keeps its meaning inside a larger
/// one. Each command may have several lines.
pub fn all_of<S: AsRef<str>>(commands: impl IntoIterator<Item = S>) -> String {
    let parts: Vec<String> = commands.into_iter().map(|command| format!("{{\n{}\n}}", command.as_ref())).collect();
    if parts.is_empty() {
        return ":".to_owned();
    }
    parts.join(" && ")
}

/// The text in a subshell: whatever it sets, changes directory to or exits with stays inside.
pub fn subshell(body: &str) -> String {
    format!("(\n:\n{body}\n)")
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Output, Stdio},
    };

    use super::*;

    fn sh(script: &str) -> Output {
        let mut child = Command::new("/bin/sh")
            .arg("-s")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("/bin/sh runs");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(script.as_bytes()).expect("written");
        drop(stdin);
        child.wait_with_output().expect("waited")
    }

    fn said(script: &str) -> (Option<i32>, String) {
        let out = sh(script);
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
    }

    #[test]
    fn a_script_ends_with_its_bodys_status() {
        assert_eq!(said(&wrap("echo a; return 7")), (Some(7), "a\n".into()));
        assert_eq!(said(&wrap("echo a; exit 8")), (Some(8), "a\n".into()));
        assert_eq!(said(&wrap("echo a # comment")), (Some(0), "a\n".into()));
        assert_eq!(said(&wrap("")), (Some(0), String::new()));
    }

    #[test]
    fn a_script_that_was_cut_off_runs_nothing() {
        let whole = wrap("echo one\nif true; then echo two; fi");
        let call = whole.rfind("_kb_main_").expect("called") + "_kb_main_".len();
        for end in 0..call {
            assert_eq!(said(&whole[..end]).1, "", "cut at {end}");
        }
        assert_eq!(said(&whole).1, "one\ntwo\n");
    }

    #[test]
    fn a_body_cannot_swallow_what_follows() {
        let script = format!("{}echo never\n", wrap("cat; echo end"));
        assert_eq!(said(&script).1, "end\n");
    }

    #[test]
    fn lists_stop_at_the_first_failure() {
        let list = all_of(["echo a", "false # no", "echo b"]);
        assert_eq!(said(&format!("{list} || echo failed")).1, "a\nfailed\n");
        assert_eq!(said(&all_of(["true; false || true", "echo b"])).1, "b\n");
        assert_eq!(said(&all_of::<&str>([])), (Some(0), String::new()));
    }

    #[test]
    fn a_subshell_keeps_its_exit_to_itself() {
        let script = format!("x=1\n{}\necho $? $x", subshell("x=2; exit 3"));
        assert_eq!(said(&script).1, "3 1\n");
    }
}
