//! TCP ports that something listens on.

use super::{error::FactError, section::Section};
use crate::model::facts::ListeningPort;

/// The section's name.
pub const NAME: &str = "ports";

/// One process; the kernel is asked for listeners only, where `/proc/net/tcp` would walk every connection.
pub fn command() -> String {
    format!("_r {NAME} ss -Hltnp")
}

/// Each port and program once, in order.
///
/// # Errors
/// `ss` is not there or a line of it makes no sense.
pub fn parse(section: &Section<'_>) -> Result<Vec<ListeningPort>, FactError> {
    let text = section
        .text("ports")
        .map_err(|error| error.hint("`ss` of the package iproute2 is needed: apt-get install iproute2"))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let mut ports: Vec<ListeningPort> = lines.map(listener).collect::<Result<_, _>>()?;
    ports.sort_by(|a, b| (a.port, &a.program).cmp(&(b.port, &b.program)));
    ports.dedup();
    Ok(ports)
}

/// `LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3))`
fn listener(line: &str) -> Result<ListeningPort, FactError> {
    let local = line.split_whitespace().nth(3);
    let port = local.and_then(|address| address.rsplit_once(':')?.1.parse().ok());
    let port = port.ok_or_else(|| FactError::new("ports", format!("`{line}` makes no sense")))?;
    let users = line.split_once("users:((\"").and_then(|(_, users)| users.split_once('"'));
    Ok(ListeningPort { port, program: users.map(|(program, _)| program.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_form() {
        // Captured on Debian 12; the line of 127.0.0.53 is Ubuntu's, as ss prints a link's scope.
        let out =
            br#"LISTEN 0      4096   127.0.0.53%lo:53         0.0.0.0:*    users:(("systemd-resolve",pid=612,fd=14))
LISTEN 0      128          0.0.0.0:22        0.0.0.0:*    users:(("sshd",pid=35,fd=3))
LISTEN 0      128             [::]:22           [::]:*    users:(("sshd",pid=35,fd=4))
LISTEN 0      4096               *:6443            *:*    users:(("kube-apiserver",pid=913,fd=3))
LISTEN 0      1            0.0.0.0:111       0.0.0.0:*
"#;
        let ports = parse(&Section { code: 0, out, err: b"" }).expect("read");
        let told: Vec<(u16, Option<&str>)> = ports.iter().map(|port| (port.port, port.program.as_deref())).collect();
        assert_eq!(
            told,
            [(22, Some("sshd")), (53, Some("systemd-resolve")), (111, None), (6443, Some("kube-apiserver"))]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(parse(&Section { code: 0, out: b"LISTEN 0\n", err: b"" }).is_err());
        assert!(parse(&Section { code: 127, out: b"", err: b"" }).is_err());
    }
}
