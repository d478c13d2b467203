//! From a path to text.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Refusal;
use crate::diag::{Problem, Problems};
use crate::error::{Error, ExitStatus};

/// The largest inventory in bytes: room for some 10,000 nodes, and far from what would fill the memory.
const LARGEST: u64 = 4 << 20;

/// Reads a file that should be an inventory.
pub fn read(path: &Path) -> Result<String, Refusal> {
    let name = path.display().to_string();
    let unreadable = |cause| {
        Refusal::Unreadable(
            Error::new(format!("read {name}"))
                .cause(Box::<dyn std::error::Error + Send + Sync>::from(cause))
                .hint("an inventory is one TOML file, such as inventory/small.toml of this project")
                .exit(ExitStatus::Usage),
        )
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    text(&name, bytes).map_err(|problems| Refusal::Invalid(Box::new(problems)))
}

/// The text of these bytes, unless they are too many, none, or not text.
fn text(name: &str, bytes: Vec<u8>) -> Result<String, Problems> {
    if bytes.len() as u64 > LARGEST {
        return Err(refused(name, String::new(), Problem::whole(format!("larger than {} MiB", LARGEST >> 20))));
    }
    let text = String::from_utf8(bytes).map_err(|why| {
        let at = why.utf8_error().valid_up_to();
        // Up to there the text is sound, so the place is the same in the text that is shown.
        let shown = String::from_utf8_lossy(why.as_bytes()).into_owned();
        let problem = Problem::at(at..at + 1, "not UTF-8 text").label("this byte begins no character");
        refused(name, shown, problem.hint("save the file as UTF-8"))
    })?;
    if text.trim().is_empty() {
        let problem = Problem::whole("the inventory is empty");
        return Err(refused(name, text, problem.hint("begin with inventory/small.toml of this project")));
    }
    Ok(text)
}

fn refused(name: &str, source: String, problem: Problem) -> Problems {
    Problems::new(name, source, vec![problem]).expect("one problem is not none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_bytes_are_told_at_their_place() {
        let problems = text("x.toml", b"a = 1\nb = \"\xff\"\n".to_vec()).unwrap_err();
        let place: Vec<_> = problems.located().map(|p| (p.line, p.column)).collect();
        assert_eq!(place, [(Some(2), Some(6))]);
    }

    #[test]
    fn a_file_without_end_is_refused() {
        assert!(text("x", vec![b' '; (LARGEST + 1) as usize]).is_err());
        assert!(text("x", b" \n".to_vec()).is_err());
    }
}
