//! `kbootstrap plan`: what `up` would do.

use clap::Args;

use std::collections::BTreeMap;

use super::{Failure, Format, Machines, Output, open};
use crate::{
    error::ExitStatus,
    ui::{self, Paint},
};

/// Show what `up` would do, and change nothing
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    machines: Machines,

    /// Exit with 3 where `up` would change something
    #[arg(long)]
    exit_code: bool,
}

impl Plan {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let desired = open::desired(&self.machines)?;
        let survey = desired.survey(BTreeMap::new(), false).await;
        match output.format() {
            Format::Human => {
                output.result(&ui::plan_tree(&survey.plan, Paint { colour: output.colour() }, ui::Detail::All))?
            }
            Format::Json => output.document(&ui::json::plan(&survey.plan))?,
        }
        if survey.plan.refusals().next().is_some() {
            return Ok(ExitStatus::Failed);
        }
        if !survey.plan.unknown().is_empty() {
            return Ok(ExitStatus::Partial);
        }
        if self.exit_code && survey.plan.has_changes() {
            return Ok(ExitStatus::Pending);
        }
        Ok(ExitStatus::Done)
    }
}
