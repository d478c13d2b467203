//! Whether the host that answered is the one that was meant.

use std::path::{Path, PathBuf};

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};

use crate::model::ssh::SshTarget;
use crate::transport::Cause;

use super::known_hosts::{Record, Verdict};
use super::record;

/// Judges one host's key by the known_hosts files of its target.
#[derive(Debug)]
pub(super) struct Verifier {
    host: String,
    record: Record,
    /// Where an unknown key is recorded and so accepted; absent where unknown keys are refused.
    accept_into: Option<PathBuf>,
}

impl Verifier {
    /// Reads what the files say about the host. A missing file says nothing.
    pub(super) async fn load(target: &SshTarget) -> Result<Self, Cause> {
        let host = target.known_as();
        let mut record = Record::default();
        for path in &target.known_hosts {
            match tokio::fs::read(path).await {
                Ok(text) => record.read(&host, path, &text),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(unusable(path, &error)),
            }
        }
        for note in &record.notes {
            tracing::warn!(host, "{note}");
        }
        let accept_into = target.known_hosts.first().filter(|_| target.accept_new_host_keys).cloned();
        Ok(Self { host, record, accept_into })
    }

    /// Host key algorithms to offer, recorded types first, so that a host that has such a key answers with it.
    ///
    /// The others stay on offer: a host that lost its recorded key shows which one it has now, and is refused with its
    /// fingerprint instead of with "no common algorithm". `ssh-rsa` with SHA-1 is never offered.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let mut all = vec![
            Algorithm::Ed25519,
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
            Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
            Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
        ];
        let is_recorded = |algorithm: &Algorithm| {
            let key_type = if algorithm.clone().is_rsa() { "ssh-rsa" } else { algorithm.as_str() };
            self.record.algorithms().any(|recorded| recorded == key_type)
        };
        all.sort_by_key(|algorithm| !is_recorded(algorithm));
        all
    }

    /// Accepts or refuses what the host offers.
    pub(super) async fn verify(&self, offered: &PublicKeyOrCertificate) -> Result<(), Cause> {
        // Certificates are never offered to the server, so this is the key itself.
        let key = offered.public_key();
        let blob = key.to_bytes().map_err(|error| Cause::Handshake { message: error.to_string() })?;
        match (self.record.judge(&blob), &self.accept_into) {
            (Verdict::Unknown, Some(path)) => {
                let (path, host, line) = (path.clone(), self.host.clone(), blob.clone());
                let algorithm = key.algorithm().as_str().to_owned();
                let recorded = tokio::task::spawn_blocking(move || {
                    record::add(&path, &host, &algorithm, &line).map_err(|error| unusable(&path, &error))
                });
                let verdict = recorded.await.map_err(|error| Cause::Handshake { message: error.to_string() })??;
                self.refuse_unless_known(verdict, &key)
            }
            (verdict, _) => self.refuse_unless_known(verdict, &key),
        }
    }

    fn refuse_unless_known(&self, verdict: Verdict, key: &PublicKey) -> Result<(), Cause> {
        let host = self.host.clone();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let algorithm = key.algorithm().as_str().to_owned();
        Err(match verdict {
            Verdict::Known => return Ok(()),
            Verdict::Unknown => {
                Cause::HostKeyUnknown { host, fingerprint, algorithm, notes: self.record.notes.clone() }
            }
            Verdict::Changed(at) => Cause::HostKeyChanged { host, fingerprint, algorithm, known_at: at.to_string() },
            Verdict::Revoked(at) => Cause::HostKeyRevoked { host, fingerprint, algorithm, known_at: at.to_string() },
        })
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> Cause {
    Cause::KnownHosts { path: path.into(), message: error.to_string() }
}
