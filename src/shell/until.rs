//! Waiting on a node, for no longer than something may take.

/// Looks again and again until a command succeeds.
pub struct Until<'a> {
    /// The command. One that may fail for other reasons than "not yet" says so itself, in `otherwise`.
    pub holds: &'a str,
    /// For how long another look is worth it. By the time since boot: how long a look takes, and whether the clock is set
    /// meanwhile, makes no difference.
    pub seconds: u32,
    /// Seconds between two looks, as `sleep` takes them.
    pub pause: &'a str,
    /// What is done when that is over: it says why and leaves, by `exit`, `return` or `break`. Where it does not, looking goes
    /// on; [`Self::anew`] gives it more time.
    pub otherwise: &'a str,
}

impl Until<'_> {
    /// POSIX text. Its end is in the variable `kb_end`, so no other such text may stand in its command.
    pub fn text(&self) -> String {
        let Self { holds, seconds, pause, otherwise } = self;
        let ends = Self::anew(*seconds);
        format!(
            r#"{ends}
until {holds}; do
  if [ "$(cut -d . -f 1 /proc/uptime)" -ge "$kb_end" ]; then
    {otherwise}
  fi
  sleep {pause}
done"#
        )
    }

    /// POSIX text by which looking goes on for so many seconds from now.
    pub fn anew(seconds: u32) -> String {
        format!("kb_end=$(($(cut -d . -f 1 /proc/uptime) + {seconds}))")
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn outcome(holds: &str, seconds: u32, otherwise: &str) -> (Option<i32>, String) {
        let text = Until { holds, seconds, pause: "0.1", otherwise }.text();
        let script = format!("set -eu\nlooked=0\nlook() {{ looked=$((looked + 1)); }}\n{text}\necho \"$looked looks\"");
        let out = Command::new("/bin/sh").args(["-c", &script]).output().expect("/bin/sh runs");
        (out.status.code(), String::from_utf8(out.stdout).expect("text"))
    }

    #[test]
    fn it_looks_until_it_holds_and_no_longer_than_it_may() {
        let leaves = "echo 'not yet'\n    exit 3";
        assert_eq!(outcome("look", 0, leaves), (Some(0), "1 looks\n".into()));
        assert_eq!(outcome("look; [ \"$looked\" = 3 ]", 60, leaves), (Some(0), "3 looks\n".into()));
        assert_eq!(outcome("look; [ \"$looked\" = 2 ]", 0, leaves), (Some(3), "not yet\n".into()));
        let more = format!("echo more; {}", Until::anew(60));
        assert_eq!(outcome("look; [ \"$looked\" = 3 ]", 0, &more), (Some(0), "more\n3 looks\n".into()));
    }
}
