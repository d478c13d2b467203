//! Container images and where they come from.

use super::invalid::{Invalid, checked_text};

/// Where Kubernetes' own images are pulled from: `registry.k8s.io`, or a registry with an optional path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRepository(String);
checked_text!(ImageRepository);

/// kubeadm's default.
const DEFAULT: &str = "registry.k8s.io";

impl ImageRepository {
    fn check(text: &str) -> Result<(), Invalid> {
        let refused = |reason: &str| {
            Err(Invalid::new(format!("`{}` is not an image repository: {reason}", text.escape_debug()))
                .hint("write it as `registry.example/path`, without scheme and tag"))
        };
        if text.contains("://") {
            return refused("it holds a scheme");
        }
        let mut parts = text.split('/');
        let host = parts.next().unwrap_or_default();
        let host_fits = |c: char| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | ':' | '[' | ']');
        if host.is_empty() || !host.chars().all(host_fits) {
            return refused("it begins with a host and an optional port");
        }
        let part_fits =
            |part: &str| !part.is_empty() && part.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_'));
        if !parts.all(part_fits) {
            return refused("each part of its path has lower-case letters, digits, `.`, `-` and `_`");
        }
        Ok(())
    }

    /// Whether this is kubeadm's default.
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT
    }

    /// The image of this name and tag here.
    pub fn image(&self, name: &str, tag: &str) -> ImageRef {
        ImageRef(format!("{}/{name}:{tag}", self.0))
    }
}

impl Default for ImageRepository {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

/// A whole image reference with its registry and a tag or digest: `registry.k8s.io/pause:3.9`.
///
/// Short names are refused: which registry they mean depends on the node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef(String);
checked_text!(ImageRef);

impl ImageRef {
    fn check(text: &str) -> Result<(), Invalid> {
        let refused = |reason: &str| Err(Invalid::new(format!("`{}` is not an image: {reason}", text.escape_debug())));
        let fits = |c: char| c.is_ascii_alphanumeric() || "./:@_-[]".contains(c);
        let Some((host, path)) = text.split_once('/') else {
            return refused("it needs its registry, as in `docker.io/library/busybox:1.36`");
        };
        if !text.chars().all(fits) || path.is_empty() {
            return refused("it has characters that no image has");
        }
        if !host.contains(['.', ':']) && host != "localhost" {
            return refused("it needs its registry, as in `docker.io/library/busybox:1.36`");
        }
        if !path.contains([':', '@']) {
            return refused("it needs a tag or a digest, or it would change under the same name");
        }
        Ok(())
    }
}

/// A tag of an image: `v0.25.7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageTag(String);
checked_text!(ImageTag);

impl ImageTag {
    fn check(text: &str) -> Result<(), Invalid> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if (1..=128).contains(&text.len()) && text.chars().all(fits) && !text.starts_with(['.', '-']) {
            return Ok(());
        }
        Err(Invalid::new(format!("`{}` is not a tag of an image", text.escape_debug()))
            .hint("write it as in `v0.25.7`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_have_no_scheme() {
        for good in ["registry.k8s.io", "registry.example:5000/k8s/mirror", "10.0.0.1:5000"] {
            assert!(ImageRepository::new(good).is_ok(), "{good}");
        }
        for bad in ["", "https://registry.k8s.io", "registry.k8s.io/", "a b", "registry.example/K8s", "r/x:tag"] {
            assert!(ImageRepository::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn images_are_whole() {
        for good in ["registry.k8s.io/pause:3.9", "docker.io/flannel/flannel:v0.25.7", "r.example:5000/a@sha256:00ff"] {
            assert!(ImageRef::new(good).is_ok(), "{good}");
        }
        for bad in ["busybox", "library/busybox:1", "docker.io/busybox", "docker.io/", "docker.io/a b:1"] {
            assert!(ImageRef::new(bad).is_err(), "{bad}");
        }
    }
}
