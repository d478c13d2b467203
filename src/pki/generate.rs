//! Making the authorities.

use rand::{CryptoRng, RngCore};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType,
    SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::{Authorities, Authority, Pair, PkiError, SigningPair};
use crate::model::secret::Secret;

/// How long an authority is valid: as with kubeadm, ten years of 365 days (`CACertificateValidityPeriod`).
const VALIDITY: Duration = Duration::days(3650);

/// How far its beginning is set back, so that a node whose clock is a little behind accepts it (kubeadm's
/// `CertificateBackdate`).
pub(super) const BACKDATE: Duration = Duration::minutes(5);

impl Authorities {
    /// Makes all four, ECDSA P-256, valid from five minutes before `now`.
    ///
    /// `rng` gives the serial numbers. Keys come from the operating system's randomness alone: ring takes no other
    /// source.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn generate(now: OffsetDateTime, rng: &mut impl CryptoRng) -> Result<Self, PkiError> {
        let service_accounts = key_pair(Authority::ServiceAccounts)?;
        Ok(Self {
            kubernetes: authority(Authority::Kubernetes, now, rng)?,
            front_proxy: authority(Authority::FrontProxy, now, rng)?,
            etcd: authority(Authority::Etcd, now, rng)?,
            service_accounts: SigningPair {
                public: service_accounts.public_key_pem(),
                key: Secret::new(service_accounts.serialize_pem()),
            },
        })
    }
}

/// A self-signed authority, the same in every field as kubeadm's own (`pkiutil.NewCertificateAuthority`).
fn authority(which: Authority, now: OffsetDateTime, rng: &mut impl RngCore) -> Result<Pair, PkiError> {
    let name = which.common_name().unwrap_or_default();
    let failed = |why: rcgen::Error| PkiError::Generate { authority: which, reason: why.to_string() };
    let key = key_pair(which)?;

    // Every field is set: rcgen's defaults (a name of its own, 1975 to 4096, no key usage, no basic constraints) are
    // all wrong here.
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![SanType::DnsName(name.try_into().map_err(failed)?)];
    params.not_before = now - BACKDATE;
    params.not_after = now + VALIDITY;
    params.serial_number = Some(serial(rng));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyCertSign];
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(Pair { certificate: certificate.pem(), key: Secret::new(key.serialize_pem()) })
}

fn key_pair(which: Authority) -> Result<KeyPair, PkiError> {
    KeyPair::generate().map_err(|why| PkiError::Generate { authority: which, reason: why.to_string() })
}

/// A serial number of 16 bytes. Its first byte lies between 0x40 and 0x7f: positive, never shortened, and within the
/// 20 bytes that RFC 5280 (4.1.2.2) allows.
pub(super) fn serial(rng: &mut impl RngCore) -> SerialNumber {
    let mut bytes = [0_u8; 16];
    rng.fill_bytes(&mut bytes);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};
    use x509_parser::pem::parse_x509_pem;
    use x509_parser::prelude::*;

    use super::*;
    use crate::pki::SharedPath;

    fn made() -> (OffsetDateTime, Authorities) {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        (now, Authorities::generate(now, &mut StdRng::seed_from_u64(7)).unwrap())
    }

    #[test]
    fn certificates_are_what_kubeadm_would_make() {
        let (now, made) = made();
        for (pair, name) in
            [(&made.kubernetes, "kubernetes"), (&made.front_proxy, "front-proxy-ca"), (&made.etcd, "etcd-ca")]
        {
            let (_, pem) = parse_x509_pem(pair.certificate.as_bytes()).unwrap();
            let certificate = pem.parse_x509().unwrap();
            assert_eq!(certificate.version(), X509Version::V3);
            assert_eq!(certificate.subject().to_string(), format!("CN={name}"));
            assert_eq!(certificate.issuer(), certificate.subject());
            assert_eq!(certificate.validity().not_before.timestamp(), now.unix_timestamp() - 300);
            assert_eq!(certificate.validity().not_after.timestamp(), now.unix_timestamp() + 3650 * 86400);

            let constraints = certificate.tbs_certificate.basic_constraints().unwrap().unwrap();
            assert!(constraints.critical && constraints.value.ca && constraints.value.path_len_constraint.is_none());
            let usage = certificate.key_usage().unwrap().unwrap();
            assert!(usage.critical);
            assert_eq!(usage.value.to_string(), "Digital Signature, Key Encipherment, Key Cert Sign");
            assert!(certificate.extended_key_usage().unwrap().is_none());
            let names = certificate.subject_alternative_name().unwrap().unwrap();
            assert_eq!(names.value.general_names, [GeneralName::DNSName(name)]);

            assert!(certificate.raw_serial().len() <= 20 && certificate.raw_serial()[0] < 0x80);
            certificate.verify_signature(None).unwrap();
        }
    }

    #[test]
    fn serials_are_all_different() {
        let (_, made) = made();
        let mut serials: Vec<Vec<u8>> = [&made.kubernetes, &made.front_proxy, &made.etcd]
            .iter()
            .map(|pair| {
                let (_, pem) = parse_x509_pem(pair.certificate.as_bytes()).unwrap();
                pem.parse_x509().unwrap().raw_serial().to_vec()
            })
            .collect();
        serials.sort();
        serials.dedup();
        assert_eq!(serials.len(), 3);
    }

    #[test]
    fn keys_have_the_forms_that_kubeadm_reads() {
        let (_, made) = made();
        for path in [SharedPath::CaKey, SharedPath::FrontProxyCaKey, SharedPath::EtcdCaKey, SharedPath::SaKey] {
            assert!(made.content(path).expose().starts_with("-----BEGIN PRIVATE KEY-----\n"), "{path}");
        }
        assert!(made.content(SharedPath::SaPub).expose().starts_with("-----BEGIN PUBLIC KEY-----\n"));
        assert_eq!(made.files().len(), 8);
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }
}
