//! Debian packages: names, versions, repositories and their keys.

use super::invalid::{Invalid, checked_text};
use super::version::KubeVersion;

/// Name of a Debian package (Debian policy 5.6.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName(String);
checked_text!(PackageName);

impl PackageName {
    fn check(text: &str) -> Result<(), Invalid> {
        let fits = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'));
        if fits && text.len() >= 2 && text.as_bytes()[0].is_ascii_alphanumeric() {
            return Ok(());
        }
        Err(Invalid::new(format!("`{}` is not a package name", text.escape_debug())))
    }
}

/// Version of a Debian package as apt takes it: whole, or a beginning that ends in `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageVersion(String);
checked_text!(PackageVersion);

impl PackageVersion {
    fn check(text: &str) -> Result<(), Invalid> {
        let bare = text.strip_suffix('*').unwrap_or(text);
        let fits = bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.:~".contains(&b));
        if fits && bare.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            return Ok(());
        }
        Err(Invalid::new(format!("`{}` is not a package version", text.escape_debug()))
            .hint("write it as apt does, such as `1.7.27-1` or `1.7.*`"))
    }
}

/// Where a service on the web begins: `http` or `https`, a host, an optional path, no final slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseUrl(String);
checked_text!(BaseUrl);

impl BaseUrl {
    fn check(text: &str) -> Result<(), Invalid> {
        let refused = |reason: &str| Err(Invalid::new(format!("`{}` can't be used: {reason}", text.escape_debug())));
        let uri: http::Uri = match text.parse() {
            Ok(uri) => uri,
            Err(why) => return refused(&why.to_string()),
        };
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return refused("it begins with `https://` or `http://`");
        }
        if uri.host().is_none_or(str::is_empty) {
            return refused("it names no host");
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return refused("a secret in an address would end in files that all may read");
        }
        if uri.query().is_some() || text.ends_with('/') {
            return refused("it ends without `/` and without `?`");
        }
        // It becomes part of an apt source line, whose fields are parted by blanks and bracketed options.
        if text.contains(['[', ']', '#', '\'', '"', '\\', '$', '`']) {
            return refused("it has a character that apt's source lists give a meaning");
        }
        Ok(())
    }
}

/// Fingerprint of an OpenPGP key: 40 hexadecimal digits, held in upper case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyFingerprint(String);

impl KeyFingerprint {
    /// Reads a fingerprint in either case, with or without the blanks that gpg prints.
    ///
    /// # Errors
    /// Where it isn't 40 hexadecimal digits: shorter key ids can be forged.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let digits: String = text.chars().filter(|c| *c != ' ').collect();
        if digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(digits.to_ascii_uppercase()));
        }
        Err(Invalid::new(format!("`{}` is not a key's fingerprint", text.escape_debug()))
            .hint("40 hexadecimal digits, as `gpg --show-keys --with-fingerprint` prints them"))
    }

    /// The 40 digits in upper case, without blanks.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for KeyFingerprint {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

super::invalid::serde_as_text!(KeyFingerprint);

/// Where packages of Kubernetes come from, and the one key that is trusted for them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RepositorySpec {
    /// Where the repositories begin. Default `https://pkgs.k8s.io`; a mirror keeps the paths below it.
    pub url: BaseUrl,
    /// Fingerprint of the key that signs them. Default: the key of the community's repositories.
    pub key_fingerprint: KeyFingerprint,
}

impl Default for RepositorySpec {
    fn default() -> Self {
        Self {
            url: BaseUrl("https://pkgs.k8s.io".to_owned()),
            key_fingerprint: KeyFingerprint("DE15B14486CD377B9E876E1A234654DA9A296436".to_owned()),
        }
    }
}

impl RepositorySpec {
    /// Address of the repository of a minor version, with the final `/` that makes apt take it as a flat one.
    pub fn deb_url(&self, version: KubeVersion) -> String {
        format!("{}/core:/stable:/{}/deb/", self.url, version.series())
    }

    /// Address of the key, armored.
    pub fn key_url(&self, version: KubeVersion) -> String {
        format!("{}Release.key", self.deb_url(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_repository_is_the_communitys() {
        let repository = RepositorySpec::default();
        assert_eq!(
            repository.key_url(KubeVersion::new(30, 14)),
            "https://pkgs.k8s.io/core:/stable:/v1.30/deb/Release.key"
        );
        assert!(BaseUrl::new(repository.url.as_str()).is_ok());
        assert!(KeyFingerprint::new(repository.key_fingerprint.as_str()).is_ok());
    }

    #[test]
    fn urls_that_would_break_a_source_line_are_refused() {
        for good in ["https://pkgs.k8s.io", "http://mirror.example:8080/k8s"] {
            assert!(BaseUrl::new(good).is_ok(), "{good}");
        }
        for bad in
            ["", "pkgs.k8s.io", "ftp://a", "https://a/", "https://u:p@a", "https://a/b c", "https://a/[x]", "https://"]
        {
            assert!(BaseUrl::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn packages() {
        for good in ["containerd", "containerd.io", "libstdc++6"] {
            assert!(PackageName::new(good).is_ok());
        }
        for bad in ["", "-y", "A", "a b", "x"] {
            assert!(PackageName::new(bad).is_err());
        }
        for good in ["1.30.14-1.1", "1.7.*", "2:1.0~rc1+b2"] {
            assert!(PackageVersion::new(good).is_ok());
        }
        for bad in ["", "*", "1.*.2", "a1", "1 2"] {
            assert!(PackageVersion::new(bad).is_err());
        }
    }
}
