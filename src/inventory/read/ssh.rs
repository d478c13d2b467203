//! `[ssh]` and a node's `ssh`: the same keys.

use std::path::PathBuf;

use crate::diag::toml::{Table, Value};
use crate::inventory::Places;
use crate::inventory::keys::elsewhere;
use crate::inventory::raw::Ssh;
use crate::model::access::SudoMode;
use crate::model::invalid::Invalid;

/// Reads settings, paths resolved.
pub fn settings(mut table: Table<'_>, places: &Places) -> Ssh {
    let modes = [("none", SudoMode::None), ("passwordless", SudoMode::Passwordless), ("password", SudoMode::Password)];
    let ssh = Ssh {
        user: table.parsed("user"),
        port: table.number("port", 1, 65535),
        keys: table.value("key").map(|value| paths(&value, places)),
        agent: table.boolean("agent"),
        known_hosts: table.value("known-hosts").map(|value| paths(&value, places)),
        sudo: table.choice("sudo", &modes),
        timeout: table.parsed("timeout"),
    };
    table.finish(elsewhere);
    ssh
}

pub(super) fn paths(value: &Value<'_>, places: &Places) -> Vec<PathBuf> {
    let path = |value: &Value<'_>| {
        let text = value.text()?;
        match resolve(text.value, places) {
            Ok(path) => Some(path),
            Err(why) => {
                value.refuse(&why);
                None
            }
        }
    };
    value.one_or_more().iter().filter_map(path).collect()
}

/// A path as the inventory writes it: `~` is home, and a relative one begins in the inventory's folder, so that the
/// folder can be moved as a whole and the working folder plays no part.
fn resolve(text: &str, places: &Places) -> Result<PathBuf, Invalid> {
    if text.is_empty() {
        return Err(Invalid::new("a path can't be empty"));
    }
    if text.contains('\0') {
        return Err(Invalid::new("a path has no zero byte"));
    }
    let Some(rest) = text.strip_prefix('~') else {
        return Ok(places.folder.join(text));
    };
    if !rest.is_empty() && !rest.starts_with('/') {
        let why = Invalid::new(format!("`{}` means another user's home folder", text.escape_debug()));
        return Err(why.hint("only `~/` is understood: write the whole path, or `./~…` for a file of that name"));
    }
    let home = places.home.as_ref().ok_or_else(|| {
        Invalid::new("`~` means nothing: there is no home folder").hint("set HOME, or write the whole path")
    })?;
    Ok(home.join(rest.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_where_the_inventory_lies_or_at_home() {
        let places = Places { folder: "inv".into(), home: Some("/home/me".into()) };
        for (text, path) in [
            ("id", "inv/id"),
            ("../id", "inv/../id"),
            ("/etc/id", "/etc/id"),
            ("~/.ssh/id", "/home/me/.ssh/id"),
            ("~", "/home/me"),
            ("~//etc", "/home/me/etc"),
        ] {
            assert_eq!(resolve(text, &places), Ok(path.into()), "{text}");
        }
        assert!(resolve("~root/id", &places).is_err());
        assert!(resolve("~/id", &Places::default()).is_err());
    }
}
