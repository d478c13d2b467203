//! Reading playbooks: the compiled-in one, then files of the user's in the order of their names.

use std::path::Path;

use super::{Playbook, builtin::FILES, merge};
use crate::{diag::Problems, error::Error};

/// Files with their names as the user knows them, in the order of reading.
pub type Files = Vec<(String, String)>;

/// Why a playbook can't be used.
#[derive(Debug)]
pub enum LoadError {
    /// The folder or a file in it can't be read.
    Read(Error),
    /// All that is wrong, file by file.
    Problems(Vec<Problems>),
}

/// The playbook that is compiled in.
///
/// # Panics
/// Never: a test reads it.
pub fn builtin() -> Playbook {
    check(&Vec::new()).unwrap_or_else(|problems| {
        let all: Vec<String> = problems.iter().map(|problems| problems.render(false)).collect();
        panic!("the playbook that is compiled in can't be read:\n{}", all.join("\n\n"))
    })
}

/// The compiled-in playbook, changed by every `*.toml` of a folder.
///
/// # Errors
/// Where the folder can't be read or has no such file, or where anything in the files is wrong.
pub fn load(folder: &Path) -> Result<Playbook, LoadError> {
    let files = read(folder).map_err(LoadError::Read)?;
    check(&files).map_err(LoadError::Problems)
}

/// The compiled-in playbook, changed by these files.
///
/// # Errors
/// Where anything in them is wrong: all of it, file by file.
pub fn check(files: &Files) -> Result<Playbook, Vec<Problems>> {
    let own = FILES.iter().map(|(name, text)| (*name, *text));
    merge::merge(own.chain(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))))
}

fn read(folder: &Path) -> Result<Files, Error> {
    let attempt = |path: &Path| Error::new(format!("read playbook {}", path.display()));
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder).map_err(|why| attempt(folder).cause(why))? {
        let path = entry.map_err(|why| attempt(folder).cause(why))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).map_err(|why| attempt(&path).cause(why))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(attempt(folder)
            .cause("there is no file *.toml in it")
            .hint("kbootstrap playbook show --source prints the playbook that is built in")
            .exit(crate::error::ExitStatus::Usage));
    }
    Ok(files)
}
