//! The timer by which a control plane takes backups: laid where the inventory schedules them, taken off where it does not.
//! Archives are never touched here.

use super::{
    super::{file, op, write},
    Context,
};
use crate::{
    model::{
        backup::Schedule,
        mode::Mode,
        observe::{ContentRead, FileSeen, Read, UnitSeen},
        op::{Late, Op},
        plan::{Change, Verdict},
        step::{Content, File},
    },
    render::{
        s3::KEY_PATH,
        schedule::{self, FOLDER, SCRIPT_PATH, SERVICE, SERVICE_PATH, SUFFIX, TIMER, TIMER_PATH},
    },
    shell::quote,
};

/// Root's alone: it tells nothing that others need.
const SCRIPT_MODE: Mode = Mode::PRIVATE;
/// What counts the archives that stay.
const COUNTED: &str = "backup-schedule.archives";
/// systemd's own limit for stopping is 90 s.
const STOP_S: u32 = 180;

pub fn reads() -> Vec<Read> {
    let file = |path: &str| Read::File { path: path.to_owned(), content: ContentRead::Always };
    let count = format!("ls {FOLDER} | grep -c '{}$'\n:", SUFFIX.replace('.', "\\."));
    vec![
        file(SCRIPT_PATH),
        file(SERVICE_PATH),
        file(TIMER_PATH),
        Read::File { path: KEY_PATH.to_owned(), content: ContentRead::Never },
        Read::Unit(TIMER.to_owned()),
        Read::Command { id: COUNTED.to_owned(), script: count },
    ]
}

pub fn judge(context: &Context<'_>) -> Verdict {
    match &context.spec.backup.schedule {
        Some(schedule) => wanted(schedule, context),
        None => unwanted(context),
    }
}

fn wanted(schedule: &Schedule, context: &Context<'_>) -> Verdict {
    let of = |path: &str, text, mode| File {
        path: path.to_owned(),
        content: Content::Text(text),
        mode,
        owner: write::ROOT.to_owned(),
    };
    let files = [
        of(SCRIPT_PATH, schedule::script(context.spec, context.node, schedule), SCRIPT_MODE),
        of(SERVICE_PATH, schedule::service(), Mode::PUBLIC),
        of(TIMER_PATH, schedule::timer(schedule), Mode::PUBLIC),
    ];
    let mut all = Change::default();
    match key(context) {
        Verdict::Satisfied => {}
        Verdict::Change(change) => all = change,
        other => return other,
    }
    for file in &files {
        match file::judge(file, context) {
            Verdict::Satisfied => {}
            Verdict::Change(mut change) => {
                if let Some(FileSeen::Absent) = context.seen.files.get(&file.path) {
                    // Nobody reads a whole script in a plan; what changes in one is another matter.
                    change.diff.truncate(1);
                }
                all.diff.extend(change.diff);
                all.ops.extend(change.ops);
            }
            other => return other,
        }
    }
    let absent = UnitSeen::default();
    let unit = context.seen.units.get(TIMER).unwrap_or(&absent);
    if unit.enabled != "enabled" || unit.active != "active" || unit.needs_reload {
        all.diff.push(format!("~ {TIMER}: runs, {}", schedule.calendar));
    }
    if all.diff.is_empty() {
        return Verdict::Satisfied;
    }
    if all.ops.iter().any(|op| op.what.ends_with(TIMER_PATH)) {
        all.ops.insert(0, understood(schedule));
    }
    let script = format!("systemctl daemon-reload\nsystemctl -q enable {TIMER}\nsystemctl restart {TIMER}");
    all.ops.push(op::node("backup.schedule", format!("run {TIMER}"), script, op::QUICK_S));
    Verdict::Change(all)
}

