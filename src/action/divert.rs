//! Taking an API server out of every node's local proxy before its etcd or itself is restarted, and putting it back.
//!
//! A proxy's own checks see that a server went away within one to two seconds; what was asked of it in between fails. A
//! planned restart need not cost that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::ActionError;
use crate::exec::Link;
use crate::model::name::NodeName;
use crate::render::endpoint::{ADMIN_SOCKET, BACKEND};
use crate::shell::wrap;
use crate::transport::{Limits, Script};

/// A node that hears nothing more uses every server again after this long.
const RETURN: &str = "20min";
/// The unit that sees to that.
const UNIT: &str = "kube-endpoint-return";
/// Nodes that are told at once.
const AT_ONCE: usize = 32;

/// The nodes of a run and how they are reached.
pub type Fleet = BTreeMap<NodeName, Arc<Link>>;

/// Tells every node's proxy to leave `server` alone, or (`None`) to use every one again.
///
/// A worker that cannot be told is named and left: its own checks must see to it.
pub(super) async fn divert(
    fleet: &Fleet,
    server: Option<&NodeName>,
    nodes: &[NodeName],
) -> Result<Vec<String>, ActionError> {
    let script = Script::new(wrap(&script(server)));
    let mut failed = Vec::new();
    for some in nodes.chunks(AT_ONCE) {
        let told = join_all(some.iter().map(|node| tell(fleet, node, &script))).await;
        let errors = some.iter().zip(told).filter_map(|(node, told)| Some((node, told.err()?)));
        failed.extend(errors.map(|(node, why)| format!("{node}'s proxy was not told: {why}")));
    }
    match server {
        Some(server) if !failed.is_empty() && failed.len() == nodes.len() => Err(ActionError::new(
            format!("take the API server of {server} out of the proxies"),
            "no node could be told",
        )
        .details(failed)),
        _ => Ok(failed),
    }
}

async fn tell(fleet: &Fleet, node: &NodeName, script: &Script) -> Result<(), String> {
    let link = fleet.get(node).ok_or("it is not in the inventory")?;
    let connection = link.get().await.map_err(|error| error.to_string())?;
    let limits = Limits::within(Duration::from_secs(20));
    let output = connection.run(script, limits).await.map_err(|error| error.to_string())?;
    if output.exit.is_success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// Every server is used again before one is left alone: two that are left alone would be one too many.
fn script(server: Option<&NodeName>) -> String {
    let mut text = format!(
        r#"set -eu
[ -S {ADMIN_SOCKET} ] || exit 0
kb_say() {{ printf '%s\n' "$1" | socat -t 5 - UNIX-CONNECT:{ADMIN_SOCKET}; }}
kb_return() {{
  kb_say 'show servers state {BACKEND}' | awk '$1 ~ /^[0-9]+$/ && NF > 5 {{ print $4 }}' |
    while read -r kb_server; do kb_say "set server {BACKEND}/$kb_server state ready" > /dev/null; done
}}
systemctl -q stop {UNIT}.timer 2> /dev/null || :
kb_return
"#
    );
    if let Some(server) = server {
        // Without the timer a proxy would be left so should this program die.
        text.push_str(&format!(
            r#"systemd-run --quiet --collect --unit={UNIT} --on-active={RETURN} --description='kbootstrap: use every API server again' \
  /bin/sh -c 'for s in $(echo "show servers state {BACKEND}" | socat -t 5 - UNIX-CONNECT:{ADMIN_SOCKET} | awk "\$1 ~ /^[0-9]+\$/ && NF > 5 {{ print \$4 }}"); do echo "set server {BACKEND}/$s state ready" | socat -t 5 - UNIX-CONNECT:{ADMIN_SOCKET}; done'
kb_said=$(kb_say 'set server {BACKEND}/{server} state drain')
[ -z "$kb_said" ] || {{ printf '%s\n' "$kb_said" >&2; exit 1; }}
kb_say 'shutdown sessions server {BACKEND}/{server}' > /dev/null
"#
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_shell() {
        let cp1 = NodeName::new("cp1").unwrap();
        for script in [script(None), script(Some(&cp1))] {
            let checked = std::process::Command::new("/bin/sh").args(["-n", "-c", &wrap(&script)]).status();
            assert!(checked.unwrap().success(), "{script}");
        }
    }
}
