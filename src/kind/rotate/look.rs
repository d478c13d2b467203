//! What is to be known of a node's certificates: those in files, whom kubeconfigs trust, which key belongs to which
//! authority, since when programs run, and what is shown on live ports. No key leaves the node: of each its public half's
//! digest is told.

use std::collections::BTreeMap;

use super::{CONFIGS, FOLDER, KUBELET, SERVERS};
use crate::{
    model::{etcd::EtcdLayout, observe::Seen},
    pki::{Trusted, bundle},
    render::{endpoint::CA_PATH, etcd},
    shell::words,
};

/// The name under which a node is asked.
pub const ASKED: &str = "rotation";

/// Certificates in a file, or in a part of it.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// When it was last written, seconds since 1970 by the node's clock.
    pub written: i64,
    pub certificates: Vec<Trusted>,
}

/// What was seen of one node.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// By path; of a kubeconfig the client's certificate in it.
    pub files: BTreeMap<String, File>,
    /// Whom a kubeconfig trusts, by its path.
    pub trust: BTreeMap<String, File>,
    /// SHA-256 of the public half, by the private key's path.
    pub keys: BTreeMap<String, String>,
    /// Since when a program runs, seconds since 1970 by the node's clock: [`SERVERS`] and `kubelet`.
    pub since: BTreeMap<String, i64>,
    /// The certificate that is shown on a port of the loopback.
    pub live: BTreeMap<u16, Trusted>,
}

/// POSIX text that reads it, under the name [`ASKED`].
pub fn script() -> String {
    format!(
        r#"kb_only() {{ awk '/^-----BEGIN CERTIFICATE-----/ {{ on = 1 }} on {{ print }} /^-----END CERTIFICATE-----/ {{ on = 0 }}'; }}
kb_head() {{ printf '@@ %s %s %s\n' "$1" "$(stat -L -c %Y "$2")" "$2"; }}
for kb_file in /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt {member}/*.crt {FOLDER}/*.crt {FOLDER}/*/*.crt {FOLDER}/*/etcd/*.crt {CA_PATH} {KUBELET}; do
  [ -f "$kb_file" ] || continue
  kb_head file "$kb_file"
  kb_only < "$kb_file"
done
for kb_file in {configs}; do
  kb_file=/etc/kubernetes/$kb_file
  [ -f "$kb_file" ] || continue
  kb_head trust "$kb_file"
  sed -n 's/^ *certificate-authority-data: //p' "$kb_file" | base64 -d | kb_only
  kb_ca=$(sed -n 's/^ *certificate-authority: //p' "$kb_file")
  [ ! -f "$kb_ca" ] || kb_only < "$kb_ca"
  grep -q '^ *client-certificate-data: ' "$kb_file" || continue
  kb_head file "$kb_file"
  sed -n 's/^ *client-certificate-data: //p' "$kb_file" | base64 -d | kb_only
done
for kb_file in /etc/kubernetes/pki/*ca.key {etcd_keys} {FOLDER}/*/*.key {FOLDER}/*/etcd/*.key; do
  [ -f "$kb_file" ] || continue
  kb_head key "$kb_file"
  openssl pkey -in "$kb_file" -pubout -outform der 2> /dev/null | sha256sum | cut -d ' ' -f 1
done
kb_since() {{
  kb_date=$(systemctl show -p ExecMainStartTimestamp --value "$2")
  [ -z "$kb_date" ] || printf '@@ since 0 %s\n%s\n' "$1" "$(date -d "$kb_date" +%s)"
}}
kb_live() {{
  printf '@@ live 0 %s\n' "$1"
  openssl s_client -connect "127.0.0.1:$1" < /dev/null 2> /dev/null | kb_only
}}
kb_since kubelet kubelet.service
if [ -e {unit_path} ]; then
  kb_since etcd {unit}
  kb_live 2379
fi
[ -e /etc/kubernetes/manifests/kube-apiserver.yaml ] || exit 0
for kb_name in {servers}; do
  printf '@@ since 0 %s\n' "$kb_name"
  crictl ps --name "^$kb_name$" --state Running --label io.kubernetes.pod.namespace=kube-system -o json \
    | sed -n 's/.*"createdAt": "\([0-9]*\)[0-9]\{{9\}}".*/\1/p' | sort -n | tail -n 1
done
kb_live 6443
[ -e {unit_path} ] || kb_live 2379
exit 0"#,
        member = EtcdLayout::SERVICE_FOLDER,
        etcd_keys = words(EtcdLayout::ALL.map(EtcdLayout::ca_key)),
        unit_path = etcd::UNIT_PATH,
        unit = EtcdLayout::UNIT,
        configs = words(CONFIGS),
        servers = words(SERVERS),
    )
}

impl Sight {
    /// What a node answered.
    ///
    /// # Errors
    /// It was not asked, or something in the answer is no certificate.
    pub fn of(seen: &Seen) -> Result<Self, String> {
        let answer = seen.commands.get(ASKED).ok_or("its certificates were not looked at")?;
        Self::parse(&String::from_utf8_lossy(&answer.stdout))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut sight = Self::default();
        for part in text.split("@@ ").skip(1) {
            let (head, body) = part.split_once('\n').unwrap_or((part, ""));
            let mut head = head.trim().splitn(3, ' ');
            let (Some(what), Some(written), Some(name)) = (head.next(), head.next(), head.next()) else {
                return Err("its answer is cut off".to_owned());
            };
            let file = || {
                let certificates = bundle(body).map_err(|why| format!("{name}: {why}"))?;
                Ok::<_, String>(File { written: written.parse().unwrap_or(i64::MAX), certificates })
            };
            match what {
                "file" => drop(sight.files.insert(name.to_owned(), file()?)),
                "trust" => drop(sight.trust.insert(name.to_owned(), file()?)),
                "key" => drop(sight.keys.insert(name.to_owned(), body.trim().to_owned())),
                "since" => {
                    if let Ok(since) = body.trim().parse() {
                        sight.since.insert(name.to_owned(), since);
                    }
                }
                "live" => {
                    if let (Ok(port), Some(shown)) = (name.parse(), file()?.certificates.into_iter().next()) {
                        sight.live.insert(port, shown);
                    }
                }
                _ => return Err(format!("its answer makes no sense: {what}")),
            }
        }
        Ok(sight)
    }

    /// The certificates in a file; none where there is no such file.
    pub fn certificates(&self, path: &str) -> &[Trusted] {
        self.files.get(path).map_or(&[], |file| &file.certificates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_shell_and_its_answer_is_read() {
        let checked = std::process::Command::new("/bin/sh").args(["-n", "-c", &script()]).status();
        assert!(checked.unwrap().success());
        let read = Sight::parse(
            "noise\n@@ file 17 /etc/kubernetes/pki/ca.crt\n@@ key 18 /etc/kubernetes/pki/ca.key\nab12\n\
             @@ since 0 etcd\n1800000000\n@@ since 0 kubelet\n\n@@ live 0 6443\n",
        );
        let read = read.unwrap();
        assert_eq!(read.files["/etc/kubernetes/pki/ca.crt"].written, 17);
        assert_eq!(read.keys["/etc/kubernetes/pki/ca.key"], "ab12");
        assert_eq!(
            (read.since.get("etcd"), read.since.get("kubelet"), read.live.len()),
            (Some(&1_800_000_000), None, 0)
        );
        assert!(Sight::parse("@@ what 0 x\n").is_err() && Sight::parse("@@ file\n").is_err());
    }
}
