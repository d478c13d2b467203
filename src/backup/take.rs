//! Taking a backup: a control plane puts everything together, and it is fetched bit by bit.

use std::{path::Path, time::Duration};

use serde::Deserialize;

use super::{BackupError, archive::Writer};
use crate::{
    model::{
        backup::{AgeRecipient, Machine, Manifest, Part, SCHEMA, Snapshot},
        etcd::EtcdLayout,
        name::NodeName,
    },
    render::snapshot,
    shell::wrap,
    transport::{Effect, Limits, Script},
};

/// Where a control plane keeps what is being fetched, root's alone.
const DRAFTS: &str = "/var/lib/kbootstrap/backup/drafts";
/// Bytes of one fetch.
const CHUNK: u64 = 8 << 20;
/// A snapshot of many GiB on a slow disk.
const PREPARE: Duration = Duration::from_secs(900);

/// Of which cluster, and to whom.
pub struct Taken<'a> {
    pub cluster: &'a str,
    pub id: &'a str,
    pub kubernetes: &'a str,
    pub node: &'a NodeName,
    pub etcd: EtcdLayout,
    /// RFC 3339.
    pub at: String,
    /// Unique among backups.
    pub name: String,
    pub recipients: &'a [AgeRecipient],
    pub control_planes: Vec<Machine>,
    /// Names of the keys that Secrets may be encrypted with.
    pub keys: Vec<String>,
}

#[derive(Deserialize)]
struct Prepared {
    snapshot: Snapshot,
    parts: Vec<Part>,
}

/// Takes a backup of the cluster through this control plane into `path`, which must not exist. On the node nothing of it is
/// left, whatever the end; what an earlier one left there goes, too. `told` hears how many bytes of how many are here.
///
/// # Errors
/// With what the node said, or why the archive could not be written.
pub async fn take(
    connection: &dyn Effect,
    taken: &Taken<'_>,
    path: &Path,
    mut told: impl FnMut(u64, u64),
) -> Result<Manifest, BackupError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let result = async {
        let said = run(connection, &prepare(taken), PREPARE).await?;
        let prepared: Prepared = serde_json::from_slice(&said)
            .map_err(|why| BackupError(format!("{} answered what makes no sense: {why}", taken.node)))?;
        let manifest = Manifest {
            schema: SCHEMA.to_owned(),
            cluster: taken.cluster.to_owned(),
            id: taken.id.to_owned(),
            kubernetes: taken.kubernetes.to_owned(),
            node: taken.node.to_string(),
            taken: taken.at.clone(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            control_planes: taken.control_planes.clone(),
            keys: taken.keys.clone(),
            etcd: prepared.snapshot,
            parts: prepared.parts,
        };
        let all: u64 = manifest.parts.iter().map(|part| part.bytes).sum();
        let mut here = 0;
        let mut writer = Writer::begin(folder, taken.recipients, &manifest)?;
        while let Some(part) = writer.next()? {
            let mut offset = 0;
            while offset < part.bytes {
                let bytes = run(connection, &fetch(taken, &part.name, offset), Duration::from_secs(120)).await?;
                if bytes.is_empty() {
                    return Err(BackupError(format!("{} ended early on {}", part.name, taken.node)));
                }
                writer.more(&bytes)?;
                offset += bytes.len() as u64;
                here += bytes.len() as u64;
                told(here, all);
            }
        }
        writer.finish(path)?;
        Ok(manifest)
    }
    .await;
    let _ = run(connection, &format!("rm -rf {DRAFTS}"), Duration::from_secs(60)).await;
    result
}

pub(super) async fn run(connection: &dyn Effect, body: &str, within: Duration) -> Result<Vec<u8>, BackupError> {
    let output = connection.run(&Script::new(wrap(body)), Limits::within(within)).await;
    let output = output.map_err(|error| BackupError(error.to_string()))?;
    if output.exit.is_success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(BackupError(format!("{}: {}", output.exit, words.trim())))
}

/// POSIX text that puts the parts together and tells of them as JSON.
fn prepare(taken: &Taken<'_>) -> String {
    format!(
        r#"set -eu
umask 077
kb_new={DRAFTS}/{name}
rm -rf {DRAFTS}
mkdir -p "$kb_new"
chmod 700 /var/lib/kbootstrap/backup
{parts}
printf '{{"snapshot":%s,"parts":%s}}' "$(cat "$kb_new/etcd.json")" "$(cat "$kb_new/parts.json")""#,
        name = taken.name,
        parts = snapshot::parts(taken.etcd),
    )
}

fn fetch(taken: &Taken<'_>, part: &str, offset: u64) -> String {
    format!("tail -c +{} {DRAFTS}/{}/{part} | head -c {CHUNK}", offset + 1, taken.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_shell() {
        let node: NodeName = "cp1".parse().unwrap();
        let taken = Taken {
            cluster: "lab",
            id: "1",
            kubernetes: "1.30.14",
            node: &node,
            etcd: EtcdLayout::Stacked,
            at: String::new(),
            name: "20261121-190000-abcd".into(),
            recipients: &[],
            control_planes: Vec::new(),
            keys: Vec::new(),
        };
        for script in [prepare(&taken), fetch(&taken, "etcd.db", 8 << 20)] {
            let checked = std::process::Command::new("/bin/sh").args(["-n", "-c", &wrap(&script)]).status();
            assert!(checked.unwrap().success(), "{script}");
        }
    }
}
