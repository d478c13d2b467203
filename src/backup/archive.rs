//! The archive: written as a stream, read as a stream, never whole in memory.

use std::{
    fs::File,
    io::{BufReader, Read, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use age::{Decryptor, Encryptor, IdentityFile, stream::StreamWriter, x25519};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{BackupError, part};
use crate::model::backup::{AgeRecipient, Manifest, Part, SCHEMA};

/// An archive that is being written; nothing of that name is there before it is whole.
pub struct Writer {
    /// Of the part that is being written: how much must come yet.
    left: u64,
    digest: Sha256,
    parts: std::vec::IntoIter<Part>,
    part: Option<Part>,
    inner: StreamWriter<NamedTempFile>,
}

impl Writer {
    /// Begins an archive beside where it shall lie.
    pub fn begin(folder: &Path, recipients: &[AgeRecipient], manifest: &Manifest) -> Result<Self, BackupError> {
        let recipients: Vec<x25519::Recipient> = recipients
            .iter()
            .map(|recipient| {
                x25519::Recipient::from_str(recipient.as_str())
                    .map_err(|why| BackupError(format!("{recipient} is no recipient of age: {why}")))
            })
            .collect::<Result<_, _>>()?;
        let encryptor = Encryptor::with_recipients(recipients.iter().map(|one| one as &dyn age::Recipient))
            .map_err(|why| BackupError(why.to_string()))?;
        let inner = encryptor.wrap_output(part::begin(folder)?).map_err(BackupError::of("begin the archive"))?;
        let parts = manifest.parts.clone().into_iter();
        let mut writer = Self { left: 0, digest: Sha256::new(), parts, part: None, inner };
        let text = serde_json::to_vec_pretty(manifest).expect("a manifest is JSON");
        writer.entry("manifest.json", text.len() as u64)?;
        writer.write(&text)?;
        writer.pad(text.len() as u64)?;
        Ok(writer)
    }

    /// The next part begins.
    pub fn next(&mut self) -> Result<Option<Part>, BackupError> {
        self.close()?;
        self.part = self.parts.next();
        let Some(part) = self.part.clone() else { return Ok(None) };
        self.entry(&part.name, part.bytes)?;
        self.left = part.bytes;
        self.digest = Sha256::new();
        Ok(Some(part))
    }

    /// More of the part that was begun.
    pub fn more(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        let rest = self.left.checked_sub(bytes.len() as u64);
        self.left = rest.ok_or_else(|| BackupError("more came than the node had announced".into()))?;
        self.digest.update(bytes);
        self.write(bytes)
    }

    /// The archive is whole: it gets its name, on the disk for good.
    pub fn finish(mut self, path: &Path) -> Result<(), BackupError> {
        self.close()?;
        // A tar ends with two empty blocks.
        self.write(&[0; 1024])?;
        let failed = format!("write {}", path.display());
        part::end(self.inner.finish().map_err(BackupError::of(&failed))?, path)
    }

    fn close(&mut self) -> Result<(), BackupError> {
        let Some(part) = self.part.take() else { return Ok(()) };
        let found = hex(&std::mem::take(&mut self.digest).finalize());
        if self.left > 0 || found != part.sha256 {
            return Err(BackupError(format!("{} did not arrive as it was on the node", part.name)));
        }
        self.pad(part.bytes)
    }

    fn entry(&mut self, name: &str, bytes: u64) -> Result<(), BackupError> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(BackupError::of("begin an entry"))?;
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_cksum();
        self.write(header.as_bytes())
    }

    fn pad(&mut self, bytes: u64) -> Result<(), BackupError> {
        let rest = usize::try_from(bytes % 512).expect("less than 512");
        if rest == 0 { Ok(()) } else { self.write(&vec![0; 512 - rest]) }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.inner.write_all(bytes).map_err(BackupError::of("write the archive"))
    }
}

/// An archive whose every part is as its manifest says.
#[derive(Debug)]
pub struct Verified {
    pub path: PathBuf,
    pub manifest: Manifest,
}

/// Decrypts an archive and compares all of it with its manifest; a snapshot must fit its own digest, too. Nothing is written.
///
/// # Errors
/// The key does not open it, it is cut short or altered, or it is no archive of this program.
pub fn verify(path: &Path, identity: &Path) -> Result<Verified, BackupError> {
    read(path, identity, |_, _| true)
}

/// As [`verify`], and tells every bit of every part on the way, with the part's name, until it is told that nobody listens.
///
/// # Errors
/// As [`verify`].
pub(super) fn read(
    path: &Path,
    identity: &Path,
    mut told: impl FnMut(&str, &[u8]) -> bool,
) -> Result<Verified, BackupError> {
    let named = |what: &str| format!("{what} {}", path.display());
    let file = File::open(path).map_err(BackupError::of(&named("open")))?;
    let keys = IdentityFile::from_file(identity.display().to_string())
        .map_err(BackupError::of(&format!("read {}", identity.display())))?
        .into_identities()
        .map_err(|why| BackupError(format!("read {}: {why}", identity.display())))?;
    let decryptor = Decryptor::new_buffered(BufReader::new(file))
        .map_err(|why| BackupError(format!("{}: {why}", named("open"))))?;
    let plain = decryptor
        .decrypt(keys.iter().map(|key| key.as_ref() as &dyn age::Identity))
        .map_err(|why| BackupError(format!("{}: {why}", named("decrypt"))))?;
    let broken = |why: std::io::Error| BackupError(format!("{} is cut short or was altered: {why}", path.display()));
    let mut archive = tar::Archive::new(plain);
    let mut manifest: Option<Manifest> = None;
    let mut found = Vec::new();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.display().to_string();
        if name == "manifest.json" {
            let mut text = String::new();
            entry.read_to_string(&mut text).map_err(broken)?;
            let read: Manifest = serde_json::from_str(&text)
                .map_err(|why| BackupError(format!("{} has no manifest of ours: {why}", path.display())))?;
            if read.schema != SCHEMA {
                return Err(BackupError(format!(
                    "{} is of schema {}, and this program knows {SCHEMA}",
                    path.display(),
                    read.schema
                )));
            }
            manifest = Some(read);
        } else {
            found.push(part(name, &mut entry, &mut told).map_err(broken)?);
        }
    }
    let manifest =
        manifest.ok_or_else(|| BackupError(format!("{} is no backup of kbootstrap: no manifest", path.display())))?;
    let parts: Vec<&Part> = found.iter().map(|(part, _)| part).collect();
    if parts != manifest.parts.iter().collect::<Vec<_>>() {
        return Err(BackupError(format!(
            "{} is not what its manifest says: it was cut short or altered",
            path.display()
        )));
    }
    if !found.iter().any(|(part, sealed)| part.name == "etcd.db" && *sealed) {
        return Err(BackupError(format!("the snapshot in {} does not fit its own digest", path.display())));
    }
    Ok(Verified { path: path.to_owned(), manifest })
}

