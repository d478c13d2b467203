//! `kbootstrap backup schedule`: backups that control planes take by themselves.

use std::{cell::RefCell, collections::BTreeSet};

use clap::Args;
use time::OffsetDateTime;

use super::{
    super::{Failure, Format, Machines, Output, change::Changing, execute::Connections, open, survey::Survey},
    kept, silent,
};
use crate::{
    backup,
    error::{Error, ExitStatus},
    inventory::Draft,
    model::{backup as wanted, backup::Calendar, cluster::ClusterSpec, live::Cluster, name::NodeName},
    ui::{self, Paint},
};

/// Show the backups that control planes take by themselves, or change when they do
///
/// With WHEN it is written into the inventory, and a timer is laid on every control plane: `kbootstrap up` does the same
/// where you write it yourself. Archives are encrypted there to the inventory's age recipients; what opens them is on no
/// machine of the cluster.
#[derive(Debug, Args)]
pub struct Schedule {
    #[command(flatten)]
    machines: Machines,

    /// When one is taken, as systemd's OnCalendar: daily, hourly, "Mon..Fri 03:00"
    #[arg(value_name = "WHEN", conflicts_with = "off")]
    when: Option<Calendar>,

    /// How many each control plane keeps; default: as it is, or 7
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000), conflicts_with = "off")]
    keep: Option<u16>,

    /// Take no more; archives stay where they are
    #[arg(long)]
    off: bool,

    #[command(flatten)]
    changing: Changing,
}

/// The steps that it is made of.
const STEPS: [&str; 2] = ["packages.backup", "kubernetes.backup"];

impl Schedule {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        match self.when.is_some() || self.keep.is_some() || self.off {
            true => self.change(output).await,
            false => self.show(output).await,
        }
    }

    async fn show(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let (seen, all) = kept(&self.machines).await?;
        let schedule = seen.spec.backup.schedule.as_ref();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let health = schedule.map(|_| backup::health(&all, now));
        match output.format() {
            Format::Human => {
                let said = |ago: i64| backup::age(ago);
                let paint = Paint { colour: output.colour() };
                output.result(&ui::backup_schedule(schedule, &all, health.as_ref(), now, said, paint))?;
            }
            Format::Json => output.document(&ui::json::backup_schedule(schedule, &all, health.as_ref()))?,
        }
        let ended = silent(&seen, output);
        Ok(if health.is_none_or(|(well, _)| well) { ended } else { ExitStatus::Failed })
    }

    async fn change(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let home = std::env::home_dir();
        let mut draft = Draft::open(&self.machines.inventory)?;
        let before = draft.spec(home.as_deref())?;
        draft.schedule(self.wanted(&before)?.as_ref())?;
        let spec = draft.spec(home.as_deref())?;
        let mut desired = open::means(&spec, &self.machines)?.desired(spec);
        for steps in desired.steps.values_mut() {
            steps.retain(|step| STEPS.contains(&step.id.as_str()));
        }
        desired.cluster_steps.clear();
        let control_planes: BTreeSet<NodeName> = desired.spec.control_planes().map(|node| node.name.clone()).collect();
        desired.scope = Some(control_planes);
        let change = self.changing.change("backup schedule", &self.machines, &desired, output);
        let draft = RefCell::new(draft);
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let survey = desired.survey(open, keep).await;
            match &survey.cluster {
                Cluster::Absent | Cluster::HalfFormed { .. } => Err(Error::new("schedule backups")
                    .cause("there is no cluster yet")
                    .hint("write it into the inventory; `kbootstrap up` forms the cluster with it")
                    .into()),
                _ => Ok(survey),
            }
        };
        // Written before anything is done: whatever becomes of this run, `up` goes on from there.
        change.run(look, async |_| Ok(draft.borrow_mut().save()?), || Ok(())).await
    }

    fn wanted(&self, before: &ClusterSpec) -> Result<Option<wanted::Schedule>, Error> {
        if self.off {
            return Ok(None);
        }
        let was = before.backup.schedule.as_ref();
        let Some(calendar) = self.when.clone().or(was.map(|was| was.calendar.clone())) else {
            return Err(Error::new("schedule backups")
                .cause("nothing says when")
                .hint("say it after the inventory, such as `daily`")
                .exit(ExitStatus::Usage));
        };
        let keep = self.keep.or(was.map(|was| was.keep)).unwrap_or(wanted::Schedule::KEEP);
        Ok(Some(wanted::Schedule { calendar, keep }))
    }
}
