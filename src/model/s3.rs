//! Where backups are also sent: a bucket of an S3 endpoint.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    invalid::{Invalid, checked_text},
    package::BaseUrl,
};

/// A bucket, and whose key opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct S3Spec {
    /// Objects are addressed by path: `ENDPOINT/BUCKET/PREFIX…`.
    pub endpoint: S3Endpoint,
    pub bucket: S3Word,
    /// Default `us-east-1`, which endpoints that know no regions take.
    pub region: S3Word,
    /// What names of objects begin with. Default: nothing.
    pub prefix: S3Prefix,
    /// The file on the operator's machine that holds the key, in the form of AWS' own tools.
    pub credentials: PathBuf,
    /// SHA-256 (hex) of the key as nodes have it; absent where the file can't be read here.
    #[serde(skip)]
    pub digest: Option<String>,
}

/// Scheme and host, with a port where it is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Endpoint(String);
checked_text!(S3Endpoint);

impl S3Endpoint {
    fn check(text: &str) -> Result<(), Invalid> {
        BaseUrl::new(text)?;
        let refused = |why: &str| Err(Invalid::new(format!("`{}` can't be used: {why}", text.escape_debug())));
        let host = text.split_once("://").map_or("", |(_, host)| host);
        // What is signed is what the client sends, byte by byte.
        if host.contains('/') {
            return refused("it ends with the host, or with a port");
        }
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return refused("write the host in lower case");
        }
        if host.ends_with(if text.starts_with("https") { ":443" } else { ":80" }) {
            return refused("leave the scheme's own port out");
        }
        Ok(())
    }

    /// As the client names it in `Host`.
    pub fn host(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, host)| host)
    }
}

/// Name of a bucket or a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Word(String);
checked_text!(S3Word);

impl S3Word {
    fn check(text: &str) -> Result<(), Invalid> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if (1..=63).contains(&text.len()) && text.bytes().all(fits) && text.bytes().any(|b| b.is_ascii_alphanumeric()) {
            return Ok(());
        }
        Err(Invalid::new(format!("`{}` is no name of S3", text.escape_debug()))
            .hint("1 to 63 lower case letters, digits, dots and hyphens"))
    }
}

/// The beginning of names of objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Prefix(String);
checked_text!(S3Prefix);

impl S3Prefix {
    fn check(text: &str) -> Result<(), Invalid> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
        if text.len() <= 200
            && text.bytes().all(fits)
            && !text.starts_with('/')
            && !text.contains("//")
            && !text.contains("..")
        {
            return Ok(());
        }
        Err(Invalid::new(format!("`{}` can't begin names of objects", text.escape_debug()))
            .hint("letters, digits and `/-_.`, such as `clusters/prod/`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_what_is_sent() {
        let good = S3Endpoint::new("https://s3.example.com:9000").unwrap();
        assert_eq!(good.host(), "s3.example.com:9000");
        for bad in [
            "s3.example.com",
            "https://s3.example.com/",
            "https://S3.example.com",
            "https://x:443",
            "http://x:80",
            "https://x/y",
        ] {
            assert!(S3Endpoint::new(bad).is_err(), "{bad}");
        }
        for bad in ["", "A", "a/b", "..", "a b"] {
            assert!(S3Word::new(bad).is_err(), "{bad}");
        }
        for bad in ["/a", "a//b", "a/../b", "a b", "a'b"] {
            assert!(S3Prefix::new(bad).is_err(), "{bad}");
        }
        assert!(S3Prefix::new("clusters/prod/").is_ok() && S3Word::new("eu-central-1").is_ok());
    }
}