/// The key of the S3 account, of which a plan knows the digest alone. Where this machine has not got it, a node that has one
/// keeps it.
fn key(context: &Context<'_>) -> Verdict {
    let there = match context.seen.files.get(KEY_PATH) {
        None => return Verdict::Unknown(format!("{KEY_PATH} was not looked at")),
        Some(FileSeen::Absent) => None,
        Some(FileSeen::File { sha256, mode, owner, .. }) => Some((sha256, *mode, owner.as_str())),
        Some(_) => {
            return op::refused(
                format!("{KEY_PATH} is there, and is not a file"),
                "look at what it is, and move it away",
            );
        }
    };
    let Some(s3) = &context.spec.backup.s3 else {
        let script = format!("rm -f {KEY_PATH}");
        let op = || op::node("backup.key", format!("remove {KEY_PATH}"), script, op::QUICK_S);
        return there.map_or(Verdict::Satisfied, |_| op::change(vec![format!("- {KEY_PATH}")], vec![op()]));
    };
    let diff = match (&s3.digest, there) {
        (None, Some(_)) => return Verdict::Satisfied,
        (None, None) => {
            return op::refused(
                format!("the key of the S3 account can't be read from {}", s3.credentials.display()),
                "`backup.s3.credentials` names a file of AWS' tools: aws_access_key_id = … and aws_secret_access_key = …",
            );
        }
        (Some(wanted), Some((found, 0o600, "root"))) if wanted == found => return Verdict::Satisfied,
        (Some(_), Some(_)) => format!("~ {KEY_PATH}: the key of the S3 account, root's alone"),
        (Some(_), None) => format!("+ {KEY_PATH}: the key of the S3 account, root's alone"),
    };
    let script = write::put(KEY_PATH, write::Source::Input("s3"), Mode::PRIVATE, write::ROOT);
    let op = op::node_with("backup.key", format!("write {KEY_PATH}"), script, op::QUICK_S, vec![Late::S3Key]);
    op::change(vec![diff], vec![op])
}

/// What the node's systemd does not understand is not written.
fn understood(schedule: &Schedule) -> Op {
    let calendar = quote(schedule.calendar.as_str());
    let script = format!("systemd-analyze calendar {calendar} > /dev/null");
    op::node("backup.calendar", format!("ask systemd for its next {}", schedule.calendar), script, op::QUICK_S)
}

fn unwanted(context: &Context<'_>) -> Verdict {
    let there = |path: &&str| !matches!(context.seen.files.get(*path), None | Some(FileSeen::Absent));
    let mut diff: Vec<String> = [SCRIPT_PATH, SERVICE_PATH, TIMER_PATH, KEY_PATH]
        .iter()
        .filter(|path| there(path))
        .map(|path| format!("- {path}"))
        .collect();
    if diff.is_empty() {
        return Verdict::Satisfied;
    }
    if let Some(count) = archives(context).filter(|count| *count > 0) {
        diff.push(format!("  {count} archives stay under {FOLDER}"));
    }
    let script = format!(
        "systemctl -q disable --now {TIMER} 2> /dev/null || :\nsystemctl stop {SERVICE} 2> /dev/null || :\n\
         rm -f {SCRIPT_PATH} {SERVICE_PATH} {TIMER_PATH} {KEY_PATH}\nsystemctl daemon-reload\nsystemctl reset-failed {SERVICE} 2> /dev/null || :"
    );
    op::change(diff, vec![op::node("backup.unschedule", format!("take {TIMER} off"), script, STOP_S)])
}

