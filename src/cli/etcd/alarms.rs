//! `kbootstrap etcd alarms`: what etcd itself has raised an alarm for.

use clap::Args;

use super::{
    super::{Failure, Format, Machines, Output, control_planes::ControlPlanes},
    rows,
};
use crate::{
    error::{Error, ExitStatus},
    ui,
};

/// Show the alarms of etcd; ends with 1 where there is one, or a member does not answer
///
/// `nospace` makes a cluster refuse all writes: `kbootstrap etcd defrag` gives space back and ends it. `corrupt` means that
/// members' data differ: replace the member (`kbootstrap node replace`), or restore a backup.
#[derive(Debug, Args)]
pub struct Alarms {
    #[command(flatten)]
    machines: Machines,
}

impl Alarms {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let seen = ControlPlanes::look(&self.machines).await?;
        let rows = rows(&seen).unwrap_or_default();
        let silent: Vec<&str> = rows.iter().filter(|row| !row.answers).map(|row| row.name.as_str()).collect();
        if rows.is_empty() || !silent.is_empty() {
            let who = if rows.is_empty() {
                "no member answers".to_owned()
            } else {
                format!("no answer of {}", silent.join(", "))
            };
            return Err(Error::new("ask etcd for its alarms")
                .cause(who)
                .hint("kbootstrap etcd members shows them")
                .into());
        }
        match output.format() {
            Format::Json => output.document(&ui::json::etcd_members(&rows))?,
            Format::Human => {
                for row in &rows {
                    for alarm in &row.alarms {
                        output.result(&format!("{}  {alarm}\n", row.name))?;
                    }
                }
                if rows.iter().all(|row| row.alarms.is_empty()) {
                    output.say("no alarm");
                }
            }
        }
        let quiet = rows.iter().all(|row| row.alarms.is_empty());
        Ok(if quiet { ExitStatus::Done } else { ExitStatus::Failed })
    }
}
