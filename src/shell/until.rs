//! Waiting on a node, for no longer than something may take.

/// Looks again and again until a command succeeds.
pub struct Until<'a> {
    /// The command. One that may fail for other reasons than "not yet" says so itself, in `otherwise`.
    pub holds: &'a str,
    /// How many looks are worth another pause.
    pub looks: u32,
    /// Seconds between two looks, as `sleep` takes them.
    pub pause: &'a str,
    /// What is done when all looks are spent: it says why and leaves, by `exit`, `return` or `break`. Where it does not, looking
    /// goes on without an end, unless it sets `kb_left` anew.
    pub otherwise: &'a str,
}

impl Until<'_> {
    /// POSIX text. It counts in the variable `kb_left`, so no other such text may stand in its command.
    pub fn text(&self) -> String {
        let Self { holds, looks, pause, otherwise } = self;
        format!(
            r#"kb_left={looks}
until {holds}; do
  if [ "$kb_left" = 0 ]; then
    {otherwise}
  fi
  kb_left=$((kb_left - 1))
  sleep {pause}
done"#
        )
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn outcome(holds: &str, looks: u32) -> (Option<i32>, String) {
        let otherwise = "echo 'not yet'\n    exit 3";
        let text = Until { holds, looks, pause: "0", otherwise }.text();
        let script = format!("set -eu\nlooked=0\nlook() {{ looked=$((looked + 1)); }}\n{text}\necho \"$looked looks\"");
        let out = Command::new("/bin/sh").args(["-c", &script]).output().expect("/bin/sh runs");
        (out.status.code(), String::from_utf8(out.stdout).expect("text"))
    }

    #[test]
    fn it_looks_until_it_holds_and_no_longer_than_it_may() {
        assert_eq!(outcome("look", 0), (Some(0), "1 looks\n".into()));
        assert_eq!(outcome("look; [ \"$looked\" = 3 ]", 2), (Some(0), "3 looks\n".into()));
        assert_eq!(outcome("look; [ \"$looked\" = 4 ]", 2), (Some(3), "not yet\n".into()));
    }
}
