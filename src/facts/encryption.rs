//! Encryption of Secrets at rest, as a control plane's disk has it: names and digests, never a key.

use super::{error::FactError, section::Section};
use crate::model::{
    encryption::{FLAG, PATH, PENDING},
    facts::{Encryption, EncryptionFile},
};

/// The section's name.
pub const NAME: &str = "encryption";

const DOMAIN: &str = "the encryption of Secrets";

/// Nothing is written where there is no trace of it, as on every worker. Of the file only lines are told that name a key in
/// the plain way of this program.
pub fn command() -> String {
    format!(
        r#"_f=; [ ! -e /etc/kubernetes/manifests/kube-apiserver.yaml ] || ! grep -q -e '--{FLAG}={PATH}$' /etc/kubernetes/manifests/kube-apiserver.yaml || _f=1
if [ -n "$_f" ] || [ -e {PATH} ] || [ -e {PENDING} ]; then
(
set -e
[ -z "$_f" ] || echo flag
[ ! -e {PENDING} ] || echo pending
if [ -e {PATH} ]; then
stat -c 'mode %a %U:%G' {PATH}
sed -n 's/^ *- name: \([A-Za-z0-9.-]\{{1,40\}}\)$/provider \1/p; s/^ *- identity: {{}}$/provider identity/p' {PATH}
_d=$(sha256sum < {PATH})
echo "sha256 ${{_d%% *}}"
fi
) 2> /dev/null
_s {NAME} $?
fi"#
    )
}

/// # Errors
/// Something is there and could not be read.
pub fn parse(section: Option<&Section<'_>>) -> Result<Option<Encryption>, FactError> {
    let Some(section) = section else { return Ok(None) };
    let mut seen = Encryption::default();
    let mut file = EncryptionFile::default();
    for line in section.text(DOMAIN)?.lines() {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("flag", _) => seen.flag = true,
            ("pending", _) => seen.pending = true,
            ("mode", mode) => file.mode = mode.to_owned(),
            ("provider", name) => file.providers.push(name.to_owned()),
            ("sha256", digest) => file.sha256 = digest.to_owned(),
            _ => return Err(FactError::new(DOMAIN, format!("`{}` makes no sense", line.escape_debug()))),
        }
    }
    seen.file = (!file.sha256.is_empty()).then_some(file);
    Ok(Some(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &std::path::Path) -> Option<Encryption> {
        let text =
            format!("_s() {{ echo \"$2\"; }}\n{}", command()).replace("/etc/kubernetes", folder.to_str().unwrap());
        let output = std::process::Command::new("/bin/sh").args(["-c", &text]).output().unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(!told.contains("SECRET"), "{told}");
        if told.is_empty() {
            return None;
        }
        let (out, code) = told.trim_end().rsplit_once('\n').unwrap_or(("", told.trim_end()));
        parse(Some(&Section { code: code.parse().unwrap(), out: out.as_bytes(), err: b"" })).unwrap()
    }

    #[test]
    fn names_are_told_and_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        assert_eq!(run(folder.path()), None);
        std::fs::create_dir_all(at("pki/encryption")).unwrap();
        std::fs::create_dir_all(at("manifests")).unwrap();
        std::fs::write(at("manifests/kube-apiserver.yaml"), "    - --v=1\n").unwrap();
        assert_eq!(run(folder.path()), None);
        let flag = format!("    - --{FLAG}={}\n", at("pki/encryption/config.yaml").display());
        std::fs::write(at("manifests/kube-apiserver.yaml"), flag).unwrap();
        assert_eq!(run(folder.path()), Some(Encryption { file: None, flag: true, pending: false }));
        let text =
            "  - secretbox:\n      keys:\n      - name: key1-00000001\n        secret: SECRET=\n  - identity: {}\n";
        std::fs::write(at("pki/encryption/config.yaml"), text).unwrap();
        std::fs::write(at("pki/encryption/rewrite-pending"), "").unwrap();
        let seen = run(folder.path()).unwrap();
        let file = seen.file.unwrap();
        assert!(seen.flag && seen.pending && file.sha256.len() == 64);
        assert_eq!(file.providers, ["key1-00000001", "identity"]);
        // Somebody else's way of writing it tells nothing.
        std::fs::write(at("pki/encryption/config.yaml"), "keys: [{name: a, secret: SECRET}]\n- name: SECRET x\n")
            .unwrap();
        assert!(run(folder.path()).unwrap().file.unwrap().providers.is_empty());
    }
}
