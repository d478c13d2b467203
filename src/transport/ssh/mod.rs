//! SSH by russh: the only module that names it.
//!
//! `connect`, `host_key` and `auth` lead to a connection; `connection` opens its sessions, `exec` drives the command in one,
//! `remote` composes the command line and `preamble` finds where its output begins; `node` is what the rest of the program
//! sees of it, and `pool` what opens many.

mod auth;
mod connect;
mod connection;
mod exec;
mod handler;
mod host_key;
mod known_hosts;
mod node;
mod pool;
mod preamble;
mod record;
mod remote;
mod sink;
mod upload;

pub use pool::SshConnector;
