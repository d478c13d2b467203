//! The command line that a server hands to the login shell.
//!
//! It means the same to every shell in use as a login shell (sh, dash, bash, zsh, fish, csh): plain words and text in
//! single quotes that holds neither single quotes, backslashes nor `!`. Everything else travels on standard input.

use std::time::Duration;

use crate::model::ssh::Sudo;
use crate::transport::Dial;

/// Time by which the node's own limit on a script exceeds ours: it is for scripts that nobody waits for any more.
const GRACE: Duration = Duration::from_secs(5);

/// What the remote shell does once it has said that it started.
pub(super) enum Body {
    /// Reads a script from standard input and ends it by itself after this time; absent where it may run on.
    Script(Option<Duration>),
    /// Puts a file in place, described and given on standard input.
    Upload,
    /// Becomes a byte stream, as the login user.
    Dial(Dial),
}

/// A remote command line, and the texts by which its progress is recognised.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) command: String,
    /// The line on both outputs that says that the body starts.
    pub(super) mark: String,
    /// What sudo asks for a password with; absent where it must not ask.
    pub(super) prompt: Option<String>,
}

impl Remote {
    /// Composes the line; `nonce` must be letters and digits that nobody can guess.
    pub(super) fn compose(body: &Body, sudo: &Sudo, nonce: &str) -> Self {
        let mark = format!("kb-{nonce}");
        let prompt = format!("kb-{nonce}-password:");
        let mut remote = Self { command: String::from("exec "), mark, prompt: None };
        match (body, sudo) {
            (Body::Dial(_), _) | (_, Sudo::Root) => {}
            (_, Sudo::Passwordless) => remote.command.push_str("sudo -n "),
            (_, Sudo::Password(_)) => {
                remote.command.push_str(&format!("sudo -S -p '{prompt}' "));
                remote.prompt = Some(prompt);
            }
        }
        let mark = &remote.mark;
        let rest = match body {
            // A connection that is lost does not end what runs on the node: the node's own limit does.
            Body::Script(Some(limit)) => format!("exec timeout -k 5 {} sh -s", (*limit + GRACE).as_secs().max(1)),
            Body::Script(None) => String::from("exec sh -s"),
            Body::Upload => UPLOAD.replace('\n', " ").replace("NONCE", nonce),
            // -t: how long one direction may outlive the other.
            Body::Dial(Dial::Loopback { port }) => format!("exec socat -t 30 - TCP4:127.0.0.1:{port}"),
        };
        remote.command.push_str(&format!("sh -c 'echo {mark}; echo {mark} >&2; {rest}'"));
        remote
    }
}

/// Reads a path, then mode, size and checksum, then the content. `read` takes no byte beyond its line.
const UPLOAD: &str = r#"umask 077;
clean() { rm -f -- "$tmp"; };
IFS= read -r path && read -r mode size sum || exit 1;
tmp="${path%/*}/.kbootstrap-NONCE";
trap clean EXIT; trap "exit 1" HUP INT TERM PIPE;
head -c "$size" >"$tmp" || exit 1;
[ "$(sha256sum <"$tmp")" = "$sum  -" ] || { echo "the content arrived damaged or in part" >&2; exit 1; };
chmod "$mode" "$tmp" && sync "$tmp" && mv -fT -- "$tmp" "$path""#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_login_shell_reads_it_alike() {
        let password = Sudo::Password(String::from("x").into());
        for sudo in [Sudo::Root, Sudo::Passwordless, password] {
            for body in
                [Body::Script(None), Body::Script(Some(GRACE)), Body::Upload, Body::Dial(Dial::Loopback { port: 1 })]
            {
                let remote = Remote::compose(&body, &sudo, "abc");
                let words: Vec<&str> = remote.command.split('\'').collect();
                assert_eq!(words.len() % 2, 1, "quotes are paired: {}", remote.command);
                assert!(!remote.command.contains(['\\', '!', '\n']), "{}", remote.command);
                for outside in words.iter().step_by(2) {
                    assert!(outside.chars().all(|c| c.is_ascii_alphanumeric() || " -".contains(c)), "{outside}");
                }
            }
        }
    }

    #[test]
    fn streams_need_no_root() {
        let remote = Remote::compose(&Body::Dial(Dial::Loopback { port: 6443 }), &Sudo::Passwordless, "n");
        assert_eq!(remote.command, "exec sh -c 'echo kb-n; echo kb-n >&2; exec socat -t 30 - TCP4:127.0.0.1:6443'");
    }

    #[test]
    fn passwords_are_asked_for_by_a_prompt_of_our_own() {
        let remote = Remote::compose(&Body::Script(None), &Sudo::Password(String::from("x").into()), "n");
        assert!(remote.command.starts_with("exec sudo -S -p 'kb-n-password:' sh -c '"), "{}", remote.command);
        assert_eq!(remote.prompt.as_deref(), Some("kb-n-password:"));
    }
}
