//! Who runs what since when, and where that is written down.

use std::path::PathBuf;

use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

use super::Machines;
use crate::exec::Holder;

/// This run as locks and journals name it.
pub fn holder(command: &str, machines: &Machines) -> Holder {
    let now = OffsetDateTime::now_utc();
    let stamp = now
        .format(format_description!("[year][month][day]-[hour][minute][second]"))
        .expect("a moment of today has a date");
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".into());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "unknown".into());
    Holder {
        run: format!("{stamp}-{:04x}", rand::random::<u16>()),
        operator: format!("{user}@{}", host.trim()),
        command: format!("kbootstrap {command} {}", machines.inventory.display()),
        since: now.format(&Rfc3339).expect("a moment of today has a date"),
    }
}

/// Where journals are kept: `$XDG_STATE_HOME/kbootstrap/runs`, by default under `~/.local/state`.
pub fn folder() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    Some(state.join("kbootstrap/runs"))
}
