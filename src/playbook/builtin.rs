//! The playbook that is compiled in.

/// File name and text, in the order of reading.
pub const FILES: [(&str, &str); 1] = [("playbooks/up.toml", include_str!("../../playbooks/up.toml"))];
