//! An inventory that a command changes: read, changed in memory, and written back whole, unless somebody else was there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Count, NewNode, Places, Refusal, edit, file, parse_counting};
use crate::error::{Error, ExitStatus};
use crate::model::backup::Schedule;
use crate::model::cluster::ClusterSpec;
use crate::model::name::{Host, NodeName};

/// The text of an inventory, as it was read and as it shall be.
#[derive(Clone, Debug)]
pub struct Draft {
    path: PathBuf,
    /// What relative paths in it begin from.
    folder: PathBuf,
    original: String,
    text: String,
}

impl Draft {
    /// Reads the file.
    ///
    /// # Errors
    /// It can't be read, or it may not be written to.
    pub fn open(path: &Path) -> Result<Self, Refusal> {
        let original = file::read(path)?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        // What a link leads to is what is changed.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if fs::metadata(&path).is_ok_and(|metadata| metadata.permissions().readonly()) {
            let error = failed(&path)
                .cause("the file is read-only")
                .hint("make it writable, or change it by hand and run `kbootstrap up`")
                .exit(ExitStatus::Usage);
            return Err(Refusal::Unreadable(error));
        }
        Ok(Self { path, folder, text: original.clone(), original })
    }

    /// The cluster that the text describes now.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn spec(&self, home: Option<&Path>) -> Result<ClusterSpec, Refusal> {
        let places = Places { folder: self.folder.clone(), home: home.map(Path::to_path_buf) };
        let name = self.path.display().to_string();
        parse_counting(&name, &self.text, &places, Count::Any).map_err(|problems| Refusal::Invalid(Box::new(problems)))
    }

    /// Adds a node.
    ///
    /// # Errors
    /// The text has no list of nodes.
    pub fn add(&mut self, node: &NewNode) -> Result<(), Error> {
        self.change(edit::add(&self.text, node))
    }

    /// Takes a node out, if it is there.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn remove(&mut self, name: &NodeName) -> Result<(), Error> {
        self.change(edit::remove(&self.text, name))
    }

    /// Gives a node another address.
    ///
    /// # Errors
    /// There is no such node.
    pub fn readdress(&mut self, name: &NodeName, address: &Host) -> Result<(), Error> {
        self.change(edit::readdress(&self.text, name, address))
    }

    /// Gives backups another schedule, or none.
    ///
    /// # Errors
    /// The text can't be changed so.
    pub fn schedule(&mut self, schedule: Option<&Schedule>) -> Result<(), Error> {
        self.change(edit::schedule(&self.text, schedule))
    }

    /// Says that etcd is a service.
    ///
    /// # Errors
    /// The text can't be changed so.
    pub fn etcd_service(&mut self) -> Result<(), Error> {
        self.change(edit::etcd_service(&self.text))
    }

    fn change(&mut self, text: Result<String, String>) -> Result<(), Error> {
        self.text = text.map_err(|why| failed(&self.path).cause(why))?;
        Ok(())
    }

    /// Writes what was changed, whole or not at all. What is unchanged is not written.
    ///
    /// # Errors
    /// The file is no longer what was read, or can't be written.
    pub fn save(&mut self) -> Result<(), Error> {
        if self.text == self.original {
            return Ok(());
        }
        let write = |why: std::io::Error| failed(&self.path).cause(why);
        let now = fs::read_to_string(&self.path).map_err(write)?;
        if now != self.original {
            return Err(failed(&self.path)
                .cause("somebody else changed it meanwhile; it is left as they wrote it")
                .hint("run the command again: it goes on from what is there"));
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut draft = tempfile::Builder::new().prefix(".kbootstrap-").tempfile_in(folder).map_err(write)?;
        draft.write_all(self.text.as_bytes()).map_err(write)?;
        let permissions = fs::metadata(&self.path).map_err(write)?.permissions();
        draft.as_file().set_permissions(permissions).map_err(write)?;
        draft.as_file().sync_all().map_err(write)?;
        draft.persist(&self.path).map_err(|error| write(error.error))?;
        // The rename itself; some file systems don't take this on a folder, and lose nothing by it.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        self.original.clone_from(&self.text);
        Ok(())
    }
}

fn failed(path: &Path) -> Error {
    Error::new(format!("change {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[cluster]\nname = \"lab\"\nkubernetes = \"1.30.14\"\n\n[[node]]\nname = \"cp1\"\naddress = \"10.0.0.1\"\nrole = \"control-plane\"\n\n[[node]]\nname = \"w1\"\naddress = \"10.0.0.2\"\nrole = \"worker\"\n";

    fn draft(folder: &tempfile::TempDir) -> Draft {
        let path = folder.path().join("inventory.toml");
        fs::write(&path, TEXT).unwrap();
        Draft::open(&path).unwrap()
    }

    #[test]
    fn what_was_changed_is_written_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut draft = draft(&folder);
        draft.remove(&"w1".parse().unwrap()).unwrap();
        assert_eq!(draft.spec(None).unwrap().nodes.len(), 1);
        draft.save().unwrap();
        assert!(!fs::read_to_string(&draft.path).unwrap().contains("w1"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        draft.save().unwrap();
    }

    #[test]
    fn others_work_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let mut draft = draft(&folder);
        draft.readdress(&"w1".parse().unwrap(), &"10.0.0.3".parse().unwrap()).unwrap();
        let theirs = format!("{TEXT}# theirs\n");
        fs::write(&draft.path, &theirs).unwrap();
        assert!(draft.save().unwrap_err().to_string().contains("somebody else changed it"));
        assert_eq!(fs::read_to_string(&draft.path).unwrap(), theirs);
    }

    #[test]
    fn a_read_only_file_is_refused_before_anything_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = draft(&folder).path;
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        let Err(Refusal::Unreadable(error)) = Draft::open(&path) else { panic!("it was opened") };
        assert_eq!(error.exit_status(), ExitStatus::Usage);
    }
}
