//! What a control plane already has of what is made only once: the authorities and the cluster's identity.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use super::ActionError;
use crate::kind::rotate;
use crate::kube::Link;
use crate::model::etcd::EtcdLayout;
use crate::model::facts::ClusterIdentity;
use crate::model::name::NodeName;
use crate::model::secret::Secret;
use crate::pki::{SharedFile, SharedPath};
use crate::render::identity::PATH as IDENTITY;
use crate::shell::{words, wrap};
use crate::transport::{Limits, Script};

/// What was found on one node.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) pki: Vec<SharedFile>,
    pub(super) identity: Option<ClusterIdentity>,
}

/// Reads a control plane's shared files and identity in one round trip.
pub(super) async fn read(link: &Link, node: &NodeName) -> Result<Found, ActionError> {
    read_from(link, node, &script(SharedPath::FOLDER, Some(EtcdLayout::Service.ca_key()))).await
}

/// Reads the authorities that a control plane keeps to take the place of the present ones; in the order of
/// [`SharedPath::ALL`], none where there are none.
pub(super) async fn read_next(link: &Link, node: &NodeName) -> Result<Vec<SharedFile>, ActionError> {
    Ok(read_from(link, node, &script(&format!("{}/new", rotate::FOLDER), None)).await?.pki)
}

async fn read_from(link: &Link, node: &NodeName, script: &Script) -> Result<Found, ActionError> {
    let what = format!("read the authorities of {node}");
    let limits = Limits::within(Duration::from_secs(15));
    let output = link.look(node, script, limits).await.map_err(|error| ActionError::new(&what, error))?;
    let stdout = Zeroizing::new(output.stdout);
    if !output.exit.is_success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(ActionError::new(&what, &output.exit).details(said.lines().map(String::from)));
    }
    parse(&stdout).map_err(|cause| ActionError::new(&what, cause))
}

/// One line for each file that is there: its name, a space, its content in base64. The key of etcd's authority may lie in
/// `elsewhere`, too: whether it does is the layout's, which is not known here; without its certificate it is nothing.
fn script(folder: &str, elsewhere: Option<&str>) -> Script {
    let files = words(SharedPath::ALL.map(SharedPath::as_str));
    let (key, certificate) = (SharedPath::EtcdCaKey, SharedPath::EtcdCaCrt);
    let elsewhere = elsewhere.map_or_else(String::new, |place| {
        format!("if [ $file = {key} ] && [ -s {place} ] && [ -s {folder}/{certificate} ]; then place={place}; fi\n  ")
    });
    Script::new(wrap(&format!(
        "for file in {files}; do\n  \
           place={folder}/$file\n  \
           {elsewhere}\
           [ -s $place ] || continue\n  \
           text=$(base64 -w0 $place) || exit 1\n  \
           printf '%s %s\\n' $file \"$text\"\n\
         done\n\
         [ ! -s {IDENTITY} ] || {{ text=$(base64 -w0 {IDENTITY}) && printf 'identity %s\\n' \"$text\"; }}",
    )))
}

fn parse(stdout: &[u8]) -> Result<Found, String> {
    let mut found = Found::default();
    for line in std::str::from_utf8(stdout).map_err(|_| "the answer is not text")?.lines() {
        let (name, content) = line.split_once(' ').ok_or("the answer is cut off")?;
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(content).map_err(|_| format!("{name} is cut off"))?);
        let content = std::str::from_utf8(&bytes).map_err(|_| format!("{name} is not text"))?;
        if name == "identity" {
            let identity = toml::from_str(content).map_err(|error| format!("{IDENTITY}: {}", error.message()))?;
            found.identity = Some(identity);
        } else if let Some(path) = SharedPath::of(name) {
            found.pki.push(SharedFile { path, content: Secret::new(String::from(content)) });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_read() {
        let encode = |text: &str| BASE64_STANDARD.encode(text);
        let identity = "id = \"00\"\nname = \"lab\"\nca_sha256 = \"11\"\n";
        let stdout =
            format!("ca.crt {}\netcd/ca.key {}\nidentity {}\n", encode("CRT"), encode("KEY"), encode(identity));
        let found = parse(stdout.as_bytes()).unwrap();
        let paths: Vec<SharedPath> = found.pki.iter().map(|file| file.path).collect();
        assert_eq!(paths, [SharedPath::CaCrt, SharedPath::EtcdCaKey]);
        assert_eq!(found.pki[1].content.expose(), "KEY");
        assert_eq!(found.identity.unwrap().name, "lab");
        assert!(parse(b"").unwrap().pki.is_empty());
        for bad in ["ca.crt", "ca.crt A", "identity aGE="] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_that_lies_elsewhere_is_read_there_beside_its_certificate() {
        let root = tempfile::tempdir().unwrap();
        let (folder, key) = (root.path().join("pki"), root.path().join("etcd-ca.key"));
        std::fs::create_dir_all(folder.join("etcd")).unwrap();
        let read = || {
            let script = script(folder.to_str().unwrap(), key.to_str());
            let output = std::process::Command::new("/bin/sh").args(["-c", script.expose()]).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            parse(&output.stdout)
                .unwrap()
                .pki
                .into_iter()
                .map(|file| (file.path, file.content.expose().clone()))
                .collect::<Vec<_>>()
        };
        std::fs::write(&key, "NEW").unwrap();
        assert!(read().is_empty(), "a run died before the certificate came");
        std::fs::write(folder.join("etcd/ca.crt"), "CRT").unwrap();
        let both = |key: &str| vec![(SharedPath::EtcdCaCrt, "CRT".to_owned()), (SharedPath::EtcdCaKey, key.to_owned())];
        assert_eq!(read(), both("NEW"));
        std::fs::remove_file(&key).unwrap();
        std::fs::write(folder.join("etcd/ca.key"), "OLD").unwrap();
        assert_eq!(read(), both("OLD"), "as an older version of this program laid it");
    }
}
