//! The key of an S3 account, in the file of AWS' own tools: read where it is needed, and kept nowhere.

use std::{fs, path::Path};

use sha2::{Digest, Sha256};

use crate::error::{Error, ExitStatus};
use crate::model::secret::Secret;

/// The key as nodes have it: its id and its secret, a line each.
///
/// # Errors
/// The file can't be read, or holds no key.
pub fn read(path: &Path) -> Result<Secret<String>, Error> {
    let failed = || {
        Error::new(format!("read the key of the S3 account in {}", path.display()))
            .hint("two lines in it, as AWS' own tools write them: aws_access_key_id = … and aws_secret_access_key = …")
            .exit(ExitStatus::Usage)
    };
    let text = Secret::new(fs::read_to_string(path).map_err(|why| failed().cause(why))?);
    key(text.expose()).ok_or_else(|| failed().cause("it holds no key"))
}

/// SHA-256 (hex) of what [`read`] gives; absent where it can't.
pub fn digest(path: &Path) -> Option<String> {
    let key = read(path).ok()?;
    Some(Sha256::digest(key.expose()).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Of several sections the first.
fn key(text: &str) -> Option<Secret<String>> {
    let value = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            let value = value.trim();
            let plain = value.bytes().all(|byte| byte.is_ascii_graphic());
            (name.trim() == wanted && plain && !value.is_empty()).then_some(value)
        })
    };
    Some(Secret::new(format!("{}\n{}\n", value("aws_access_key_id")?, value("aws_secret_access_key")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_two_lines() {
        let text = "[default]\naws_access_key_id = ID\naws_secret_access_key=a/b+c=\n[other]\naws_access_key_id = X\n";
        assert_eq!(key(text).unwrap().expose(), "ID\na/b+c=\n");
        for none in ["", "aws_access_key_id = ID", "aws_access_key_id =\naws_secret_access_key = x"] {
            assert!(key(none).is_none(), "{none}");
        }
    }
}