/// Reads one entry to its end; also tells whether its last 32 bytes are the SHA-256 of what is before them.
fn part(
    name: String,
    entry: &mut impl Read,
    told: &mut impl FnMut(&str, &[u8]) -> bool,
) -> std::io::Result<(Part, bool)> {
    let (mut all, mut inner) = (Sha256::new(), Sha256::new());
    let (mut bytes, mut tail) = (0_u64, Vec::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = entry.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        bytes += count as u64;
        if !told(&name, &buffer[..count]) {
            return Err(std::io::Error::other("nobody takes it any more"));
        }
        all.update(&buffer[..count]);
        tail.extend_from_slice(&buffer[..count]);
        let sure = tail.len().saturating_sub(32);
        inner.update(&tail[..sure]);
        tail.drain(..sure);
    }
    let sealed = inner.finalize().as_slice() == tail.as_slice();
    Ok((Part { name, bytes, sha256: hex(&all.finalize()) }, sealed))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret;

    use super::*;
    use crate::model::backup::Snapshot;

    fn sealed(size: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        bytes.extend(Sha256::digest(&bytes));
        bytes
    }

    fn key(folder: &Path, name: &str) -> (AgeRecipient, PathBuf) {
        let key = x25519::Identity::generate();
        let path = folder.join(name);
        std::fs::write(&path, key.to_string().expose_secret()).unwrap();
        (AgeRecipient::new(key.to_public().to_string()).unwrap(), path)
    }

    fn written(folder: &Path, to: &[AgeRecipient]) -> PathBuf {
        let contents = [("etcd.db", sealed(200_000)), ("files.tar", b"files".to_vec())];
        let parts = contents.iter().map(|(name, bytes)| Part {
            name: (*name).to_owned(),
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
        });
        let manifest = Manifest {
            schema: SCHEMA.into(),
            cluster: "lab".into(),
            id: "1".into(),
            kubernetes: "1.30.14".into(),
            node: "cp1".into(),
            taken: "2026-11-21T19:00:00Z".into(),
            program: "0".into(),
            control_planes: Vec::new(),
            keys: Vec::new(),
            etcd: Snapshot::default(),
            parts: parts.collect(),
        };
        let path = folder.join("lab.backup.age");
        let mut writer = Writer::begin(folder, to, &manifest).unwrap();
        for (name, bytes) in &contents {
            assert_eq!(writer.next().unwrap().unwrap().name, *name);
            bytes.chunks(70_000).for_each(|chunk| writer.more(chunk).unwrap());
        }
        assert!(writer.next().unwrap().is_none());
        writer.finish(&path).unwrap();
        path
    }

    #[test]
    fn what_was_written_is_verified_with_the_right_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (recipient, identity) = key(folder.path(), "key");
        let (_, other) = key(folder.path(), "other");
        let path = written(folder.path(), &[recipient]);
        assert_eq!(verify(&path, &identity).unwrap().manifest.parts.len(), 2);
        assert!(verify(&path, &other).unwrap_err().to_string().contains("decrypt"));
        let whole = std::fs::read(&path).unwrap();
        assert!(!whole.windows(5).any(|some| some == b"files"), "nothing is in clear");
        for cut in [whole.len() - 1, whole.len() / 2, 100, 0] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(verify(&path, &identity).is_err(), "cut at {cut}");
        }
        let mut altered = whole;
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        std::fs::write(&path, altered).unwrap();
        assert!(verify(&path, &identity).is_err());
    }

    #[test]
    fn what_arrives_otherwise_is_no_archive() {
        let folder = tempfile::tempdir().unwrap();
        let (recipient, _) = key(folder.path(), "key");
        let part = Part { name: "etcd.db".into(), bytes: 4, sha256: hex(&Sha256::digest(b"data")) };
        let manifest = Manifest {
            schema: SCHEMA.into(),
            cluster: String::new(),
            id: String::new(),
            kubernetes: String::new(),
            node: String::new(),
            taken: String::new(),
            program: String::new(),
            control_planes: Vec::new(),
            keys: Vec::new(),
            etcd: Snapshot::default(),
            parts: vec![part],
        };
        for (bytes, well) in [(&b"data"[..], true), (b"dat", false), (b"dota", false), (b"data!", false)] {
            let mut writer = Writer::begin(folder.path(), std::slice::from_ref(&recipient), &manifest).unwrap();
            writer.next().unwrap();
            let path = folder.path().join(format!("{}.backup.age", bytes.len()));
            let ended = writer.more(bytes).and_then(|()| writer.finish(&path));
            assert_eq!((ended.is_ok(), path.exists()), (well, well), "{bytes:?}");
            let _ = std::fs::remove_file(path);
        }
    }
}
