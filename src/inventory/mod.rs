//! The inventory: one TOML file, read with every mistake found at once, into a [`ClusterSpec`].
//!
//! Three steps: `read` turns text into typed values with their places, `check` compares them with each other, `build`
//! fills in defaults. Whatever is refused on the way is a problem with its place and a way out, and the next one is
//! looked for.

mod build;
mod check;
pub mod credentials;
mod draft;
mod edit;
mod file;
pub mod keys;
mod owned;
mod raw;
mod read;
mod version;

use std::path::{Path, PathBuf};

pub use draft::Draft;
pub use edit::NewNode;
pub use version::set_version;

use crate::diag::Problems;
use crate::diag::toml::Document;
use crate::error::Error;
use crate::model::cluster::ClusterSpec;

/// Why there is no cluster.
#[derive(Debug)]
pub enum Refusal {
    /// The file can't be read at all.
    Unreadable(Error),
    /// The file is read, and these things in it are wrong.
    Invalid(Box<Problems>),
}

/// What paths in an inventory are relative to.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The inventory's own folder: what relative paths begin from.
    pub folder: PathBuf,
    /// The operator's home folder: what `~` is. Absent where there is none.
    pub home: Option<PathBuf>,
}

/// Which numbers of control planes an inventory may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Odd: what a cluster shall have in the end.
    Odd,
    /// Any but none: what a cluster that lives may have on the way, as after the removal of a control plane. Whether
    /// more of them may join is then for the plan to say, which knows what lives.
    Any,
}

/// Reads an inventory from a file.
///
/// # Errors
/// Where the file can't be read, or anything in it is wrong.
pub fn load(path: &Path, home: Option<&Path>, count: Count) -> Result<ClusterSpec, Refusal> {
    let name = path.display().to_string();
    let text = file::read(path)?;
    let places =
        Places { folder: path.parent().map(Path::to_path_buf).unwrap_or_default(), home: home.map(Path::to_path_buf) };
    parse_counting(&name, &text, &places, count).map_err(|problems| Refusal::Invalid(Box::new(problems)))
}

/// Reads an inventory from a text; `name` is what problems call the file.
///
/// # Errors
/// Where anything is wrong, with everything that is.
pub fn parse(name: &str, text: &str, places: &Places) -> Result<ClusterSpec, Problems> {
    parse_counting(name, text, places, Count::Odd)
}

fn parse_counting(name: &str, text: &str, places: &Places, count: Count) -> Result<ClusterSpec, Problems> {
    let document = Document::parse(text).describing(keys::describe);
    let raw = read::inventory(&document, places);
    check::all(&document, &raw, count);
    let spec = if document.has_problems() { None } else { build::cluster(raw) };
    match (spec, document.into_problems(name)) {
        (_, Some(problems)) => Err(problems),
        (Some(spec), None) => Ok(spec),
        (None, None) => unreachable!("whatever is missing was told as a problem"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that is read and not listed would have no class: a change of it would be silently without effect.
    #[test]
    fn every_key_that_is_read_is_listed() {
        let tables = "[cluster.endpoint]\nkind = \"external\"\n[ssh]\n[repository]\n[runtime]\n[network]\n[time]\n[etcd]\n[backup.s3]\nregion = \"x\"\n[encryption]\n[override]\n[[node]]\nssh = {}\n";
        let document = Document::parse(tables);
        read::inventory(&document, &Places::default());
        let asked = document.asked();
        for path in &asked {
            let is_table = keys::KEYS.iter().any(|key| key.path.starts_with(&format!("{path}.")));
            assert!(is_table || keys::find(path).is_some(), "{path} is not listed");
        }
        for key in keys::KEYS {
            assert!(asked.contains(key.path), "{} is not read", key.path);
        }
    }
}
