//! `certs status --output json`.

use std::collections::BTreeMap;

use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use crate::ui::CertificateRow;

/// Every certificate that was found (`kbootstrap.certificates/v1`).
#[derive(Serialize)]
pub struct Certificates<'a> {
    schema: &'static str,
    certificates: Vec<Certificate<'a>>,
    /// Nodes that could not be asked, with the reason.
    unknown: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Certificate<'a> {
    node: &'a str,
    path: &'a str,
    used_by: &'a str,
    subject: &'a str,
    issuer: &'a str,
    serial: &'a str,
    authority: bool,
    days: Option<i64>,
    not_after: Option<String>,
    expired: bool,
    problem: Option<&'a str>,
}

pub fn certificates<'a>(rows: &'a [CertificateRow], unknown: &'a BTreeMap<String, String>) -> Certificates<'a> {
    let certificates = rows.iter().map(|row| Certificate {
        node: &row.node,
        path: &row.path,
        used_by: row.user,
        subject: &row.subject,
        issuer: &row.issuer,
        serial: &row.serial,
        authority: row.authority,
        days: row.days,
        not_after: row.until.and_then(|until| until.format(&Rfc3339).ok()),
        expired: row.expired,
        problem: row.problem.as_deref(),
    });
    Certificates { schema: "kbootstrap.certificates/v1", certificates: certificates.collect(), unknown }
}
