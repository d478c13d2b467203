//! Debian packages: one `dpkg-query` for all of them.

use std::collections::BTreeMap;

use super::{error::FactError, section::Section};
use crate::model::observe::PackageSeen;
use crate::shell;

/// The section's name.
pub const NAME: &str = "packages";

/// Empty where nothing is wanted: dpkg reads its whole database, 7 ms.
pub fn command<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names = shell::words(names.into_iter().filter(|name| is_name(name)));
    if names.is_empty() {
        return String::new();
    }
    let fields = r"${Package}\t${db:Status-Want}\t${db:Status-Eflag}\t${db:Status-Status}\t${Version}\n";
    format!("_r {NAME} dpkg-query -W -f '{fields}' {names}")
}

/// An answer for every wanted package.
///
/// # Errors
/// dpkg's database could not be read, or a name is no package's.
pub fn parse<'a>(
    section: Option<&Section<'_>>,
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, PackageSeen>, FactError> {
    let mut seen = BTreeMap::new();
    for name in wanted {
        if !is_name(name) {
            return Err(FactError::new("packages", format!("`{name}` is not a package's name")));
        }
        seen.insert(name.to_owned(), PackageSeen::default());
    }
    let Some(section) = section.filter(|_| !seen.is_empty()) else {
        return match seen.is_empty() {
            true => Ok(seen),
            false => Err(FactError::new("packages", "the node's answer has no such part")),
        };
    };
    let said = String::from_utf8_lossy(section.err);
    let unknown = "dpkg-query: no packages found matching ";
    let known_words = |line: &str| line.is_empty() || line.starts_with(unknown);
    if let Some(line) = said.lines().find(|line| !known_words(line)) {
        return Err(FactError::new("packages", line));
    }
    if section.code > 1 || (section.code == 1 && said.trim().is_empty()) {
        return Err(section.failure("packages"));
    }
    for line in String::from_utf8_lossy(section.out).lines() {
        let &[name, want, error, state, version] = &line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(FactError::new("packages", format!("`{line}` makes no sense")));
        };
        let found = package(want, error, state, version);
        // The same name in two architectures: the one that is there counts.
        let slot = seen.entry(name.to_owned()).or_default();
        if slot.version.is_none() {
            *slot = found;
        }
    }
    Ok(seen)
}

fn package(want: &str, error: &str, state: &str, version: &str) -> PackageSeen {
    let broken = match (state, error) {
        (_, "reinstreq") => Some("reinstreq".to_owned()),
        // Removed, its configuration kept: nothing is wrong with that.
        ("installed" | "not-installed" | "config-files", _) => None,
        (other, _) => Some(other.to_owned()),
    };
    PackageSeen { version: (state == "installed").then(|| version.to_owned()), held: want == "hold", broken }
}

/// Debian's rule for names; patterns and options of dpkg-query are none.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    name.bytes().all(fits) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: u32, out: &str, err: &str, wanted: &[&str]) -> Result<BTreeMap<String, PackageSeen>, FactError> {
        let section = Section { code, out: out.as_bytes(), err: err.as_bytes() };
        parse(Some(&section), wanted.iter().copied())
    }

    #[test]
    fn every_state_that_matters() {
        // Captured on Debian 12, where Ubuntu's dpkg answers alike.
        let out = "containerd\tinstall\tok\tinstalled\t1.6.20~ds1-1+deb12u1\n\
                   kubelet\thold\tok\tinstalled\t1.30.14-1.1\n\
                   runc\tdeinstall\tok\tconfig-files\t1.1.5+ds1-1+deb12u1\n\
                   socat\tinstall\tok\thalf-configured\t1.7.4.4-2\n\
                   haproxy\tunknown\tok\tnot-installed\t\n";
        let err = "dpkg-query: no packages found matching cri-tools";
        let seen =
            read(1, out, err, &["containerd", "kubelet", "runc", "socat", "haproxy", "cri-tools"]).expect("read");
        assert_eq!(seen["containerd"].version.as_deref(), Some("1.6.20~ds1-1+deb12u1"));
        assert!(seen["kubelet"].held && !seen["containerd"].held);
        assert_eq!(seen["runc"], PackageSeen::default());
        assert_eq!(
            (seen["socat"].version.as_deref(), seen["socat"].broken.as_deref()),
            (None, Some("half-configured"))
        );
        assert_eq!(seen["haproxy"], PackageSeen::default());
        assert_eq!(seen["cri-tools"], PackageSeen::default());
    }

    #[test]
    fn two_architectures_of_one_name() {
        let out = "libc6\tinstall\tok\tinstalled\t2.36-9\nlibc6\tdeinstall\tok\tconfig-files\t2.30-1\n";
        assert_eq!(read(0, out, "", &["libc6"]).expect("read")["libc6"].version.as_deref(), Some("2.36-9"));
    }

    #[test]
    fn a_broken_database_is_unknown() {
        let err = "dpkg-query: error: parsing file '/var/lib/dpkg/status' near line 5";
        assert!(read(2, "", err, &["runc"]).is_err());
        assert!(read(127, "", "sh: 1: dpkg-query: not found", &["runc"]).is_err());
        assert!(read(1, "", "", &["runc"]).is_err());
        assert!(read(0, "", "", &["lib*"]).is_err());
        assert!(parse(None, ["runc"]).is_err());
        assert_eq!(parse(None, []), Ok(BTreeMap::new()));
    }
}
