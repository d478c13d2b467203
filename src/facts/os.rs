//! The operating system.

use super::{error::FactError, section::Section, texts::Texts};
use crate::model::facts::Os;

/// The section's name.
pub const NAME: &str = "os";

/// Small texts that [`parse`] needs.
pub const TEXTS: &[&str] =
    &["/etc/os-release", "/etc/resolv.conf", "/proc/sys/kernel/arch", "/proc/sys/kernel/osrelease"];

/// Architecture where the kernel is older than 6.1 and has no file for it, and systemd's version by the name of its own
/// library: no process for either, where `systemctl --version` would take 3 ms.
pub fn command() -> String {
    format!(
        r#"[ -e /proc/sys/kernel/arch ] || printf 'arch %s\n' "$(uname -m)"
if [ -d /run/systemd/system ]; then
_v=
for _f in /usr/lib/systemd/libsystemd-shared-*.so /usr/lib/*/systemd/libsystemd-shared-*.so /lib/systemd/libsystemd-shared-*.so; do
[ -e "$_f" ] && {{ _v=${{_f##*-shared-}}; break; }}
done
[ -n "$_v" ] || {{ _v=$(systemctl --version); _v=${{_v#systemd }}; }}
printf 'systemd %.40s\n' "$_v"
fi
_s {NAME} 0"#
    )
}

/// # Errors
/// There is no `os-release`, or no architecture or kernel was told.
pub fn parse(texts: &Texts, section: &Section<'_>) -> Result<Os, FactError> {
    let release = texts.need("/etc/os-release")?;
    let told = section.text("os")?;
    let told = |key: &str| told.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    let machine = match texts.get("/proc/sys/kernel/arch")? {
        Some(machine) => machine.trim(),
        None => told("arch").ok_or_else(|| FactError::new("os", "no architecture was told"))?,
    };
    let field = |key| release_field(release, key).unwrap_or_default();
    Ok(Os {
        id: field("ID"),
        version: field("VERSION_ID"),
        codename: field("VERSION_CODENAME"),
        pretty: field("PRETTY_NAME"),
        kernel: texts.need("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        arch: debian_arch(machine).to_owned(),
        systemd: told("systemd").and_then(leading_number),
        resolved_stub: texts.get("/etc/resolv.conf")?.is_some_and(uses_stub),
    })
}

/// A field of `os-release`, unquoted as far as Debian and Ubuntu quote.
fn release_field(release: &str, key: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// Debian's word for what `uname -m` says.
fn debian_arch(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" | "armv8l" => "armhf",
        "ppc64le" => "ppc64el",
        other => other,
    }
}

fn leading_number(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

fn uses_stub(resolv_conf: &str) -> bool {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        words.next() == Some("nameserver") && words.next() == Some("127.0.0.53")
    };
    resolv_conf.lines().any(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Captured on Debian 12.
    const DEBIAN_12: &str = r#"PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/"
"#;

    // Composed after Ubuntu 24.04's and 22.04's base-files.
    const UBUNTU_2404: &str = r#"PRETTY_NAME="Ubuntu 24.04.1 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION="24.04.1 LTS (Noble Numbat)"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
HOME_URL="https://www.ubuntu.com/"
UBUNTU_CODENAME=noble
LOGO=ubuntu-logo
"#;
    const UBUNTU_2204: &str = r#"PRETTY_NAME="Ubuntu 22.04.5 LTS"
NAME="Ubuntu"
VERSION_ID="22.04"
VERSION="22.04.5 LTS (Jammy Jellyfish)"
VERSION_CODENAME=jammy
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME=jammy
"#;

    fn section(out: &str) -> Section<'_> {
        Section { code: 0, out: out.as_bytes(), err: b"" }
    }

    #[test]
    fn debian_12() {
        let texts = Texts::of([
            ("/etc/os-release", DEBIAN_12),
            ("/etc/resolv.conf", "nameserver 192.168.1.1\n"),
            ("/proc/sys/kernel/arch", "x86_64\n"),
            ("/proc/sys/kernel/osrelease", "6.1.0-25-amd64\n"),
        ]);
        let os = parse(&texts, &section("systemd 252.so\n")).expect("read");
        assert_eq!((os.id.as_str(), os.version.as_str(), os.codename.as_str()), ("debian", "12", "bookworm"));
        assert_eq!((os.arch.as_str(), os.kernel.as_str()), ("amd64", "6.1.0-25-amd64"));
        assert_eq!((os.systemd, os.resolved_stub), (Some(252), false));
    }

    #[test]
    fn ubuntu_24_04_with_the_resolver_stub() {
        let texts = Texts::of([
            ("/etc/os-release", UBUNTU_2404),
            ("/etc/resolv.conf", "# Do not edit.\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n"),
            ("/proc/sys/kernel/arch", "aarch64\n"),
            ("/proc/sys/kernel/osrelease", "6.8.0-41-generic\n"),
        ]);
        let os = parse(&texts, &section("systemd 255.so\n")).expect("read");
        assert_eq!((os.id.as_str(), os.version.as_str(), os.codename.as_str()), ("ubuntu", "24.04", "noble"));
        assert_eq!((os.pretty.as_str(), os.arch.as_str()), ("Ubuntu 24.04.1 LTS", "arm64"));
        assert!(os.resolved_stub);
    }

    #[test]
    fn ubuntu_22_04_whose_kernel_has_no_arch_file() {
        let texts =
            Texts::of([("/etc/os-release", UBUNTU_2204), ("/proc/sys/kernel/osrelease", "5.15.0-119-generic\n")]);
        let said = "arch x86_64\nsystemd 249 (249.11-0ubuntu3.12)\n";
        let os = parse(&texts, &section(said)).expect("read");
        assert_eq!((os.version.as_str(), os.arch.as_str(), os.systemd), ("22.04", "amd64", Some(249)));
        let os = parse(&texts, &section("arch x86_64\n")).expect("read");
        assert_eq!(os.systemd, None, "PID 1 is something else");
    }

    #[test]
    fn no_os_release_is_an_error() {
        assert!(parse(&Texts::default(), &section("")).is_err());
    }
}
