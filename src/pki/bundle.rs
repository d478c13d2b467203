//! Several authorities in one file, as they stand there while one gives way to another.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::{pem::Pem, prelude::FromDer, x509::SubjectPublicKeyInfo};

/// One certificate out of a PEM text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// As every program writes it: 64 columns, a newline at its end.
    pub pem: String,
    /// SHA-256 (hex) of the whole certificate.
    pub sha256: String,
    /// SHA-256 (hex) of its public key, as [`ca_sha256`](super::ca_sha256) has it.
    pub key_sha256: String,
    /// Hex.
    pub serial: String,
    pub not_before: OffsetDateTime,
    der: Vec<u8>,
    key: Vec<u8>,
}

impl Trusted {
    /// Whether this one's key signed that certificate. Names prove nothing: the authorities of a cluster, old and new, have
    /// the same.
    pub fn signed(&self, other: &Self) -> bool {
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(&self.key) else { return false };
        x509_parser::parse_x509_certificate(&other.der)
            .is_ok_and(|(_, certificate)| certificate.verify_signature(Some(&key)).is_ok())
    }
}

/// The certificates of a PEM text, in order; what else is in it is passed over.
///
/// # Errors
/// The text is no PEM, or one of its certificates cannot be read.
pub fn bundle(text: &str) -> Result<Vec<Trusted>, String> {
    let mut all = Vec::new();
    for pem in Pem::iter_from_buffer(text.as_bytes()) {
        let pem = pem.map_err(|why| why.to_string())?;
        if pem.label != "CERTIFICATE" {
            continue;
        }
        let certificate = pem.parse_x509().map_err(|why| why.to_string())?;
        let key = certificate.public_key().raw.to_vec();
        all.push(Trusted {
            pem: encode(&pem.contents),
            sha256: sha256(&pem.contents),
            key_sha256: sha256(&key),
            serial: certificate.raw_serial().iter().map(|byte| format!("{byte:02X}")).collect(),
            not_before: certificate.validity().not_before.to_datetime(),
            key,
            der: pem.contents.clone(),
        });
    }
    Ok(all)
}

/// A text with all of them, in this order.
pub fn bundle_text<'a>(all: impl IntoIterator<Item = &'a Trusted>) -> String {
    all.into_iter().map(|one| one.pem.as_str()).collect()
}

/// What any of these texts trusts, each once, the oldest first, whatever their order there: control planes differ in it while
/// their authority is exchanged, and nobody who merely checks cares for it. A text that stands alone, or cannot be read, is
/// given as it is. Absent where there is no text.
pub fn union<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut texts = texts.into_iter().peekable();
    let first = (*texts.peek()?).to_owned();
    let mut all: Vec<Trusted> = Vec::new();
    for text in texts {
        for one in bundle(text).unwrap_or_default() {
            if all.iter().all(|known| known.sha256 != one.sha256) {
                all.push(one);
            }
        }
    }
    if all.len() < 2 {
        return Some(first);
    }
    all.sort_by(|a, b| (a.not_before, &a.sha256).cmp(&(b.not_before, &b.sha256)));
    Some(bundle_text(&all))
}

/// Whether two texts trust the same, in whatever order; not where one of them trusts nobody, or cannot be read.
pub fn trusts_the_same(one: &str, other: &str) -> bool {
    let set = |text: &str| -> Option<BTreeSet<String>> {
        Some(bundle(text).ok()?.into_iter().map(|one| one.sha256).collect())
    };
    set(one).is_some_and(|all| !all.is_empty() && Some(all) == set(other))
}

/// Whether a text holds more than one certificate: its authority is being exchanged.
pub fn is_bundle(text: &str) -> bool {
    text.matches("-----BEGIN CERTIFICATE-----").count() > 1
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encode(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line));
    let body: String = lines.map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::pki::Authorities;

    fn made(seed: u64, at: i64) -> String {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000 + at).unwrap();
        Authorities::generate(now, &mut StdRng::seed_from_u64(seed)).unwrap().kubernetes.certificate
    }

    #[test]
    fn it_is_written_as_it_was_read_and_knows_whom_it_signed() {
        let (old, new) = (made(1, 0), made(2, 60));
        let all = bundle(&format!("{old}{new}")).unwrap();
        assert_eq!(bundle_text(&all).replace('\r', ""), format!("{old}{new}").replace('\r', ""));
        assert_eq!(all[0].key_sha256, crate::pki::ca_sha256(&old).unwrap());
        assert!(all[0].signed(&all[0]) && all[1].signed(&all[1]));
        assert!(!all[0].signed(&all[1]) && !all[1].signed(&all[0]), "their names are the same");
    }

    #[test]
    fn a_union_has_one_order_and_leaves_alone_what_stands_alone() {
        let (old, new) = (made(1, 0), made(2, 60));
        let odd = format!("# a remark\n{old}");
        assert_eq!(union([odd.as_str(), old.as_str()]), Some(odd.clone()));
        let wanted = Some(bundle_text(&bundle(&format!("{old}{new}")).unwrap()));
        for texts in [vec![format!("{old}{new}")], vec![format!("{new}{old}")], vec![new.clone(), old.clone()]] {
            assert_eq!(union(texts.iter().map(String::as_str)), wanted);
        }
        assert_eq!((union([]), union(["?"])), (None, Some("?".to_owned())));
        assert!(trusts_the_same(&format!("{old}{new}"), &format!("{new}{old}")) && !trusts_the_same(&old, &new));
        assert!(!trusts_the_same("-----BEGIN", "-----BEGIN"));
        assert!(is_bundle(&format!("{old}{new}")) && !is_bundle(&old));
    }
}
