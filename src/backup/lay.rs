//! Bringing an archive's parts to a control plane, encrypted on the way by ssh alone and never in clear on this machine.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::mpsc;

use super::{BackupError, archive, take::run};
use crate::{
    kind::restore::{INCOMING, room},
    model::backup::Part,
    shell::print_bytes,
    transport::Effect,
};

/// Bytes of one transfer.
const CHUNK: usize = 4 << 20;
const WITHIN: Duration = Duration::from_secs(120);

/// Lays the parts of an archive on a node, in a folder of root alone. `told` hears how many bytes of how many are there.
///
/// # Errors
/// The archive is not whole, the node has too little room, or can't be worked on.
pub async fn lay(
    connection: &dyn Effect,
    path: &Path,
    identity: &Path,
    parts: &[Part],
    mut told: impl FnMut(u64, u64),
) -> Result<(), BackupError> {
    let all: u64 = parts.iter().map(|part| part.bytes).sum();
    run(connection, &begin(room(parts)), WITHIN).await?;
    let (sender, mut pieces) = mpsc::channel::<(String, Vec<u8>)>(2);
    let (path, identity): (PathBuf, PathBuf) = (path.to_owned(), identity.to_owned());
    let reading = tokio::task::spawn_blocking(move || {
        let mut piece: (String, Vec<u8>) = Default::default();
        let read = archive::read(&path, &identity, |name, bytes| {
            if piece.0 != name || piece.1.len() + bytes.len() > CHUNK {
                let full = std::mem::replace(&mut piece, (name.to_owned(), Vec::with_capacity(CHUNK)));
                if !full.1.is_empty() && sender.blocking_send(full).is_err() {
                    return false;
                }
            }
            piece.1.extend_from_slice(bytes);
            true
        });
        if read.is_ok() && !piece.1.is_empty() {
            let _ = sender.blocking_send(piece);
        }
        read
    });
    let (mut here, mut name, mut offset) = (0, String::new(), 0);
    while let Some((part, bytes)) = pieces.recv().await {
        if part != name {
            (name, offset) = (part, 0);
        }
        run(connection, &more(&name, offset, &bytes), WITHIN).await?;
        offset += bytes.len();
        here += bytes.len() as u64;
        told(here, all);
    }
    reading.await.map_err(|why| BackupError(why.to_string()))??;
    Ok(())
}

/// Asked once more: it was planned a while ago.
fn begin(need: u64) -> String {
    format!(
        r#"set -eu
umask 077
rm -rf {INCOMING}
mkdir -p {INCOMING}
kb_free=$(df -Pk {INCOMING} | awk 'NR == 2 {{ print $4 }}')
[ "$kb_free" -gt {need} ] || {{ echo "$kb_free KiB are free under {INCOMING}, and this takes {need}" >&2; exit 1; }}"#,
        need = need / 1024,
    )
}

/// Sent again it ends the same.
fn more(part: &str, offset: usize, bytes: &[u8]) -> String {
    let append = format!(">> {INCOMING}/{part}");
    format!(
        "set -eu\numask 077\ntouch {INCOMING}/{part}\ntruncate -s {offset} {INCOMING}/{part}\n{}",
        print_bytes(bytes, &append)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_shell() {
        for script in [begin(1 << 20), more("etcd.db", 7, b"some bytes")] {
            let checked =
                std::process::Command::new("/bin/sh").args(["-n", "-c", &crate::shell::wrap(&script)]).status();
            assert!(checked.unwrap().success(), "{script}");
        }
    }
}
