//! `kbootstrap certs status`: every certificate on every node, how long it is good, and what uses it.

use std::{collections::BTreeMap, str::FromStr};

use clap::Args;
use time::{Duration, OffsetDateTime};

use super::super::{Failure, Format, Machines, Output, open, reach};
use crate::{
    error::ExitStatus,
    gather::{self, Ask, Target},
    model::{
        etcd::EtcdLayout,
        invalid::Invalid,
        observe::{Observation, Read},
    },
    pki,
    ui::{self, CertificateRow, Paint},
};

/// Show every certificate on every node, the days it has left, and what uses it
///
/// Needs no API: it works when everything has expired. The exit status is 1 where one has fewer days than --fail-under, or
/// has expired, and 4 where a node could not be asked.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    machines: Machines,

    /// The least time that every certificate must have left: days (30d) or hours (12h)
    #[arg(long, value_name = "TIME", default_value = "0h")]
    fail_under: Left,
}

/// Time that is left, in days or hours.
#[derive(Debug, Clone, Copy)]
struct Left(Duration);

impl FromStr for Left {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = || {
            Invalid::new(format!("`{}` is no time", text.escape_debug())).hint("days such as 30d, or hours such as 12h")
        };
        let (number, hours) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
            (Some(days), _) => (days, 24),
            (None, Some(hours)) => (hours, 1),
            (None, None) => return Err(refused()),
        };
        let number: u32 = number.parse().map_err(|_| refused())?;
        Ok(Self(Duration::hours(i64::from(number) * hours)))
    }
}

/// What is asked of a node, under this name.
pub(super) const ASKED: &str = "certificates";

