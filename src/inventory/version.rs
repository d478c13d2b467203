//! Writing the one key that a command changes by itself: `cluster.kubernetes`, once an upgrade to it is done.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::Path;

use toml_edit::{DocumentMut, Value};

use crate::error::Error;
use crate::model::version::KubeVersion;

/// Writes the version into the inventory. All else in it, comments included, stays as it is, and so do the file's mode and
/// owner; a crash leaves the old file or the new one. Gives whether anything was to be written.
///
/// # Errors
/// The file can't be read or written, or is no TOML any more.
pub fn set_version(path: &Path, version: KubeVersion) -> Result<bool, Error> {
    let name = path.display().to_string();
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(format!("write kubernetes = \"{version}\" into {name}"))
            .cause(cause)
            .hint("the cluster is upgraded; write it there by hand, so that the next `kbootstrap up` agrees")
    };
    let text = fs::read_to_string(path).map_err(|why| failed(why.into()))?;
    let new = with_version(&text, version).map_err(failed)?;
    if new == text {
        return Ok(false);
    }
    replace(path, &new).map_err(|why| failed(why.into()))?;
    Ok(true)
}

fn with_version(text: &str, version: KubeVersion) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut document: DocumentMut = text.parse()?;
    let there = document
        .get_mut("cluster")
        .and_then(|cluster| cluster.get_mut("kubernetes"))
        .and_then(|item| item.as_value_mut())
        .ok_or("it has no key cluster.kubernetes any more")?;
    let mut value = Value::from(version.to_string());
    *value.decor_mut() = there.decor().clone();
    *there = value;
    Ok(document.to_string())
}

/// Through a link to the file that is meant; the new one is beside it until it takes its place.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let draft = folder.join(format!(".{name}.kbootstrap"));
    let old = fs::metadata(&path)?;
    match fs::remove_file(&draft) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    // Only root may give a file away; the operator's own file stays the operator's.
    if (old.uid(), old.gid()) != (file.metadata()?.uid(), file.metadata()?.gid()) {
        chown(&draft, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())?;
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TEXT: &str = "# ours\n[cluster]\nname = \"prod\" # the name\nkubernetes = '1.30.14'   # pinned, see #12\n\n\
                        [[node]]\nname = \"cp1\"\n";

    #[test]
    fn one_value_changes_and_nothing_else() {
        let new = with_version(TEXT, KubeVersion::new(31, 13)).unwrap();
        assert_eq!(new, TEXT.replace("'1.30.14'", "\"1.31.13\""));
        assert_eq!(with_version(&new, KubeVersion::new(31, 13)).unwrap(), new);
        let inline = "cluster = { name = \"a\", kubernetes = \"1.30.14\" }\n";
        assert!(with_version(inline, KubeVersion::new(31, 13)).unwrap().contains("kubernetes = \"1.31.13\" }"));
        assert!(with_version("[cluster]\n", KubeVersion::new(31, 13)).is_err());
    }

    #[test]
    fn mode_and_link_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.toml"), folder.path().join("inventory.toml"));
        fs::write(&file, TEXT).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.toml", &link).unwrap();
        assert!(set_version(&link, KubeVersion::new(31, 13)).unwrap());
        assert!(!set_version(&link, KubeVersion::new(31, 13)).unwrap());
        assert!(fs::read_to_string(&file).unwrap().contains("1.31.13"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
    }
}
