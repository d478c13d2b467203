//! Text that came from a node, made safe for a terminal.

use std::fmt::Write as _;

/// Text of a remote machine without anything that a terminal would obey.
///
/// Newlines and tabs stay, a carriage return before a newline goes; every other control character, and the invisible
/// marks that reorder or hide text, is written as an escape such as `\u{1b}`. Invalid UTF-8 becomes `\xff`.
pub fn escape_untrusted(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        let mut chars = chunk.valid().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' | '\t' => out.push(c),
                '\r' if chars.peek() == Some(&'\n') => {}
                c if c.is_control() || is_deceptive(c) => out.extend(c.escape_unicode()),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String can't fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Characters that change how their neighbours are shown without being seen: direction overrides, zero-width marks,
/// line and paragraph separators, the byte order mark and tag characters.
fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keeps_words_and_lines() {
        assert_eq!(escape_untrusted("Grüße\tan\r\nalle\n".as_bytes()), "Grüße\tan\nalle\n");
    }

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        assert_eq!(escape_untrusted(b"\x1b[2Jhi\x07\r!"), r"\u{1b}[2Jhi\u{7}\u{d}!");
        assert_eq!(escape_untrusted("a\u{202e}b\u{9b}1m".as_bytes()), r"a\u{202e}b\u{9b}1m");
        assert_eq!(escape_untrusted(b"\xff\xfe"), r"\xff\xfe");
    }

    proptest! {
        #[test]
        fn no_control_character_survives(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let out = escape_untrusted(&bytes);
            prop_assert!(out.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }
    }
}
