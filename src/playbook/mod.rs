//! Playbooks: ordered stages of typed steps, as data.
