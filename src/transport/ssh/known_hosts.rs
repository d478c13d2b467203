//! Files of known host keys, as OpenSSH writes and reads them (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// What the files say about a key that a host offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The key is on record for the host.
    Known,
    /// Nothing usable is on record for the host.
    Unknown,
    /// Another key, of any type, is on record for the host, first here.
    Changed(Location),
    /// The key must not be trusted, says this entry.
    Revoked(Location),
}

/// A line of a file, shown as `file:line`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    path: PathBuf,
    line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// All that some files say about one host. Lines about other hosts are passed over, whatever is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Record {
    keys: Vec<Entry>,
    revoked: Vec<Entry>,
    /// What was found for the host but can't be used.
    pub(super) notes: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    at: Location,
    algorithm: String,
    blob: Vec<u8>,
}

impl Record {
    /// Adds what one file says about `host`, written as known_hosts does: bare at port 22, else `[host]:port`.
    pub(super) fn read(&mut self, host: &str, path: &Path, text: &[u8]) {
        let host = host.to_ascii_lowercase();
        for (index, line) in text.split(|b| *b == b'\n').enumerate() {
            let at = || Location { path: path.into(), line: index + 1 };
            let Some(line) = Line::split(line) else { continue };
            if !is_meant(line.hosts, &host) {
                continue;
            }
            match (line.marker, decode(line.algorithm, line.key)) {
                (_, Err(why)) => self.notes.push(format!("{}: {why}; skipped", at())),
                (None, Ok(blob)) => self.keys.push(Entry { at: at(), algorithm: line.algorithm.into(), blob }),
                (Some("@revoked"), Ok(blob)) => {
                    self.revoked.push(Entry { at: at(), algorithm: line.algorithm.into(), blob });
                }
                (Some("@cert-authority"), Ok(_)) => self.notes.push(format!(
                    "{}: host certificates are not supported, so this @cert-authority does not vouch for the host",
                    at()
                )),
                (Some(marker), Ok(_)) => self.notes.push(format!("{}: unknown marker {marker}; skipped", at())),
            }
        }
    }

    /// Judges a key by its wire form.
    pub(super) fn judge(&self, blob: &[u8]) -> Verdict {
        if let Some(entry) = self.revoked.iter().find(|entry| entry.blob == blob) {
            return Verdict::Revoked(entry.at.clone());
        }
        match self.keys.first() {
            _ if self.keys.iter().any(|entry| entry.blob == blob) => Verdict::Known,
            Some(other) => Verdict::Changed(other.at.clone()),
            None => Verdict::Unknown,
        }
    }

    /// Types of the recorded keys, such as `ssh-ed25519`, in the order of the files.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|entry| entry.algorithm.as_str())
    }
}

/// The fields of a line that is neither empty nor a comment.
struct Line<'a> {
    marker: Option<&'a str>,
    hosts: &'a str,
    algorithm: &'a str,
    key: &'a str,
}

impl<'a> Line<'a> {
    /// Absent where the line says nothing: empty, a comment, or not even text.
    fn split(line: &'a [u8]) -> Option<Self> {
        let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace().peekable();
        let marker = fields.next_if(|field| field.starts_with('@'));
        let hosts = fields.next().filter(|hosts| !hosts.starts_with('#'))?;
        Some(Self { marker, hosts, algorithm: fields.next().unwrap_or(""), key: fields.next().unwrap_or("") })
    }
}

/// The key in its wire form, which begins with its own type.
fn decode(algorithm: &str, key: &str) -> Result<Vec<u8>, &'static str> {
    let blob = STANDARD.decode(key).map_err(|_| "the key is not base64")?;
    let (length, rest) = blob.split_first_chunk().ok_or("the key is cut off")?;
    let length = u32::from_be_bytes(*length) as usize;
    if rest.len() <= length || &rest[..length] != algorithm.as_bytes() {
        return Err("the key is not of the type that stands before it");
    }
    Ok(blob)
}

/// Whether the first field of a line means this host, given in lower case.
fn is_meant(hosts: &str, host: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return is_hash_of(hashed, host).unwrap_or(false);
    }
    let mut meant = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            // A negated pattern that matches settles the line, whatever else stands in it.
            Some(negated) if glob(negated, host) => return false,
            Some(_) => {}
            None => meant |= glob(pattern, host),
        }
    }
    meant
}

/// Whether `salt|hash` is the HMAC-SHA1 of the host; absent where it is neither.
fn is_hash_of(hashed: &str, host: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let salt = STANDARD.decode(salt).ok()?;
    let hash = STANDARD.decode(hash).ok()?;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    Some(hmac::verify(&key, host.as_bytes(), &hash).is_ok())
}

/// Whether a pattern with `*` and `?` matches all of the host, in any case of letters.
fn glob(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.as_bytes(), host.as_bytes());
    let (mut p, mut h) = (0, 0);
    // Where to go on after the last `*`, were it to swallow one character more.
    let mut retry: Option<(usize, usize)> = None;
    while h < host.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, h));
            }
            Some(c) if *c == b'?' || c.eq_ignore_ascii_case(&host[h]) => {
                p += 1;
                h += 1;
            }
            _ => match &mut retry {
                Some((after, from)) => {
                    *from += 1;
                    (p, h) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
