//! Backups that a control plane takes by itself: its timer, what became of the last attempts, and the archives.
//!
//! Asked for by commands about backups and by `status`, and by no plan.

use super::error::FactError;
use crate::model::{
    backup::{Archive, Failed, Good, Kept},
    observe::{CommandSeen, Read, Seen},
};

/// The id of the read.
const ASKED: &str = "backups";

/// What answers. `folder` is where archives lie, `good` holds a line on the last that came out well, `failures` are where one
/// on the last that did not may be, `timer` and `service` are the units' names.
pub fn read(folder: &str, good: &str, failures: &[&str], timer: &str, service: &str) -> Read {
    // A directory that is not there is one without archives; anything else that goes wrong is told by the exit status.
    let script = format!(
        r#"set -e
echo "timer $(systemctl show --value -p ActiveState {timer})"
echo "service $(systemctl show --value -p SubState {service})"
kb_next=$(TZ=UTC systemctl show --value -p NextElapseUSecRealtime {timer})
if [ -n "$kb_next" ] && kb_next=$(date -d "$kb_next" +%s); then echo "next $kb_next"; fi
if [ -e {good} ]; then sed 's/^/good /' {good}; fi
for kb_file in {failures}; do
  if [ -e "$kb_file" ]; then head -n 1 "$kb_file" | sed 's/^/failure /'; break; fi
done
if [ -d {folder} ]; then find {folder} -maxdepth 1 -type f -name '[!.]*.backup.age' -printf 'archive %T@ %s %f\n'; fi"#,
        failures = failures.join(" "),
    );
    Read::Command { id: ASKED.to_owned(), script }
}

/// The answer of one node.
///
/// # Errors
/// It was not asked, could not tell, or says what makes no sense.
pub fn of(seen: &Seen) -> Result<Kept, FactError> {
    match seen.commands.get(ASKED) {
        Some(CommandSeen { code: 0, stdout }) => parse(&String::from_utf8_lossy(stdout)),
        Some(CommandSeen { code, .. }) => Err(FactError::new("backups", format!("exit status {code}"))),
        None => Err(FactError::new("backups", "they were not asked for")),
    }
}

fn parse(text: &str) -> Result<Kept, FactError> {
    let mut kept = Kept::default();
    for line in text.lines() {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let broken = || FactError::new("backups", format!("`{}` makes no sense", line.escape_debug()));
        match what {
            "timer" => kept.timer = rest == "active",
            // One that waits to be tried again is in `auto-restart`.
            "service" => kept.busy = rest == "start",
            "next" => kept.next = Some(rest.parse().map_err(|_| broken())?),
            "good" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let [at, name, revision, keys] = words[..] else { return Err(broken()) };
                let number = |text: &str| text.parse::<u64>().unwrap_or_default();
                let at = at.parse().map_err(|_| broken())?;
                kept.good = Some(Good { at, name: name.to_owned(), revision: number(revision), keys: number(keys) });
            }
            "failure" => {
                let (at, why) = rest.split_once(' ').ok_or_else(broken)?;
                kept.failure = Some(Failed { at: at.parse().map_err(|_| broken())?, why: why.trim().to_owned() });
            }
            "archive" => {
                let mut words = rest.splitn(3, ' ');
                let mut word = || words.next().ok_or_else(broken);
                let (at, bytes, name) = (word()?, word()?, word()?);
                let at = at.split('.').next().and_then(|at| at.parse().ok()).ok_or_else(broken)?;
                kept.archives.push(Archive { name: name.to_owned(), bytes: bytes.parse().map_err(|_| broken())?, at });
            }
            _ => return Err(broken()),
        }
    }
    kept.archives.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_is_read_whole_or_not_at_all() {
        let kept = parse(
            "timer active\nservice dead\nnext 1795392000\ngood 1795305600 lab-20261122-000000.backup.age 1234 567\n\
             failure 1795309200 12 KiB are free, and a backup needs 99\n\
             archive 1795305600.1234567890 4096 lab-20261122-000000.backup.age\n\
             archive 1795219200.0 2048 lab-20261121-000000.backup.age\n",
        )
        .unwrap();
        assert!(kept.timer && !kept.busy);
        assert_eq!(kept.next, Some(1_795_392_000));
        assert_eq!(kept.good.unwrap().revision, 1234);
        assert_eq!(kept.failure.unwrap().why, "12 KiB are free, and a backup needs 99");
        assert_eq!(kept.archives.iter().map(|archive| archive.bytes).collect::<Vec<_>>(), [2048, 4096]);
        let none = parse("timer inactive\nservice start\n").unwrap();
        assert_eq!(none, Kept { busy: true, ..Kept::default() });
        for bad in ["good", "good x y 1 2", "archive 1 2", "failure x", "what"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_that_failed_is_no_answer() {
        let mut seen = Seen::default();
        assert!(of(&seen).is_err());
        seen.commands.insert(ASKED.into(), CommandSeen { code: 1, stdout: Vec::new() });
        assert!(of(&seen).is_err());
        let Read::Command { script, .. } = read("/a", "/a/good", &["/b", "/a/c"], "x.timer", "x.service") else {
            panic!("a command")
        };
        let understood = std::process::Command::new("/bin/sh").args(["-n", "-c", &script]).status();
        assert!(understood.unwrap().success());
    }
}
