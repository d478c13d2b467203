//! Kernel modules: loaded, or built into the kernel.

use std::collections::BTreeMap;

use super::{error::FactError, section::Section};
use crate::shell;

/// The section's name.
pub const NAME: &str = "modules";

/// Modules that leave no trace under `/sys/module` when they are built in, with a file that is there when they work.
const SIGNS: &[(&str, &str)] = &[
    ("br_netfilter", "/proc/sys/net/bridge/bridge-nf-call-iptables"),
    ("ip_vs", "/proc/net/ip_vs"),
    ("nf_conntrack", "/proc/sys/net/netfilter/nf_conntrack_max"),
];

/// Writes the names of those that are there. Only if one is not found at once, the kernel's list of what is built into it
/// is searched. Empty where nothing is wanted.
pub fn command<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut tests = String::new();
    let mut pattern = Vec::new();
    for name in names.into_iter().filter(|name| is_name(name)) {
        let kernels = name.replace('-', "_");
        let sign = SIGNS.iter().find(|(module, _)| *module == kernels);
        let sign = sign.map(|(_, path)| format!("|| [ -e {path} ] ")).unwrap_or_default();
        let word = shell::quote(name);
        tests.push_str(&format!("[ -d /sys/module/{kernels} ] {sign}&& echo {word} || _m=1\n"));
        pattern.push(kernels.replace('_', "[-_]"));
    }
    if pattern.is_empty() {
        return String::new();
    }
    let pattern = shell::quote(&format!("/({})\\.ko$", pattern.join("|")));
    format!(
        r#"_m=
{tests}if [ -n "$_m" ] && read -r _k </proc/sys/kernel/osrelease && [ -e "/lib/modules/$_k/modules.builtin" ]; then
grep -E {pattern} "/lib/modules/$_k/modules.builtin"; [ $? -lt 2 ]
else :; fi
_s {NAME} $?"#
    )
}

/// Whether each wanted module is there.
///
/// # Errors
/// The kernel's list could not be read, or a name is no module's.
pub fn parse<'a>(
    section: Option<&Section<'_>>,
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, bool>, FactError> {
    let text = section.map_or(Ok(""), |section| section.text("modules"))?;
    // `kernel/net/bridge/br_netfilter.ko` or a plain name.
    let stem = |line: &str| {
        let file = line.rsplit('/').next().unwrap_or(line);
        file.strip_suffix(".ko").unwrap_or(file).replace('-', "_")
    };
    let there: Vec<String> = text.lines().map(stem).collect();
    let seen = wanted.into_iter().map(|name| match is_name(name) {
        true => Ok((name.to_owned(), there.contains(&name.replace('-', "_")))),
        false => Err(FactError::new("modules", format!("`{name}` is not a module's name"))),
    });
    seen.collect()
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaded_built_in_and_missing() {
        let out = b"overlay\nkernel/net/bridge/br_netfilter.ko\nkernel/fs/nls/nls_iso8859-1.ko\n";
        let section = Section { code: 0, out, err: b"" };
        let wanted = ["overlay", "br_netfilter", "nls-iso8859_1", "ip_vs"];
        let seen = parse(Some(&section), wanted).expect("read");
        assert!(seen["overlay"] && seen["br_netfilter"] && seen["nls-iso8859_1"]);
        assert!(!seen["ip_vs"]);
    }

    #[test]
    fn an_unreadable_list_is_unknown() {
        assert!(parse(Some(&Section { code: 1, out: b"", err: b"" }), ["overlay"]).is_err());
        assert!(parse(None, ["../overlay"]).is_err());
    }
}
