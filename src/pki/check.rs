//! Taking over authorities that a node already has.

use rcgen::{KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::{Pem, parse_x509_pem};

use super::{Authorities, Authority, Pair, PkiError, SharedFile, SharedPath, SigningPair};
use crate::model::secret::Secret;

impl Authorities {
    /// Reads the eight files of a control plane and checks what kubeadm does not: that each key belongs to its
    /// certificate, that certificates may sign, and that they are valid at `now`.
    ///
    /// Keys are read in the form that [`Authorities::generate`] writes (PKCS#8).
    ///
    /// # Errors
    /// The first problem found, with the file's name.
    pub fn parse(files: &[SharedFile], now: OffsetDateTime) -> Result<Self, PkiError> {
        let given = |path: SharedPath| -> Result<&Secret<String>, PkiError> {
            files.iter().find(|file| file.path == path).map(|file| &file.content).ok_or(PkiError::Missing(path))
        };
        let pair = |authority: Authority| -> Result<Pair, PkiError> {
            let (crt, key) = authority.files();
            let pair = Pair { certificate: given(crt)?.expose().clone(), key: given(key)?.clone() };
            check_pair(crt, &pair.certificate, key, &pair.key, now)?;
            Ok(pair)
        };
        let service_accounts =
            SigningPair { public: given(SharedPath::SaPub)?.expose().clone(), key: given(SharedPath::SaKey)?.clone() };
        let public = pem(SharedPath::SaPub, &service_accounts.public)?;
        if public.contents != public_key(SharedPath::SaKey, &service_accounts.key)? {
            return Err(PkiError::Mismatch { key: SharedPath::SaKey, public: SharedPath::SaPub });
        }
        Ok(Self {
            kubernetes: pair(Authority::Kubernetes)?,
            front_proxy: pair(Authority::FrontProxy)?,
            etcd: pair(Authority::Etcd)?,
            service_accounts,
        })
    }

    /// SHA-256 of the cluster's authority, as [`ca_sha256`] has it.
    ///
    /// # Errors
    /// Where the certificate cannot be read, which no value made by this module shows.
    pub fn ca_sha256(&self) -> Result<String, PkiError> {
        ca_sha256(&self.kubernetes.certificate)
    }
}

/// SHA-256 (hex, lower case) of the public key in a certificate, over its DER SubjectPublicKeyInfo: what kubeadm writes
/// as `caCertHashes`, without the `sha256:` before it. Of several certificates the first counts, as with kubeadm.
///
/// # Errors
/// Where the text holds no certificate.
pub fn ca_sha256(pem_text: &str) -> Result<String, PkiError> {
    let pem = pem(SharedPath::CaCrt, pem_text)?;
    let certificate = x509(SharedPath::CaCrt, &pem)?;
    let digest = Sha256::digest(certificate.public_key().raw);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn check_pair(
    crt: SharedPath,
    certificate: &str,
    key: SharedPath,
    secret: &Secret<String>,
    now: OffsetDateTime,
) -> Result<(), PkiError> {
    let pem = pem(crt, certificate)?;
    let certificate = x509(crt, &pem)?;
    let may_sign = certificate.key_usage().ok().flatten().is_none_or(|usage| usage.value.key_cert_sign());
    if !certificate.is_ca() || !may_sign {
        return Err(PkiError::NotAnAuthority(crt));
    }
    if certificate.public_key().raw != public_key(key, secret)? {
        return Err(PkiError::Mismatch { key, public: crt });
    }
    let (from, until) =
        (certificate.validity().not_before.to_datetime(), certificate.validity().not_after.to_datetime());
    if !(from..=until).contains(&now) {
        let text = |moment: OffsetDateTime| moment.format(&Rfc3339).unwrap_or_else(|_| moment.to_string());
        return Err(PkiError::NotValid { path: crt, from: text(from), until: text(until), at: text(now) });
    }
    Ok(())
}

/// The first PEM block of a text.
fn pem(path: SharedPath, text: &str) -> Result<Pem, PkiError> {
    parse_x509_pem(text.as_bytes())
        .map(|(_, pem)| pem)
        .map_err(|_| PkiError::Unreadable { path, reason: String::from("it is not PEM") })
}

fn x509(path: SharedPath, pem: &Pem) -> Result<X509Certificate<'_>, PkiError> {
    pem.parse_x509().map_err(|why| PkiError::Unreadable { path, reason: why.to_string() })
}

/// The public half of a private key, as DER SubjectPublicKeyInfo.
fn public_key(path: SharedPath, key: &Secret<String>) -> Result<Vec<u8>, PkiError> {
    let pair = KeyPair::from_pem(key.expose()).map_err(|_| PkiError::Unreadable {
        path,
        reason: String::from("it is not a private key in PKCS#8 (`BEGIN PRIVATE KEY`)"),
    })?;
    Ok(pair.subject_public_key_info())
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};
    use time::Duration;

    use super::*;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    fn made(seed: u64) -> Authorities {
        Authorities::generate(now(), &mut StdRng::seed_from_u64(seed)).unwrap()
    }

    fn swapped(mut files: Vec<SharedFile>, path: SharedPath, content: Secret<String>) -> Vec<SharedFile> {
        for file in &mut files {
            if file.path == path {
                file.content = content.clone();
            }
        }
        files
    }

    #[test]
    fn what_was_made_is_taken_over_unchanged() {
        let made = made(1);
        assert_eq!(Authorities::parse(&made.files(), now()), Ok(made));
    }

    #[test]
    fn each_key_must_belong_to_its_public_half() {
        let (ours, other) = (made(1), made(2));
        for (public, key) in [
            Authority::Kubernetes.files(),
            Authority::FrontProxy.files(),
            Authority::Etcd.files(),
            Authority::ServiceAccounts.files(),
        ] {
            let files = swapped(ours.files(), key, other.content(key));
            assert_eq!(Authorities::parse(&files, now()), Err(PkiError::Mismatch { key, public }));
        }
    }

    #[test]
    fn missing_and_garbled_files_are_named() {
        let ours = made(1);
        let mut files = ours.files();
        files.retain(|file| file.path != SharedPath::EtcdCaKey);
        assert_eq!(Authorities::parse(&files, now()), Err(PkiError::Missing(SharedPath::EtcdCaKey)));
        for path in SharedPath::ALL {
            let files = swapped(ours.files(), path, Secret::new(String::from("-----BEGIN\nhunter2")));
            let why = Authorities::parse(&files, now()).unwrap_err().to_string();
            assert!(why.contains(path.as_str()) && !why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn validity_has_two_ends() {
        let ours = made(1);
        for (moment, valid) in [
            (Duration::minutes(-4), true),
            (Duration::minutes(-6), false),
            (Duration::days(3649), true),
            (Duration::days(3651), false),
        ] {
            assert_eq!(Authorities::parse(&ours.files(), now() + moment).is_ok(), valid, "{moment}");
        }
    }

    #[test]
    fn a_plain_certificate_is_no_authority() {
        let ours = made(1);
        let key = KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let files = swapped(ours.files(), SharedPath::CaCrt, Secret::new(leaf.pem()));
        let files = swapped(files, SharedPath::CaKey, Secret::new(key.serialize_pem()));
        assert_eq!(Authorities::parse(&files, now()), Err(PkiError::NotAnAuthority(SharedPath::CaCrt)));
    }

    /// A certificate made by OpenSSL and the digest of its key, as the command in kubeadm's manual prints it:
    /// `openssl x509 -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256`.
    #[test]
    fn digest_is_the_one_that_kubeadm_wants() {
        const PEM: &str = "-----BEGIN CERTIFICATE-----\n\
            MIIBfzCCASWgAwIBAgIUAx2Ej1+fHpjM07SjFKlZvTrTn1owCgYIKoZIzj0EAwIw\n\
            FTETMBEGA1UEAwwKa3ViZXJuZXRlczAeFw0yNjExMjExMjA4MDhaFw0zNjExMTgx\n\
            MjA4MDhaMBUxEzARBgNVBAMMCmt1YmVybmV0ZXMwWTATBgcqhkjOPQIBBggqhkjO\n\
            PQMBBwNCAARi17ICqrZDaCFpp8nGs69D6adkJx7+K6NBFjkPKuNvTiXzPhP+fvbp\n\
            DVcXPRaY9VTWEtlSlUyhGBYTva6XoFJto1MwUTAdBgNVHQ4EFgQU2R4+8JXWUfuF\n\
            lbjbBfd/+f3G9MkwHwYDVR0jBBgwFoAU2R4+8JXWUfuFlbjbBfd/+f3G9MkwDwYD\n\
            VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBkNn6+DWcW4rM9Ye3+GW+p\n\
            iJzW1febh1NMR9DwRnV3jQIhAPa0761nSkslNKYeuOakWVEsfvupod+9RdYuYFs9\n\
            RGe0\n\
            -----END CERTIFICATE-----\n";
        assert_eq!(ca_sha256(PEM).unwrap(), "eacd9a8812276b11c4d6fbb6c170bcbde455644568abe81f7b15ca3b94ea1e64");
        assert!(ca_sha256("").is_err());
    }
}
