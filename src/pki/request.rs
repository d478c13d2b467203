//! A key of somebody's own, and the request that asks for its certificate.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use crate::model::secret::Secret;

/// Makes a key, and a request for a client certificate of this user (its common name) in this group (its organisation).
/// Gives request and key, PEM.
///
/// # Errors
/// A name that no certificate can carry.
pub fn request(user: &str, group: Option<&str>) -> Result<(String, Secret<String>), String> {
    let key = KeyPair::generate().map_err(|why| why.to_string())?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, user);
    if let Some(group) = group {
        name.push(DnType::OrganizationName, group);
    }
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = name;
    let request = parameters.serialize_request(&key).and_then(|request| request.pem());
    Ok((request.map_err(|why| why.to_string())?, Secret::new(key.serialize_pem())))
}
