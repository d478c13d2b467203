//! Differences as a person reads them.

use similar::{ChangeTag, TextDiff};

/// Lines of a difference that are shown at most; a plan is read, not archived.
const MOST: usize = 200;

/// Lines that go (`- …`) and come (`+ …`), without those that stay.
pub fn lines(old: &str, new: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(old, new);
    let mut lines: Vec<String> = diff
        .iter_all_changes()
        .filter_map(|change| {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => return None,
            };
            Some(format!("{sign} {}", change.value().trim_end_matches('\n')))
        })
        .collect();
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(format!("… and {more} more lines"));
    }
    // Only the last newline, or bytes that no line shows.
    if lines.is_empty() && old != new {
        lines.push("~ white space at the end of lines".to_owned());
    }
    lines
}

/// One value that becomes another.
pub fn value(name: &str, was: &str, shall: &str) -> String {
    format!("~ {name}: {was} -> {shall}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_goes_and_what_comes() {
        assert_eq!(lines("a\nb\nc\n", "a\nB\nc\nd\n"), ["- b", "+ B", "+ d"]);
        assert_eq!(lines("a\n", "a\n"), Vec::<String>::new());
        assert_eq!(lines("a", "a\n"), ["- a", "+ a"]);
        assert_eq!(lines("", &"x\n".repeat(500)).len(), MOST + 1);
    }
}
