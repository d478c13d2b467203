//! Quoting: any text without a NUL byte becomes one literal word.

/// The text holds a NUL byte, which no shell word and no argument of a program can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a NUL byte cannot be part of a shell word")]
pub struct NulByte;

/// One literal shell word that stands for `text`, wherever in a command it is put.
///
/// Plain words stay as they are, for the sake of those who read plans and logs; all else is put in single quotes.
///
/// # Panics
/// If `text` holds a NUL byte. Text from outside (inventory, playbooks, answers of nodes) is checked where it comes
/// in; use [`try_quote`] for text that nobody has checked.
pub fn quote(text: &str) -> String {
    try_quote(text).expect("text for a shell is checked for NUL bytes where it enters the program")
}

/// As [`quote`].
///
/// # Errors
/// If `text` holds a NUL byte.
pub fn try_quote(text: &str) -> Result<String, NulByte> {
    if text.contains('\0') {
        return Err(NulByte);
    }
    if is_plain(text) {
        return Ok(text.to_owned());
    }
    let mut word = String::with_capacity(text.len() + 2);
    word.push('\'');
    for part in text.split_inclusive('\'') {
        match part.strip_suffix('\'') {
            Some(before) => {
                word.push_str(before);
                word.push_str(r"'\''");
            }
            None => word.push_str(part),
        }
    }
    word.push('\'');
    Ok(word)
}

/// The words of a command line or of a `for` list: each quoted, with a space between.
///
/// # Panics
/// As [`quote`].
pub fn words<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|text| quote(text.as_ref())).collect();
    quoted.join(" ")
}

/// Whether the text means itself without quotes in every position: no metacharacter, no assignment (`A=b` would be
/// one as the first word), no reserved word, and no bare number (`2>file` would redirect).
fn is_plain(text: &str) -> bool {
    const RESERVED: &[&str] = &[
        "case", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in", "select", "then", "time",
        "until", "while",
    ];
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./:@%+,".contains(&b))
        && !text.bytes().all(|b| b.is_ascii_digit())
        && !RESERVED.contains(&text)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// What a real shell makes of the words.
    fn echoed(texts: &[String]) -> Vec<u8> {
        let script = format!("printf '%s\\0' {}", words(texts));
        let out = Command::new("/bin/sh").arg("-c").arg(script).output();
        let out = out.expect("/bin/sh runs");
        assert!(out.status.success(), "{out:?}");
        out.stdout
    }

    fn joined(texts: &[String]) -> Vec<u8> {
        texts.iter().flat_map(|text| text.bytes().chain([0])).collect()
    }

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(quote("/etc/kubernetes/pki/ca.crt"), "/etc/kubernetes/pki/ca.crt");
        assert_eq!(quote("kubeadm=1.30"), "'kubeadm=1.30'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("don't"), r"'don'\''t'");
        assert_eq!(quote("if"), "'if'");
        assert_eq!(quote("2"), "'2'");
        assert_eq!(quote("~root"), "'~root'");
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(try_quote("a\0b"), Err(NulByte));
    }

    #[test]
    fn hostile_text_is_literal() {
        let hostile = [
            "$(touch /tmp/x)",
            "`id`",
            "a;b",
            "a\nb",
            "\n",
            "'",
            "''",
            "\\",
            "\\'",
            "-n",
            "!",
            "*",
            "~",
            "a b",
            "\"$HOME\"",
            "{a,b}",
            "#c",
            "\u{1b}[31m",
            "é",
            "\r\n",
            "&&",
            "\u{7f}",
        ]
        .map(String::from);
        assert_eq!(echoed(&hostile), joined(&hostile));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_text_is_literal(texts in prop::collection::vec("[^\0]{0,40}", 1..20)) {
            prop_assert_eq!(echoed(&texts), joined(&texts));
        }

        /// The characters that have a meaning to a shell, far denser than chance would have them.
        #[test]
        fn every_metacharacter_is_literal(
            texts in prop::collection::vec("[ '\"\\\\$`!*?\\[\\]{}()<>|&;#~=%\n\t\ra-c0-2-]{0,24}", 1..20),
        ) {
            prop_assert_eq!(echoed(&texts), joined(&texts));
        }

        /// A quoted word in the first position is the name of a program, never an assignment or a keyword.
        #[test]
        fn the_first_word_is_literal(text in "[a-z=0-9]{1,6}|if|while|A=b|\\{|!") {
            let script = format!("PATH=/nowhere; {} || printf %s $?", quote(&text));
            let out = Command::new("/bin/sh").arg("-c").arg(script).output().expect("/bin/sh runs");
            let builtin = ["cd", "bg", "fg", "fc", "wait", "jobs", "set", "exit", "eval", "exec", "trap", "umask",
                "echo", "true", "false", "test", "times", "type", "unset", "read", "return", "shift", "kill", "alias",
                "hash", "local", "break", "export"];
            if !builtin.contains(&text.as_str()) {
                prop_assert_eq!(out.stdout, b"127");
            }
        }
    }
}