/// Every file that holds a certificate of the cluster, of each its certificates alone: `@@ PATH`, then PEM. Private keys in
/// the same file never leave the node.
pub(super) fn script() -> String {
    format!(
        r#"kb_only='/^-----BEGIN CERTIFICATE-----/ {{ on = 1 }} on {{ print }} /^-----END CERTIFICATE-----/ {{ on = 0 }}'
for kb_file in /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt {member}/*.crt /var/lib/kubelet/pki/kubelet.crt \
  /var/lib/kubelet/pki/kubelet-client-current.pem /var/lib/kubelet/pki/kubelet-server-current.pem; do
  [ -f "$kb_file" ] || continue
  echo "@@ $kb_file"
  awk "$kb_only" "$kb_file"
done
for kb_file in /etc/kubernetes/*.conf; do
  grep -qs '^ *client-certificate-data: ' "$kb_file" || continue
  echo "@@ $kb_file"
  sed -n 's/^ *client-certificate-data: //p' "$kb_file" | base64 -d | awk "$kb_only"
done"#,
        member = EtcdLayout::SERVICE_FOLDER,
    )
}

/// What uses the certificate in a file.
fn user(path: &str) -> &'static str {
    let path = path.strip_prefix("/etc/kubernetes/").unwrap_or(path);
    if path == EtcdLayout::Service.ca_certificate() {
        return "authority of etcd, to its member";
    }
    if path == EtcdLayout::Service.client_certificate().0 {
        return "etcd, to clients and other members";
    }
    match path {
        "pki/ca.crt" => "authority of servers, users and kubelets",
        "pki/front-proxy-ca.crt" => "authority of the aggregation layer",
        "pki/etcd/ca.crt" => "authority of etcd",
        "pki/apiserver.crt" => "API server, to everybody",
        "pki/apiserver-kubelet-client.crt" => "API server, to kubelets",
        "pki/apiserver-etcd-client.crt" => "API server, to etcd",
        "pki/front-proxy-client.crt" => "API server, to its extensions",
        "pki/etcd/server.crt" => "etcd, to clients",
        "pki/etcd/peer.crt" => "etcd, to other members",
        "pki/etcd/healthcheck-client.crt" => "probes of etcd",
        "admin.conf" => "administrators",
        "super-admin.conf" => "administrators, past all rules",
        "controller-manager.conf" => "controller manager",
        "scheduler.conf" => "scheduler",
        "kubelet.conf" => "kubelet, at its first start",
        "/var/lib/kubelet/pki/kubelet.crt" => "kubelet, to the API server",
        "/var/lib/kubelet/pki/kubelet-client-current.pem" => "kubelet; it renews it itself",
        "/var/lib/kubelet/pki/kubelet-server-current.pem" => "kubelet, to the API server; it renews it itself",
        _ => "",
    }
}

impl Status {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let spec = open::spec(&self.machines)?;
        let password = open::sudo_password(&spec)?;
        let read = [Read::Command { id: ASKED.to_owned(), script: script() }];
        let targets = spec.nodes.iter().map(|node| Target {
            name: node.name.clone(),
            ssh: reach::target(node, self.machines.accept_new_host_keys, password.as_ref()),
            ask: Ask::new(&read),
            keep: false,
        });
        let gathered = gather::observe(reach::connector(), targets.collect(), |_, _| {}).await;
        let now = OffsetDateTime::now_utc();
        let (mut rows, mut silent) = (Vec::new(), BTreeMap::new());
        for node in &spec.nodes {
            match &gathered[&node.name].observation {
                Observation::Seen(seen) => {
                    let said = seen.commands.get(ASKED).map(|answer| answer.stdout.as_slice()).unwrap_or_default();
                    rows.extend(files(node.name.as_str(), said, now));
                }
                Observation::Unknown { error, .. } => drop(silent.insert(node.name.to_string(), error.clone())),
            }
        }
        match output.format() {
            Format::Human => output.result(&ui::certificates(&rows, &silent, Paint { colour: output.colour() }))?,
            Format::Json => output.document(&ui::json::certificates(&rows, &silent))?,
        }
        let short = |row: &CertificateRow| match (row.until, &row.problem) {
            (Some(until), None) => until - now < self.fail_under.0.max(Duration::SECOND),
            _ => true,
        };
        Ok(match (rows.iter().any(short), silent.is_empty()) {
            (true, _) => ExitStatus::Failed,
            (false, false) => ExitStatus::Partial,
            (false, true) => ExitStatus::Done,
        })
    }
}

/// The answer of one node, a row for each file: of several certificates in one the first that ends.
pub(super) fn files(node: &str, said: &[u8], now: OffsetDateTime) -> Vec<CertificateRow> {
    let text = String::from_utf8_lossy(said);
    let mut rows = Vec::new();
    for part in text.split("@@ ").skip(1) {
        let (path, pem) = part.split_once('\n').unwrap_or((part, ""));
        let mut row = CertificateRow {
            node: node.to_owned(),
            path: path.trim().to_owned(),
            user: user(path.trim()),
            ..CertificateRow::default()
        };
        match pki::certificates(pem.as_bytes()) {
            Ok(all) => match all.into_iter().min_by_key(|certificate| certificate.not_after) {
                Some(first) => {
                    row.days = Some((first.not_after - now).whole_days());
                    row.until = Some(first.not_after);
                    row.serial = first.serial;
                    row.issuer = first.issuer;
                    row.subject = first.subject;
                    row.authority = first.authority;
                    row.expired = first.not_after <= now;
                }
                None => row.problem = Some("it holds no certificate".to_owned()),
            },
            Err(why) => row.problem = Some(why),
        }
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_shell() {
        let checked = std::process::Command::new("/bin/sh").args(["-n", "-c", &script()]).status();
        assert!(checked.unwrap().success());
    }

    #[test]
    fn time_is_days_or_hours() {
        let of = |text: &str| text.parse::<Left>().map(|left| left.0.whole_hours());
        assert_eq!((of("30d").unwrap(), of("12h").unwrap()), (720, 12));
        for bad in ["", "30", "d", "-1d", "1w"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_told() {
        let rows = files("cp1", b"@@ /etc/kubernetes/pki/ca.crt\n@@ /x\nno pem\n", OffsetDateTime::UNIX_EPOCH);
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|row| row.problem.is_some() && row.until.is_none()));
        assert_eq!(rows[0].user, "authority of servers, users and kubelets");
    }
}
