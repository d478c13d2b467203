//! `--output json`: types that only serialize, each with the name of its schema; additive within a version.

mod backup;
mod certificates;
pub mod check;
mod etcd;
pub mod facts;
mod kubeconfig;
mod plan;
pub mod playbook;
mod report;
mod status;

pub use backup::{backup, backup_schedule, backups, fetched};
pub use certificates::certificates;
pub use etcd::etcd_members;
pub use kubeconfig::kubeconfig;
pub use plan::plan;
pub use report::{report, runs};
pub use status::status;

use serde::Serialize;

use crate::model::event::Stamped;

/// One event (`kbootstrap.event/v1`).
#[derive(Serialize)]
pub struct EventLine<'a> {
    schema: &'static str,
    #[serde(flatten)]
    event: &'a Stamped,
}

/// Names the schema of an event.
pub fn event(event: &Stamped) -> EventLine<'_> {
    EventLine { schema: "kbootstrap.event/v1", event }
}
