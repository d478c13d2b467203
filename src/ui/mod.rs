//! What a person or a program sees: bars, plain lines, plan trees, JSON. Data goes to stdout, talk to stderr.

mod backups;
mod bars;
mod bytes;
mod certificates;
mod etcd;
pub mod json;
mod lines;
mod paint;
mod plan;
mod report;
mod screen;
mod status;
mod summary;
mod table;

pub use backups::{BackupRow, backup_schedule, backups};
pub use bytes::{Bytes, bytes};
pub use certificates::{CertificateRow, certificates};
pub use etcd::{EtcdMemberRow, etcd_members};
pub use paint::Paint;
pub use plan::{Detail, plan_tree};
pub use report::{report, run_line};
pub use screen::{Screen, Style};
pub use status::{EtcdStatus, NodeStatus, Status, status};
pub use summary::{Row, summary};

/// Seconds as a person reads them: `0.4 s`, `12 s`, `3 min 05 s`.
pub fn seconds(seconds: f64) -> String {
    if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else if seconds < 100.0 {
        format!("{seconds:.0} s")
    } else {
        let whole = seconds.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}
