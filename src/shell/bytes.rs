//! Bytes in shell text.

use base64::{Engine, prelude::BASE64_STANDARD};

/// POSIX text that prints bytes into `into` (a redirection with its path quoted): by base64, so that no content is syntax.
pub fn print_bytes(content: &[u8], into: &str) -> String {
    let mut text = format!("base64 -d {into} <<'KB'\n");
    let encoded = BASE64_STANDARD.encode(content);
    for line in encoded.as_bytes().chunks(4096) {
        text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        text.push('\n');
    }
    text.push_str("KB\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let content: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        let text = print_bytes(&content, &format!("> {}", path.display()));
        assert!(std::process::Command::new("sh").args(["-c", &text]).status().unwrap().success());
        assert_eq!(std::fs::read(path).unwrap(), content);
    }
}
