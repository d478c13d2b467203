//! What a certificate says of itself: of whom, by whom, how long.

use time::OffsetDateTime;
use x509_parser::pem::Pem;

/// A certificate as an operator needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The common name of whom it is about; empty where it has none.
    pub subject: String,
    /// The common name of who signed it.
    pub issuer: String,
    /// Hex, as `openssl x509 -serial` writes it.
    pub serial: String,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    /// Whether it may sign others.
    pub authority: bool,
}

/// The certificates of a PEM text, in order; what else is in it is passed over.
///
/// # Errors
/// The text is no PEM, or one of its certificates cannot be read.
pub fn certificates(text: &[u8]) -> Result<Vec<Certificate>, String> {
    let mut all = Vec::new();
    for pem in Pem::iter_from_buffer(text) {
        let pem = pem.map_err(|why| why.to_string())?;
        if pem.label != "CERTIFICATE" {
            continue;
        }
        let certificate = pem.parse_x509().map_err(|why| why.to_string())?;
        let name = |name: &x509_parser::x509::X509Name| {
            name.iter_common_name().find_map(|name| name.as_str().ok()).unwrap_or_default().to_owned()
        };
        all.push(Certificate {
            subject: name(certificate.subject()),
            issuer: name(certificate.issuer()),
            serial: certificate.raw_serial().iter().map(|byte| format!("{byte:02X}")).collect(),
            not_before: certificate.validity().not_before.to_datetime(),
            not_after: certificate.validity().not_after.to_datetime(),
            authority: certificate.is_ca(),
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_who_and_how_long() {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "kubernetes");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.not_after = OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        let text = format!("{}{pem}{pem}", key.serialize_pem());
        let found = certificates(text.as_bytes()).unwrap();
        assert_eq!(found.len(), 2, "a key is no certificate");
        assert_eq!((found[0].subject.as_str(), found[0].issuer.as_str()), ("kubernetes", "kubernetes"));
        assert!(found[0].authority && found[0].not_after.unix_timestamp() == 1_900_000_000);
        assert_eq!(certificates(b"").unwrap(), []);
        assert!(certificates(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
