//! systemd units. A restart is a relation, not an event: a stamp on the node holds the digests of the files that the
//! unit was last restarted with, so a run that died between the writing and the restart loses nothing.

use super::{Context, file::sha256, op, write};
use crate::{
    model::{
        mode::Mode,
        observe::{ContentRead, FileSeen, Read, UnitSeen},
        plan::{Change, Verdict},
        step::{Service, ServiceState, Watch},
    },
    shell::{quote, words},
};

/// Longest time of a restart: systemd's own limit is 90 s for stopping and for starting.
const RESTART_S: u32 = 240;

pub fn reads(service: &Service) -> Vec<Read> {
    let mut reads = vec![Read::Unit(service.unit.clone())];
    if has_stamp(service) {
        reads.push(Read::File { path: stamp_path(service), content: ContentRead::Always });
        reads.extend(
            service.watches.iter().map(|watch| Read::File { path: watch.path.clone(), content: ContentRead::Never }),
        );
    }
    reads
}

pub fn judge(service: &Service, context: &Context<'_>) -> Verdict {
    let absent = UnitSeen::default();
    let unit = context.seen.units.get(&service.unit).unwrap_or(&absent);
    match service.state {
        ServiceState::Masked => masked(service, unit),
        ServiceState::Enabled => enabled(service, unit, context),
        ServiceState::Running => running(service, unit, context),
    }
}

fn masked(service: &Service, unit: &UnitSeen) -> Verdict {
    if !matches!(unit.load.as_str(), "" | "not-found") {
        return Verdict::Satisfied;
    }
    let name = &service.unit;
    // Asked again: a unit that came in between is somebody's own.
    let script = format!(
        "if [ \"$(systemctl show -p LoadState --value -- {unit})\" = not-found ]; then systemctl -q mask -- {unit}; fi",
        unit = quote(name)
    );
    let diff = vec![format!("+ {name} masked, so that its package does not start it")];
    op::change(diff, vec![op::node("service.mask", format!("mask {name}"), script, op::QUICK_S)])
}

/// Whether it runs is somebody else's affair, until that somebody is through: a kubelet that stands still on a node that
/// has joined is nobody's wish. One that restarts all the time is told by the cluster's proof.
fn enabled(service: &Service, unit: &UnitSeen, context: &Context<'_>) -> Verdict {
    let name = &service.unit;
    let stands = context.has_joined() && matches!(unit.active.as_str(), "inactive" | "failed");
    let mut diff = Vec::new();
    if !is_enabled(unit) {
        diff.push(format!("~ {name}: {} -> enabled", word(&unit.enabled)));
    }
    if stands {
        diff.push(format!("~ {name}: {} -> active", word(&unit.active)));
    }
    if diff.is_empty() {
        return Verdict::Satisfied;
    }
    let unit = quote(name);
    let (verb, start) = match stands {
        true => ("start", format!("\nsystemctl reset-failed -- {unit} || :\nsystemctl start -- {unit}")),
        false => ("enable", String::new()),
    };
    let script = format!("systemctl -q enable -- {unit}{start}");
    op::change(diff, vec![op::node("service.enable", format!("{verb} {name}"), script, op::QUICK_S)])
}

fn running(service: &Service, unit: &UnitSeen, context: &Context<'_>) -> Verdict {
    let name = &service.unit;
    let mut diff = Vec::new();
    if !is_enabled(unit) {
        diff.push(format!("~ {name}: {} -> enabled", word(&unit.enabled)));
    }
    let active = unit.active == "active";
    if !active {
        diff.push(format!("~ {name}: {} -> active", word(&unit.active)));
    }
    let mut disrupts = None;
    let due = due(service, context);
    match due {
        Due::No => {}
        _ if !active => diff.push(format!("~ {name}: starts with its new configuration")),
        // A reload keeps what is connected; that is what it is for.
        Due::Reload => diff.push(format!("~ {name}: reloads, because what it read has changed")),
        Due::Restart => {
            diff.push(format!("~ {name}: restarts, because what it read has changed"));
            disrupts = context.has_joined().then(|| format!("{name} restarts on a node that has joined"));
        }
    }
    if unit.needs_reload {
        diff.push(format!("~ {name}: its unit file changed after systemd read it"));
    }
    if diff.is_empty() {
        return Verdict::Satisfied;
    }
    let verb = match (active, due) {
        (false, _) => "start",
        (true, Due::Reload) => "reload",
        (true, Due::Restart) => "restart",
        (true, Due::No) => "enable",
    };
    let ops = vec![op::node("service.run", format!("{verb} {name}"), run_script(service), RESTART_S)];
    Verdict::Change(Change { diff, ops, disrupts })
}

fn is_enabled(unit: &UnitSeen) -> bool {
    matches!(unit.enabled.as_str(), "enabled" | "static" | "alias" | "indirect" | "generated" | "linked")
}

fn word(state: &str) -> &str {
    if state.is_empty() { "absent" } else { state }
}

fn has_stamp(service: &Service) -> bool {
    service.state == ServiceState::Running && !service.watches.is_empty()
}

