//! The certificate of a member of etcd that this program runs as a service.

use std::net::IpAddr;

use rand::CryptoRng;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use super::generate::{BACKDATE, serial};
use super::{Authority, Pair, PkiError};
use crate::model::name::NodeName;
use crate::model::secret::Secret;

/// How long it is good for: a year, as with kubeadm's leaves (`CertificateValidityPeriod`).
const VALIDITY: Duration = Duration::days(365);

/// Signs a certificate for the member on a node, and makes its key: it shows it to clients and to other members, and asks
/// them with it (etcd's gateway asks its own member with the server's certificate, so that one for both is needed anyway).
///
/// Names are those that kubeadm gives a member: the node's, `localhost`, its addresses, the loopback's.
///
/// # Errors
/// An authority that cannot sign.
pub fn member(
    etcd: &Pair,
    node: &NodeName,
    addresses: &[IpAddr],
    now: OffsetDateTime,
    rng: &mut impl CryptoRng,
) -> Result<Pair, PkiError> {
    let failed = |why: rcgen::Error| PkiError::Generate { authority: Authority::Etcd, reason: why.to_string() };
    let authority = KeyPair::from_pem(etcd.key.expose()).map_err(failed)?;
    let issuer = Issuer::from_ca_cert_pem(&etcd.certificate, authority).map_err(failed)?;
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, node.as_str());
    for name in [node.as_str(), "localhost"] {
        params.subject_alt_names.push(SanType::DnsName(name.try_into().map_err(failed)?));
    }
    let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    params.subject_alt_names.extend(addresses.iter().copied().chain(loopback).map(SanType::IpAddress));
    params.not_before = now - BACKDATE;
    params.not_after = now + VALIDITY;
    params.serial_number = Some(serial(rng));
    // While authorities are exchanged there are two of one name, and OpenSSL takes the first of that name without it.
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
    Ok(Pair { certificate: certificate.pem(), key: Secret::new(key.serialize_pem()) })
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};
    use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension, pem::parse_x509_pem};

    use super::*;
    use crate::pki::Authorities;

    #[test]
    fn it_serves_and_asks_in_the_name_of_its_node() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        let made = Authorities::generate(now, &mut rng).unwrap();
        let own = ["10.0.0.21".parse().unwrap()];
        let pair = member(&made.etcd, &"w1".parse().unwrap(), &own, now, &mut rng).unwrap();
        let (_, pem) = parse_x509_pem(pair.certificate.as_bytes()).unwrap();
        let (_, authority) = parse_x509_pem(made.etcd.certificate.as_bytes()).unwrap();
        let (leaf, authority) = (pem.parse_x509().unwrap(), authority.parse_x509().unwrap());
        leaf.verify_signature(Some(authority.public_key())).unwrap();
        assert_eq!((leaf.subject().to_string(), leaf.issuer().to_string()), ("CN=w1".into(), "CN=etcd-ca".into()));
        let identifier = |certificate: &X509Certificate| -> Option<Vec<u8>> {
            certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(own) => own.key_identifier.as_ref().map(|key| key.0.to_vec()),
                ParsedExtension::SubjectKeyIdentifier(own) if certificate.is_ca() => Some(own.0.to_vec()),
                _ => None,
            })
        };
        assert!(identifier(&leaf).is_some() && identifier(&leaf) == identifier(&authority), "which of two of one name");
        let usage = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && usage.client_auth && !leaf.is_ca());
        let names = leaf.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
        assert_eq!(names.len(), 5, "{names:?}");
        assert_eq!(leaf.validity().not_after.timestamp(), now.unix_timestamp() + 365 * 86400);
    }
}
