//! The transport against a real OpenSSH server on loopback: what only a server can show.
//!
//! Each test starts a server of its own, with its own keys and configuration, and ends it. Needs root and the Debian
//! packages openssh-server, openssh-client and sudo.

mod server;

mod bulk;
mod faults;
mod host_keys;
mod login;
mod scripts;
mod sessions;
mod shells;
mod sudo;
mod trips;