fn stamp_path(service: &Service) -> String {
    format!("{}/{}", write::STAMPS, service.unit)
}

/// What a unit needs because of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    No,
    Reload,
    Restart,
}

/// Whether the unit was last restarted with other files than those that it will have when its step comes: what earlier
/// steps of the plan will write counts as written.
fn due(service: &Service, context: &Context<'_>) -> Due {
    if !has_stamp(service) {
        return Due::No;
    }
    let stamp = match context.seen.files.get(&stamp_path(service)) {
        Some(FileSeen::File { content: Some(stamp), .. }) => String::from_utf8_lossy(stamp).into_owned(),
        _ => return Due::Restart,
    };
    let was: Vec<&str> = stamp.lines().collect();
    let lines: Vec<Option<String>> = service.watches.iter().map(|watch| line(watch, context)).collect();
    let same = |line: &Option<String>| line.as_deref().is_some_and(|line| was.contains(&line));
    if was.len() == lines.len() && lines.iter().all(same) {
        return Due::No;
    }
    let own = own_file(service);
    let own_changed = service.watches.iter().zip(&lines).any(|(watch, line)| watch.path == own && !same(line));
    // What the unit file says (limits, user) is taken up by a restart only.
    if service.reload && !own_changed { Due::Reload } else { Due::Restart }
}

fn own_file(service: &Service) -> String {
    format!("/etc/systemd/system/{}", service.unit)
}

/// A line of the stamp, as `kb_sums` in the op's text prints it; `None` where a content is known only in the run.
fn line(watch: &Watch, context: &Context<'_>) -> Option<String> {
    let sum = match (&watch.wanted, context.seen.files.get(&watch.path)) {
        (Some(content), _) => sha256(context.text(content)?.as_bytes()),
        (None, Some(FileSeen::File { sha256, .. })) => sha256.clone(),
        (None, _) => "absent".to_owned(),
    };
    Some(format!("{sum}  {}", watch.path))
}

