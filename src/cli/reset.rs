//! `kbootstrap reset`: a whole cluster back to bare machines.

use std::cell::{Cell, RefCell};

use clap::Args;

use super::{
    Failure, Machines, Output,
    change::{Change, Consent},
    confirm,
    execute::Connections,
    locks, open,
    survey::Survey,
};
use crate::{
    error::{Error, ExitStatus},
    model::{name::ClusterName, timeout::Timeout},
    plan::{remove, reset},
};

/// Take the whole cluster down, back to bare machines
///
/// Asks for the cluster's name, as the machines have it and not the inventory. Machines of other clusters, and such as
/// carry a Kubernetes of others, are refused. Data of etcd and certificates are kept aside on each machine; ssh, rules of
/// a firewall of yours, and files that are not of the cluster stay. Packages stay, too. Works on what was only half built,
/// and again where it was interrupted.
#[derive(Debug, Args)]
pub struct Reset {
    #[command(flatten)]
    machines: Machines,

    /// Do not ask: the name of the cluster that is taken down
    #[arg(long, value_name = "NAME")]
    yes_delete: Option<ClusterName>,

    /// Also remove the packages of Kubernetes and of the local proxy, and keep nothing aside
    #[arg(long)]
    purge: bool,

    /// Show the plan, and change nothing
    #[arg(long)]
    plan: bool,

    /// Wait for a run that is at work on the same machines, for a day or for as long as is said (10m)
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "24h")]
    wait: Option<Timeout>,
}

impl Reset {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let spec = open::spec(&self.machines)?;
        let means = open::means(&spec, &self.machines)?;
        let mut desired = means.desired(spec);
        for steps in desired.steps.values_mut() {
            *steps = remove::leaving_steps(&desired.spec, self.purge);
        }
        desired.cluster_steps.clear();
        let name = RefCell::new(None);
        let pending = Cell::new(false);
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let mut survey = desired.survey(open, keep).await;
            survey.plan = reset::reset(&desired.spec, &survey.observations, self.purge);
            let identity = reset::identity(&desired.spec, &survey.observations);
            pending.set(survey.plan.has_changes());
            *name.borrow_mut() = identity.map(|identity| identity.name.clone());
            Ok(survey)
        };
        let change = Change {
            desired: &desired,
            machines: &self.machines,
            command: "reset",
            quorum: locks::Quorum::Reachable,
            needs_cluster: false,
            plan_only: self.plan,
            expect: None,
            // Asked for by the cluster's name, below.
            consent: Consent { yes: true, wait: self.wait },
            output,
        };
        change
            .run(
                look,
                async |_| {
                    if pending.get() {
                        self.confirm(name.borrow().as_deref())?;
                    }
                    Ok(())
                },
                || Ok(()),
            )
            .await
    }

    /// The name must be the one that the machines carry. Machines that were only prepared carry none.
    fn confirm(&self, name: Option<&str>) -> Result<(), Error> {
        let refused = |cause: String, exit| Error::new("take the cluster down").cause(cause).exit(exit);
        let wanted = name.unwrap_or("no cluster");
        if let Some(given) = &self.yes_delete {
            return match name {
                Some(name) if name != given.as_str() => Err(refused(
                    format!("the machines are of cluster {name:?}, not {:?}; nothing was changed", given.as_str()),
                    ExitStatus::Usage,
                )
                .hint("is it the right inventory?")),
                _ => Ok(()),
            };
        }
        confirm::by_name("take the cluster down", "--yes-delete", wanted)
    }
}
