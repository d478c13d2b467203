//! Certificates as a table.

use std::{collections::BTreeMap, fmt::Write};

use time::{OffsetDateTime, macros::format_description};

use super::Paint;
use crate::shell::escape::escape_untrusted;

/// One file with a certificate on one node.
#[derive(Clone, Debug, Default)]
pub struct CertificateRow {
    pub node: String,
    pub path: String,
    /// What uses it; empty where that is not known.
    pub user: &'static str,
    pub subject: String,
    pub issuer: String,
    pub serial: String,
    /// Whether it may sign others.
    pub authority: bool,
    /// Whole days that are left, negative where it has ended; absent where it could not be read.
    pub days: Option<i64>,
    pub until: Option<OffsetDateTime>,
    pub expired: bool,
    /// Why it could not be read.
    pub problem: Option<String>,
}

/// Less than this and it is yellow.
const SOON: i64 = 30;

/// A paragraph for each node; nodes that could not be asked after them.
pub fn certificates(rows: &[CertificateRow], silent: &BTreeMap<String, String>, paint: Paint) -> String {
    let mut text = String::new();
    let width = rows.iter().map(|row| row.path.len()).max().unwrap_or(0);
    let mut node = "";
    for row in rows {
        if row.node != node {
            node = &row.node;
            let _ = writeln!(text, "{}", paint.bold(node));
        }
        let path = escape_untrusted(row.path.as_bytes());
        let day = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
        let until = row.until.and_then(|until| until.format(day).ok()).unwrap_or_default();
        let left = match (row.days, &row.problem) {
            (Some(_), None) if row.expired => paint.red(format!("{:>10}", "expired")),
            (Some(days), None) if days < SOON => paint.yellow(format!("{:>10}", format!("{days} days"))),
            (Some(days), None) => format!("{:>10}", format!("{days} days")),
            _ => paint.red(format!("{:>10}", "unreadable")),
        };
        let use_ = row.problem.as_deref().unwrap_or(row.user);
        let _ = writeln!(text, "  {path:<width$}  {left}  {until:<20}  {use_}");
    }
    for (node, why) in silent {
        let _ = writeln!(text, "{}\n  {}  {why}", paint.bold(node), paint.red("unknown"));
    }
    text
}
