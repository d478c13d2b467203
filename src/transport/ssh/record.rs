//! Recording a newly accepted host key.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::known_hosts::{Record, Verdict};

/// Records the key of a host that the file does not know. What the file says is judged again under its lock: a run beside
/// this one may have recorded the host in the meantime, and then that entry counts.
///
/// # Errors
/// The file can't be made, locked, read or written.
pub(super) fn add(path: &Path, host: &str, algorithm: &str, blob: &[u8]) -> io::Result<Verdict> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = open_locked(path)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let mut record = Record::default();
    record.read(host, path, &text);
    match record.judge(blob) {
        Verdict::Unknown => {
            let newline = if matches!(text.last(), None | Some(b'\n')) { "" } else { "\n" };
            // One write to a file opened for appending: whole, or not there.
            file.write_all(format!("{newline}{host} {algorithm} {}\n", STANDARD.encode(blob)).as_bytes())?;
            file.sync_data()?;
            Ok(Verdict::Known)
        }
        verdict => Ok(verdict),
    }
}

/// Opens the file that stands at the path once it is locked: `ssh-keygen -R` puts another in its place.
fn open_locked(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        file.lock()?;
        match fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (file.metadata()?.dev(), file.metadata()?.ino()) => {
                return Ok(file);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const KEY: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x01a";
    const OTHER: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x01b";

    #[test]
    fn records_once_in_a_private_file_and_never_over_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/known_hosts");
        assert_eq!(add(&path, "cp1", "ssh-ed25519", KEY).unwrap(), Verdict::Known);
        assert_eq!(add(&path, "cp1", "ssh-ed25519", KEY).unwrap(), Verdict::Known);
        assert!(matches!(add(&path, "cp1", "ssh-ed25519", OTHER).unwrap(), Verdict::Changed(_)));
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("cp1 ssh-ed25519 {}\n", STANDARD.encode(KEY)));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn begins_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        fs::write(&path, "# no newline").unwrap();
        add(&path, "cp1", "ssh-ed25519", KEY).unwrap();
        assert!(fs::read_to_string(&path).unwrap().starts_with("# no newline\ncp1 ssh-ed25519 "));
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::thread::scope(|scope| {
            for n in 0..32 {
                let path = &path;
                scope.spawn(move || add(path, &format!("node{}", n / 2), "ssh-ed25519", KEY).unwrap());
            }
        });
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 16);
    }
}
