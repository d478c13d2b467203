//! SSH by russh: the only module that names it.

mod host_key;
mod known_hosts;
mod record;
