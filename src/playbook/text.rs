//! Texts of playbooks that are checked where they come in: what they become part of gives some characters a meaning.

use crate::model::invalid::{Invalid, checked_text};

/// An absolute path of a file or folder, `/` itself not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsPath(String);
checked_text!(AbsPath);

impl AbsPath {
    fn check(text: &str) -> Result<(), Invalid> {
        let refused = |why: &str| Err(Invalid::new(format!("`{}` can't be used: {why}", text.escape_debug())));
        if !text.starts_with('/') {
            return refused("a path on a node begins with `/`");
        }
        if text.chars().any(char::is_control) {
            return refused("it has a control character");
        }
        if text.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
            return refused("it has an empty part, `.` or `..`");
        }
        Ok(())
    }
}

/// Name of a systemd unit with its suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitName(String);
checked_text!(UnitName);

impl UnitName {
    fn check(text: &str) -> Result<(), Invalid> {
        let suffixes = [".service", ".socket", ".timer", ".path", ".mount", ".target"];
        let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b));
        if fits && suffixes.iter().any(|suffix| text.len() > suffix.len() && text.ends_with(suffix)) {
            return Ok(());
        }
        Err(Invalid::new(format!("`{}` is not the name of a unit", text.escape_debug()))
            .hint("write it with its suffix, such as `containerd.service`"))
    }
}

/// `user:group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner(String);
checked_text!(Owner);

impl Owner {
    fn check(text: &str) -> Result<(), Invalid> {
        let name = |name: &str| {
            !name.is_empty()
                && !name.starts_with('-')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        match text.split_once(':') {
            Some((user, group)) if name(user) && name(group) => Ok(()),
            _ => Err(Invalid::new(format!("`{}` is not an owner", text.escape_debug()))
                .hint("write it as `user:group`, such as `root:root`")),
        }
    }
}

/// Dotted name of a kernel parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysctlName(String);
checked_text!(SysctlName);

impl SysctlName {
    fn check(text: &str) -> Result<(), Invalid> {
        let part =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_/".contains(&b));
        if text.contains('.') && text.split('.').all(part) {
            return Ok(());
        }
        Err(Invalid::new(format!("`{}` is not a kernel parameter", text.escape_debug()))
            .hint("write it with dots, such as `net.ipv4.ip_forward`"))
    }
}

/// Name of a kernel module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleName(String);
checked_text!(ModuleName);

impl ModuleName {
    fn check(text: &str) -> Result<(), Invalid> {
        let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) && !text.starts_with('-');
        if fits && !text.is_empty() {
            return Ok(());
        }
        Err(Invalid::new(format!("`{}` is not a kernel module", text.escape_debug())))
    }
}

/// One line: no line break and no NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(String);
checked_text!(Line);

impl Line {
    fn check(text: &str) -> Result<(), Invalid> {
        match text.chars().find(|c| c.is_control() && *c != '\t') {
            None => Ok(()),
            Some(odd) => Err(Invalid::new(format!("a line can't hold {}", odd.escape_debug()))),
        }
    }
}

/// Any text without NUL, which no shell word can carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);
checked_text!(Text);

impl Text {
    fn check(text: &str) -> Result<(), Invalid> {
        if text.contains('\0') { Err(Invalid::new("a text can't hold NUL")) } else { Ok(()) }
    }
}

/// A word of ids and file names: lower case letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(String);
checked_text!(Word);

impl Word {
    fn check(text: &str) -> Result<(), Invalid> {
        let fits = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits && !text.is_empty() && !text.starts_with('-') {
            return Ok(());
        }
        Err(Invalid::new(format!("`{}` is not a name of lower case letters, digits and `-`", text.escape_debug())))
    }
}

/// An id of a step: the stage's, a dot, a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id(String);
checked_text!(Id);

impl Id {
    fn check(text: &str) -> Result<(), Invalid> {
        match text.split_once('.') {
            Some((stage, name)) if Word::check(stage).is_ok() && Word::check(name).is_ok() => Ok(()),
            _ => Err(Invalid::new(format!("`{}` is not an id", text.escape_debug()))
                .hint("an id is the stage, a dot and a name, such as `os.sysctls`")),
        }
    }

    /// The stage's id.
    pub fn stage(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_become_syntax_is_refused() {
        for bad in ["", "etc/x", "/", "/a//b", "/a/../b", "/a/", "/a\nb"] {
            assert!(AbsPath::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "x", ".service", "a b.service", "$(x).service"] {
            assert!(UnitName::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "root", "root:", ":x", "-R:x", "a b:c"] {
            assert!(Owner::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "a", "a..b", "net.ipv4. x", "../x.y"] {
            assert!(SysctlName::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "os", "os.", ".x", "os.a.b", "Os.a", "os.-a"] {
            assert!(Id::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Id::new("os.swap-off").unwrap().stage(), "os");
        assert!(SysctlName::new("net.ipv4.conf.eth0/1.rp_filter").is_ok());
    }
}