fn archives(context: &Context<'_>) -> Option<usize> {
    let answer = context.seen.commands.get(COUNTED)?;
    String::from_utf8_lossy(&answer.stdout).trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kind::testing::{World, change, kinds, reason, script},
        model::{observe::CommandSeen, s3::S3Spec},
    };

    fn world(calendar: Option<&str>) -> World {
        let mut world = World::live("cp1");
        let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudmp87qqkcyqv3";
        world.spec.backup.recipients = vec![recipient.parse().unwrap()];
        world.spec.backup.schedule =
            calendar.map(|calendar| Schedule { calendar: calendar.parse().unwrap(), keep: Schedule::KEEP });
        for path in [SCRIPT_PATH, SERVICE_PATH, TIMER_PATH, KEY_PATH] {
            world.seen.files.insert(path.into(), FileSeen::Absent);
        }
        world.seen.commands.insert(COUNTED.into(), CommandSeen { code: 0, stdout: b"3\n".to_vec() });
        world
    }

    fn lay(world: &mut World) {
        let schedule = world.spec.backup.schedule.clone().unwrap();
        let script = schedule::script(&world.spec, &world.spec.nodes[0], &schedule);
        world.file(SERVICE_PATH, &schedule::service());
        world.file(TIMER_PATH, &schedule::timer(&schedule));
        world.file(SCRIPT_PATH, &script);
        if let Some(FileSeen::File { mode, .. }) = world.seen.files.get_mut(SCRIPT_PATH) {
            *mode = 0o600;
        }
        let unit = UnitSeen { active: "active".into(), enabled: "enabled".into(), ..UnitSeen::default() };
        world.seen.units.insert(TIMER.into(), unit);
    }

    fn verdict(world: &World) -> Verdict {
        world.judge("cp1", judge)
    }

    #[test]
    fn what_is_scheduled_is_laid_and_then_left_alone() {
        let mut world = world(Some("daily"));
        let all = change(verdict(&world));
        assert_eq!(kinds(&all), ["backup.calendar", "file.write", "file.write", "file.write", "backup.schedule"]);
        assert_eq!((all.diff.len(), all.disrupts), (4, None));
        lay(&mut world);
        assert!(matches!(verdict(&world), Verdict::Satisfied));
        world.spec.nodes[1].address = "10.9.9.9".parse().unwrap();
        let moved = change(verdict(&world));
        assert_eq!(kinds(&moved), ["file.write", "backup.schedule"], "archives name the control planes");
        assert_eq!(moved.diff.len(), 2);
    }

    #[test]
    fn a_timer_that_was_stopped_runs_again() {
        let mut world = world(Some("daily"));
        lay(&mut world);
        world.seen.units.get_mut(TIMER).unwrap().active = "inactive".into();
        let all = change(verdict(&world));
        assert!(script(&all, 0).contains("systemctl restart kube-backup.timer"));
        assert_eq!((kinds(&all), all.diff), (vec!["backup.schedule"], vec![format!("~ {TIMER}: runs, daily")]));
    }

    #[test]
    fn what_is_not_scheduled_goes_and_its_archives_stay() {
        let mut world = world(Some("daily"));
        lay(&mut world);
        world.spec.backup.schedule = None;
        let all = change(verdict(&world));
        assert_eq!(kinds(&all), ["backup.unschedule"]);
        assert_eq!(all.diff.last().unwrap(), &format!("  3 archives stay under {FOLDER}"));
        assert!(!script(&all, 0).contains(FOLDER), "nothing of it is removed");
        for path in [SCRIPT_PATH, SERVICE_PATH, TIMER_PATH, KEY_PATH] {
            world.seen.files.insert(path.into(), FileSeen::Absent);
        }
        assert!(matches!(verdict(&world), Verdict::Satisfied));
    }

    #[test]
    fn a_key_comes_late_and_goes_with_its_endpoint() {
        let mut world = world(Some("daily"));
        let s3 = |digest: Option<String>| S3Spec {
            endpoint: "https://s3.example.com".parse().unwrap(),
            bucket: "b".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            prefix: Default::default(),
            credentials: "/x".into(),
            digest,
        };
        world.spec.backup.s3 = Some(s3(None));
        assert!(reason(verdict(&world)).contains("can't be read from /x"));
        let digest = crate::kind::file::sha256(b"ID\nSECRET\n");
        world.spec.backup.s3 = Some(s3(Some(digest.clone())));
        lay(&mut world);
        let all = change(verdict(&world));
        assert_eq!((kinds(&all), all.late()), (vec!["backup.key", "backup.schedule"], vec![Late::S3Key]));
        let file = |mode| FileSeen::File {
            mode,
            owner: "root".into(),
            group: "root".into(),
            sha256: digest.clone(),
            content: None,
        };
        world.seen.files.insert(KEY_PATH.into(), file(0o644));
        assert_eq!(kinds(&change(verdict(&world)))[0], "backup.key", "anybody could read it");
        world.seen.files.insert(KEY_PATH.into(), file(0o600));
        assert!(matches!(verdict(&world), Verdict::Satisfied));
        world.spec.backup.s3 = None;
        lay(&mut world);
        assert_eq!(change(verdict(&world)).diff[0], format!("- {KEY_PATH}"));
    }
}
