//! systemd units: one `systemctl show` for all of them, time daemons and our own batches included.

use std::collections::BTreeMap;

use super::{clock, error::FactError, runs::BATCH_PREFIX, section::Section};
use crate::model::observe::UnitSeen;
use crate::shell;

/// The section's name.
pub const NAME: &str = "units";

/// Asks for the wanted units and for those that the facts need, which are found by their files: a time daemon that is not
/// installed, or a batch that is not there, costs systemd no search.
///
/// Writes no section where PID 1 is not systemd, or nothing is asked.
pub fn command<'a>(wanted: impl IntoIterator<Item = &'a str>) -> String {
    let wanted = shell::words(unique(wanted));
    let daemons = shell::words(clock::DAEMONS);
    format!(
        r#"if [ -d /run/systemd/system ]; then
set -- {wanted}
for _f in {daemons}; do
if [ -e "/usr/lib/systemd/system/$_f" ] || [ -e "/lib/systemd/system/$_f" ] || [ -e "/etc/systemd/system/$_f" ]; then set -- "$@" "$_f"; fi
done
for _f in /run/systemd/transient/{BATCH_PREFIX}*.service; do
[ ! -e "$_f" ] || set -- "$@" "${{_f##*/}}"
done
[ $# = 0 ] || _r {NAME} systemctl show --no-pager -p Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload -- "$@"
fi"#
    )
}

/// The wanted names in the order in which systemctl answers for them, before all others.
fn unique<'a>(wanted: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in wanted {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// An answer for every wanted unit under the name that was asked, be it an alias; and for time daemons and batches that
/// are there.
///
/// # Errors
/// systemd did not answer for every unit.
pub fn parse<'a>(
    section: Option<&Section<'_>>,
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, UnitSeen>, FactError> {
    let names = unique(wanted);
    let Some(section) = section else {
        let none =
            UnitSeen { load: "not-found".into(), active: "inactive".into(), sub: "dead".into(), ..UnitSeen::default() };
        return Ok(names.into_iter().map(|name| (name.to_owned(), none.clone())).collect());
    };
    let text = section.text("units")?;
    let blocks: Vec<(&str, UnitSeen)> = text.trim_end().split("\n\n").map(unit).collect();
    if blocks.len() < names.len() || blocks.iter().any(|(id, seen)| id.is_empty() || seen.load.is_empty()) {
        return Err(FactError::new("units", "systemd did not answer for every unit"));
    }
    // Answers come in the order of the question; the unit's own name differs from the one asked where that is an alias.
    let mut seen = BTreeMap::new();
    let mut names = names.into_iter();
    for (id, unit) in blocks {
        seen.entry(names.next().unwrap_or(id).to_owned()).or_insert(unit);
    }
    Ok(seen)
}

fn unit(block: &str) -> (&str, UnitSeen) {
    let mut id = "";
    let mut seen = UnitSeen::default();
    for (key, value) in block.lines().filter_map(|line| line.split_once('=')) {
        match key {
            "Id" => id = value,
            "LoadState" => seen.load = value.to_owned(),
            "ActiveState" => seen.active = value.to_owned(),
            "SubState" => seen.sub = value.to_owned(),
            "UnitFileState" => seen.enabled = value.to_owned(),
            "NeedDaemonReload" => seen.needs_reload = value == "yes",
            _ => {}
        }
    }
    (id, seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(id: &str, load: &str, active: &str, sub: &str, file: &str, reload: &str) -> String {
        // The order is systemd's own (252, captured), not that of the question.
        format!(
            "Id={id}\nLoadState={load}\nActiveState={active}\nSubState={sub}\nUnitFileState={file}\nNeedDaemonReload={reload}\n"
        )
    }

    fn read(text: &str, wanted: &[&str]) -> Result<BTreeMap<String, UnitSeen>, FactError> {
        parse(Some(&Section { code: 0, out: text.as_bytes(), err: b"" }), wanted.iter().copied())
    }

    #[test]
    fn an_alias_is_told_under_the_name_asked() {
        let text = [
            block("ssh.service", "loaded", "active", "running", "enabled", "no"),
            block("kubelet.service", "loaded", "activating", "auto-restart", "enabled", "yes"),
            block("swap.img.swap", "masked", "inactive", "dead", "masked", "no"),
            block("kbootstrap-batch-1.service", "loaded", "active", "running", "transient", "no"),
            block("chrony.service", "loaded", "active", "running", "enabled", "no"),
        ]
        .join("\n");
        let seen = read(&text, &["sshd.service", "kubelet.service", "swap.img.swap"]).expect("read");
        assert_eq!(
            (seen["sshd.service"].active.as_str(), seen["sshd.service"].enabled.as_str()),
            ("active", "enabled")
        );
        let kubelet = &seen["kubelet.service"];
        assert!(kubelet.needs_reload);
        assert_eq!((kubelet.active.as_str(), kubelet.sub.as_str()), ("activating", "auto-restart"));
        assert_eq!(seen["swap.img.swap"].load, "masked");
        assert_eq!(seen["kbootstrap-batch-1.service"].active, "active");
        assert_eq!(seen["chrony.service"].active, "active");
    }

    #[test]
    fn a_unit_without_answer_makes_all_unknown() {
        assert!(
            read(&block("a.service", "loaded", "active", "running", "", "no"), &["a.service", "b.service"]).is_err()
        );
        assert!(read("", &[]).is_err());
        let failed = Section { code: 1, out: b"", err: b"Failed to connect to bus: No such file or directory" };
        assert!(parse(Some(&failed), []).is_err());
    }

    #[test]
    fn without_systemd_there_are_no_units() {
        let seen = parse(None, ["kubelet.service"]).expect("read");
        assert_eq!(seen["kubelet.service"].load, "not-found");
    }
}
