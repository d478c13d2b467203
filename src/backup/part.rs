//! The file of an archive that is not whole yet: beside where the archive shall lie, and without its name.

use std::{fs, fs::File, path::Path};

use tempfile::{Builder, NamedTempFile};

use super::BackupError;

const PREFIX: &str = ".kbootstrap-backup-";

/// Begins one, for its owner only (0600). What runs that were killed have left there is removed: whoever is at work holds a lock
/// on its file.
///
/// # Errors
/// The folder cannot be written to.
pub fn begin(folder: &Path) -> Result<NamedTempFile, BackupError> {
    let failed = || format!("write into {}", folder.display());
    remove_left(folder);
    loop {
        let file = Builder::new().prefix(PREFIX).tempfile_in(folder).map_err(BackupError::of(&failed()))?;
        file.as_file().lock().map_err(BackupError::of(&failed()))?;
        // Another run may have taken it for one that was left, before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// It is whole: it gets its name, on the disk for good.
///
/// # Errors
/// It cannot be written, or there is something of that name.
pub fn end(file: NamedTempFile, path: &Path) -> Result<(), BackupError> {
    let failed = format!("write {}", path.display());
    file.as_file().sync_all().map_err(BackupError::of(&failed))?;
    file.persist_noclobber(path).map_err(|error| BackupError(format!("{failed}: {}", error.error)))?;
    Ok(())
}

/// A folder that cannot be read is told of by whoever writes into it.
fn remove_left(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_goes_and_what_is_at_work_stays() {
        let folder = tempfile::tempdir().unwrap();
        let names = || -> Vec<String> {
            let all = fs::read_dir(folder.path()).unwrap();
            let mut all: Vec<String> = all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            all.sort();
            all
        };
        fs::write(folder.path().join(format!("{PREFIX}left")), "half").unwrap();
        fs::write(folder.path().join(".other"), "").unwrap();
        let first = begin(folder.path()).unwrap();
        let second = begin(folder.path()).unwrap();
        assert_eq!(names().len(), 3, "{:?}", names());
        end(first, &folder.path().join("whole")).unwrap();
        assert!(end(second, &folder.path().join("whole")).is_err(), "nothing is written over");
        assert_eq!(names(), [".other", "whole"]);
    }
}
