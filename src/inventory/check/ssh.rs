//! Logins that can't become root.

use crate::diag::Problem;
use crate::diag::toml::Document;
use crate::inventory::raw::Inventory;
use crate::model::access::SudoMode;

pub fn check(document: &Document<'_>, raw: &Inventory) {
    for node in &raw.nodes {
        let user = node.ssh.user.as_ref().or(raw.ssh.user.as_ref());
        let sudo = node.ssh.sudo.as_ref().or(raw.ssh.sudo.as_ref());
        let (Some(user), Some(sudo)) = (user, sudo) else { continue };
        if sudo.value == SudoMode::None && user.value.as_str() != "root" {
            // The same pair may hold for many nodes: equal problems are told once.
            let problem = Problem::at(sudo.span.clone(), format!("{} is not root without sudo", user.value));
            let hint = "leave `sudo` out, or use `passwordless` or `password`";
            document.push(problem.other(user.span.clone(), "this user").hint(hint));
        }
    }
}
