//! Kernel parameters, read as small texts under `/proc/sys`.

use std::collections::BTreeMap;

use super::{error::FactError, texts::Texts};

/// The file of a parameter. A slash in a name stands for a dot in a part of it, as `sysctl` has it:
/// `net.ipv4.conf.eth0/100.rp_filter`.
pub fn path(name: &str) -> String {
    let swapped = name.chars().map(|char| match char {
        '.' => '/',
        '/' => '.',
        other => other,
    });
    format!("/proc/sys/{}", swapped.collect::<String>())
}

/// The value of every wanted parameter, `None` where the kernel has no such one. What separates several numbers is
/// one space, whatever the kernel writes.
///
/// # Errors
/// A parameter is there and could not be read.
pub fn parse<'a>(
    texts: &Texts,
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, Option<String>>, FactError> {
    let value = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    wanted.into_iter().map(|name| Ok((name.to_owned(), texts.get(&path(name))?.map(value)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_missing_ones() {
        let texts = Texts::of([
            ("/proc/sys/net/ipv4/ip_forward", "1\n"),
            ("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
        ]);
        let wanted = ["net.ipv4.ip_forward", "net.ipv4.ip_local_port_range", "net.bridge.bridge-nf-call-iptables"];
        let seen = parse(&texts, wanted).expect("read");
        assert_eq!(seen[wanted[0]].as_deref(), Some("1"));
        assert_eq!(seen[wanted[1]].as_deref(), Some("32768 60999"));
        assert_eq!(seen[wanted[2]], None);
    }

    #[test]
    fn dots_inside_a_part() {
        assert_eq!(path("net.ipv4.conf.eth0/100.rp_filter"), "/proc/sys/net/ipv4/conf/eth0.100/rp_filter");
    }
}
