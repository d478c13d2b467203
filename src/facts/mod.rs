//! Fact domains and readers: one file each, a piece of read-only shell text and a pure parser of what it answers.
//!
//! All pieces of one node run in one script and write into one stream of [`section`]s. What costs is processes, so small
//! texts of all domains are read by a single `grep` ([`texts`]), files by a single `find`, and so on; the rest is done with
//! what the shell has built in. Nothing here knows how the stream travels; that is `gather`'s.
//!
//! Unknown is not absent: only the words "no such file or directory" make something absent. Whatever else goes wrong is an
//! [`error::FactError`], and the whole observation of the node is then unknown.

pub mod backups;
pub mod clock;
pub mod commands;
pub mod control_plane;
pub mod disks;
pub mod encryption;
pub mod error;
pub mod files;
pub mod hardware;
pub mod identity;
pub mod kubernetes;
pub mod links;
pub mod listing;
pub mod modules;
pub mod os;
pub mod packages;
pub mod ports;
pub mod runs;
pub mod section;
pub mod sysctls;
pub mod texts;
pub mod units;
