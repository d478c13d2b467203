//! A clock that is kept right: certificates and leases go by it.

use super::{Context, op, write};
use crate::model::{
    mode::Mode,
    observe::{ContentRead, FileSeen, Read},
    op::Op,
    plan::Verdict,
    step::Time,
};

/// Whether this machine may set a clock at all: bit 25 (`CAP_SYS_TIME`) of what PID 1 may ever do.
const OWN_CLOCK: &str = ":own-clock";
const OWN_CLOCK_SCRIPT: &str = r#"while read -r key value; do
  case $key in CapBnd:) echo $(( (0x$value >> 25) & 1 )) ;; esac
done < /proc/1/status"#;

/// Where chrony and systemd-timesyncd read servers of ours.
const CHRONY: &str = "/etc/chrony/sources.d/kbootstrap.sources";
const TIMESYNCD: &str = "/etc/systemd/timesyncd.conf.d/kbootstrap.conf";

/// Its package has enabled and started it as a rule, and to do so again takes a busy machine seconds.
const START_CHRONY: &str =
    "systemctl -q is-enabled chrony.service > /dev/null 2>&1 || systemctl -q enable chrony.service
systemctl -q is-active chrony.service || systemctl start chrony.service";

/// What tells whether anybody keeps the time; the daemon itself is among the facts.
pub fn keeper_reads() -> Vec<Read> {
    vec![Read::Command { id: OWN_CLOCK.into(), script: OWN_CLOCK_SCRIPT.into() }]
}

/// Whether a daemon keeps the time, or the clock is the host's (in a container).
pub fn is_kept(context: &Context<'_>) -> bool {
    let answer = context.seen.commands.get(OWN_CLOCK);
    let not_ours = answer.is_some_and(|answer| answer.code == 0 && answer.stdout.trim_ascii() == b"0");
    not_ours || context.seen.facts.clock.daemon.is_some()
}

pub fn reads(time: &Time) -> Vec<Read> {
    let mut reads = keeper_reads();
    if !time.servers.is_empty() {
        for path in [CHRONY, TIMESYNCD] {
            reads.push(Read::File { path: path.into(), content: ContentRead::Always });
        }
    }
    reads
}

pub fn judge(time: &Time, context: &Context<'_>) -> Verdict {
    let daemon = context.seen.facts.clock.daemon.as_deref();
    let (mut diff, mut ops) = (Vec::new(), Vec::new());
    if !is_kept(context) {
        diff.push("+ chrony.service, enabled and active".to_owned());
        ops.push(op::node("service.run", "start chrony", START_CHRONY, 120));
    }
    // A clock that is not this machine's needs no servers either.
    if daemon.is_some() || !ops.is_empty() {
        match servers(time, daemon.unwrap_or("chrony"), context) {
            Ok(None) => {}
            Ok(Some((line, change))) => {
                diff.push(line);
                ops.push(change);
            }
            Err(refusal) => return refusal,
        }
    }
    if diff.is_empty() { Verdict::Satisfied } else { op::change(diff, ops) }
}

/// The inventory's servers, for the daemon that runs.
fn servers(time: &Time, daemon: &str, context: &Context<'_>) -> Result<Option<(String, Op)>, Verdict> {
    if time.servers.is_empty() {
        return Ok(None);
    }
    let all = time.servers.join(" ");
    let (path, text, tell) = match daemon {
        "chrony" | "chronyd" => {
            let text = time.servers.iter().map(|server| format!("server {server} iburst\n")).collect();
            (CHRONY, text, "chronyc reload sources")
        }
        "systemd-timesyncd" => {
            (TIMESYNCD, format!("[Time]\nNTP={all}\n"), "systemctl restart systemd-timesyncd.service")
        }
        other => {
            return Err(op::refused(
                format!("{other} keeps this machine's time, and its servers are not ours to set"),
                "set them there and leave `time.servers` out, or replace it by chrony or systemd-timesyncd",
            ));
        }
    };
    if let Some(FileSeen::File { content: Some(there), .. }) = context.seen.files.get(path)
        && *there == text.as_bytes()
    {
        return Ok(None);
    }
    let script = format!("{}\n{tell}", write::put(path, write::Source::Text(&text), Mode::PUBLIC, write::ROOT));
    let op = op::node("time.servers", format!("ask {all} for the time"), script, 120);
    Ok(Some((format!("~ {path}: {all}"), op)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kind::testing::{World, change, kinds, reason, sh},
        model::observe::CommandSeen,
    };

    fn verdict(world: &World, servers: &[&str]) -> Verdict {
        let time = Time { servers: servers.iter().map(ToString::to_string).collect() };
        world.judge("w1", |context| judge(&time, context))
    }

    #[test]
    fn somebody_keeps_the_time() {
        let mut world = World::bare();
        assert_eq!(kinds(&change(verdict(&world, &[]))), ["service.run"]);
        world.seen.facts.clock.daemon = Some("chrony".into());
        assert!(matches!(verdict(&world, &[]), Verdict::Satisfied));
        world.seen.facts.clock.daemon = None;
        world.seen.commands.insert(OWN_CLOCK.into(), CommandSeen { code: 0, stdout: b"0\n".to_vec() });
        assert!(matches!(verdict(&world, &["ntp.example"]), Verdict::Satisfied), "the host's clock");
    }

    #[test]
    fn servers_go_to_the_daemon_that_runs() {
        let mut world = World::bare();
        assert_eq!(kinds(&change(verdict(&world, &["ntp.example"]))), ["service.run", "time.servers"]);
        for (daemon, path) in [("chrony", CHRONY), ("systemd-timesyncd", TIMESYNCD)] {
            world.seen.facts.clock.daemon = Some(daemon.into());
            assert_eq!(change(verdict(&world, &["ntp.example"])).diff, [format!("~ {path}: ntp.example")]);
        }
        world.file(TIMESYNCD, "[Time]\nNTP=ntp.example\n");
        assert!(matches!(verdict(&world, &["ntp.example"]), Verdict::Satisfied));
        world.seen.facts.clock.daemon = Some("ntpsec".into());
        assert!(reason(verdict(&world, &["ntp.example"])).starts_with("ntpsec keeps"));
    }

    #[test]
    fn the_question_is_answered_by_a_shell_alone() {
        assert!(matches!(sh(OWN_CLOCK_SCRIPT).unwrap().as_str(), "0\n" | "1\n"));
    }
}