/// Enables, and restarts where a restart is due by what lies on the node now. After a failure the unit's last words
/// are on standard error.
fn run_script(service: &Service) -> String {
    let unit = quote(&service.unit);
    let mut script = format!(
        r#"unit={unit}
if [ "$(systemctl show -p NeedDaemonReload --value -- "$unit")" = yes ]; then systemctl daemon-reload; fi
systemctl -q is-enabled -- "$unit" > /dev/null 2>&1 || systemctl -q enable -- "$unit"
"#
    );
    let said =
        "{ systemctl --no-pager -l status -- \"$unit\" || :; journalctl --no-pager -n 20 -o cat -u \"$unit\"; } >&2";
    if !has_stamp(service) {
        script.push_str(&format!(
            "systemctl -q is-active -- \"$unit\" || systemctl start -- \"$unit\" || {{ {said}; exit 1; }}"
        ));
        return script;
    }
    let check = match &service.check {
        // A configuration that the daemon refuses must not take down the one that runs.
        Some(check) => format!("  (\n{check}\n  )\n"),
        None => String::new(),
    };
    let stamp =
        write::put(&stamp_path(service), write::Source::Output("printf '%s\\n' \"$now\""), Mode::PUBLIC, write::ROOT);
    let act = if service.reload {
        // Only a restart takes up what the unit file says.
        format!(
            "  own={own}\n  if [ \"$(printf '%s\\n' \"$now\" | grep -F \"  $own\")\" = \"$(printf '%s\\n' \"$was\" | grep -F \"  $own\")\" ]; \
             then act=reload-or-restart; else act=restart; fi",
            own = quote(&own_file(service))
        )
    } else {
        "  act=restart".to_owned()
    };
    script.push_str(&format!(
        r#"kb_sums() {{
  for file; do
    if [ -f "$file" ]; then sha256sum -- "$file"; else printf 'absent  %s\n' "$file"; fi
  done
}}
now=$(kb_sums {watches})
was=$(cat {stamp_path} 2> /dev/null) || was=
if [ "$now" != "$was" ] || ! systemctl -q is-active -- "$unit"; then
{check}{act}
  systemctl "$act" -- "$unit" || {{ {said}; exit 1; }}
  systemctl -q is-active -- "$unit" || {{ {said}; exit 1; }}
{stamp}
fi"#,
        watches = words(service.watches.iter().map(|watch| &watch.path)),
        stamp_path = quote(&stamp_path(service)),
    ));
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kind::testing::{World, change, programs, script as text, sh_with},
        model::step::Content,
    };

    fn service(reload: bool) -> Service {
        let watch = |path: &str, text: &str| Watch { path: path.into(), wanted: Some(Content::Text(text.into())) };
        Service {
            unit: "a.service".into(),
            state: ServiceState::Running,
            watches: vec![watch("/etc/a.conf", "conf\n"), watch("/etc/systemd/system/a.service", "unit\n")],
            reload,
            check: None,
        }
    }

    fn unit(active: &str, enabled: &str) -> UnitSeen {
        UnitSeen { load: "loaded".into(), active: active.into(), enabled: enabled.into(), ..UnitSeen::default() }
    }

    fn stamp(conf: &str, unit: &str) -> String {
        let line = |text: &str, path: &str| format!("{}  {path}\n", sha256(text.as_bytes()));
        line(conf, "/etc/a.conf") + &line(unit, "/etc/systemd/system/a.service")
    }

    #[test]
    fn a_restart_is_due_by_what_will_be_there() {
        let mut world = World::live("w1");
        world.seen.units.insert("a.service".into(), unit("active", "enabled"));
        let mut verdict = |stamp: &str, reload| {
            world.file("/var/lib/kbootstrap/stamps/a.service", stamp);
            world.judge("w1", |context| judge(&service(reload), context))
        };
        assert!(matches!(verdict(&stamp("conf\n", "unit\n"), false), Verdict::Satisfied));
        let restart = change(verdict(&stamp("old\n", "unit\n"), false));
        assert_eq!(restart.disrupts.as_deref(), Some("a.service restarts on a node that has joined"));
        let reload = change(verdict(&stamp("old\n", "unit\n"), true));
        assert_eq!((reload.disrupts.as_deref(), reload.ops[0].what.as_str()), (None, "reload a.service"));
        let own = change(verdict(&stamp("conf\n", "old\n"), true));
        assert_eq!(own.ops[0].what, "restart a.service", "a reload does not take up the unit file");
        assert!(matches!(verdict("", false), Verdict::Change(_)));
    }

    #[test]
    fn what_does_not_run_is_started_and_disturbs_nobody() {
        let mut world = World::live("w1");
        world.seen.units.insert("a.service".into(), unit("failed", "disabled"));
        let start = change(world.judge("w1", |context| judge(&service(false), context)));
        assert_eq!((start.disrupts.as_deref(), start.ops[0].what.as_str()), (None, "start a.service"));
        assert_eq!(start.diff[..2], ["~ a.service: disabled -> enabled", "~ a.service: failed -> active"]);
    }

    #[test]
    fn a_unit_is_masked_before_it_comes_and_left_alone_after() {
        let masked = Service { state: ServiceState::Masked, watches: Vec::new(), ..service(false) };
        let mut world = World::bare();
        let verdict = |world: &World| world.judge("w1", |context| judge(&masked, context));
        assert_eq!(change(verdict(&world)).ops[0].kind, "service.mask");
        world.seen.units.insert("a.service".into(), unit("active", "enabled"));
        assert!(matches!(verdict(&world), Verdict::Satisfied), "somebody's own");
    }

    /// The op decides by what lies on the node, and leaves the stamp that the judgement wants.
    #[test]
    fn the_script_restarts_once_and_stamps_what_it_restarted_with() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let path = programs(
            folder.path(),
            &[(
                "systemctl",
                "case $* in *NeedDaemonReload*) echo no;; *restart*) echo \"$1\" >> \"${0%/*}/log\";; esac",
            )],
        );
        std::fs::create_dir_all(folder.path().join("etc/systemd/system")).unwrap();
        std::fs::write(folder.path().join("etc/a.conf"), "conf\n").unwrap();
        std::fs::write(folder.path().join("etc/systemd/system/a.service"), "unit\n").unwrap();
        let script = run_script(&service(true))
            .replace("/etc/", &format!("{root}/etc/"))
            .replace("/var/lib/", &format!("{root}/var/lib/"))
            .replace("chown", ": chown");
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        sh_with(&script, &[("PATH", &path)]).unwrap();
        assert_eq!(log(), "restart\n");
        sh_with(&script, &[("PATH", &path)]).unwrap();
        assert_eq!(log(), "restart\n", "nothing changed");
        std::fs::write(folder.path().join("etc/a.conf"), "new\n").unwrap();
        sh_with(&script, &[("PATH", &path)]).unwrap();
        assert_eq!(log(), "restart\nreload-or-restart\n");
        std::fs::write(folder.path().join("etc/systemd/system/a.service"), "new\n").unwrap();
        sh_with(&script, &[("PATH", &path)]).unwrap();
        assert_eq!(log(), "restart\nreload-or-restart\nrestart\n");
        let stamped = std::fs::read_to_string(folder.path().join("var/lib/kbootstrap/stamps/a.service")).unwrap();
        assert_eq!(stamped.replace(root, ""), stamp("new\n", "new\n"));
    }

    #[test]
    fn a_configuration_that_is_refused_stops_before_the_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path =
            programs(folder.path(), &[("systemctl", "case $* in *restart*) touch \"${0%/*}/restarted\";; esac")]);
        let refused = Service { check: Some("echo 'line 3: no' >&2; false".into()), ..service(true) };
        let world = World::bare();
        let op = change(world.judge("w1", |context| judge(&refused, context)));
        assert_eq!(sh_with(text(&op, 0), &[("PATH", &path)]).unwrap_err(), "line 3: no\n");
        assert!(!folder.path().join("restarted").exists());
    }
}
