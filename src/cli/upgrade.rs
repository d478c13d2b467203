//! `kbootstrap upgrade`: another version of Kubernetes, node by node; run again, it goes on where it ended.

use clap::Args;

use super::{
    Failure, Machines, Output,
    change::{Change, Changing},
    drain::DrainOptions,
    execute::Connections,
    open,
    survey::{Desired, Survey},
};
use crate::{
    error::{Error, ExitStatus},
    inventory,
    model::{
        live::Cluster,
        plan::Plan,
        release::Release,
        rolling::{MaxUnavailable, RollTerms, Rolling},
        version::KubeVersion,
    },
    plan,
};

/// Take the cluster to another version of Kubernetes, node by node, each gated on its health
#[derive(Debug, Args)]
pub struct Upgrade {
    #[command(flatten)]
    machines: Machines,

    /// The version to go to; without it, the inventory's. Written into the inventory once it is reached
    #[arg(long, value_name = "VERSION")]
    to: Option<KubeVersion>,

    /// Workers out of service at once: a number, or a share of all such as 25%; never all of a zone that has others
    #[arg(long, value_name = "WORKERS", default_value = "1")]
    max_unavailable: MaxUnavailable,

    /// Workers that may fail before no further batch is begun
    #[arg(long, value_name = "WORKERS", default_value_t = 0)]
    max_failed: usize,

    #[command(flatten)]
    drain: DrainOptions,

    /// Run only if the plan is the one with this digest, as --plan printed it
    #[arg(long, value_name = "DIGEST")]
    expect: Option<String>,

    #[command(flatten)]
    changing: Changing,
}

impl Upgrade {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let mut spec = open::spec(&self.machines)?;
        spec.release = release(spec.kubernetes(), self.to.unwrap_or(spec.kubernetes()))?;
        let desired = open::means(&spec, &self.machines)?.desired(spec);
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let mut survey = desired.survey(open, keep).await;
            survey.plan = self.planned(&desired, &survey).await?;
            Ok(survey)
        };
        let change = Change {
            expect: self.expect.as_deref(),
            ..self.changing.change("upgrade", &self.machines, &desired, output)
        };
        change.run(look, async |_| Ok(()), || self.write(&desired, output)).await
    }

    async fn planned(&self, desired: &Desired, survey: &Survey) -> Result<Plan, Failure> {
        let rolling: Rolling = match &survey.cluster {
            Cluster::Live(_) => desired
                .rolling(survey)
                .await
                .map_err(|why| Error::new("read what a roll needs to know of the cluster").cause(why))?,
            Cluster::Absent => {
                return Err(Error::new("upgrade")
                    .cause("no control plane of the inventory carries a cluster")
                    .hint("`kbootstrap up` forms it, in the inventory's version")
                    .into());
            }
            Cluster::HalfFormed { node, reason } => {
                return Err(Error::new("upgrade")
                    .cause(format!("the cluster is not wholly formed: {node}: {reason}"))
                    .hint("finish that first: kbootstrap up")
                    .into());
            }
            Cluster::Unknown { reason } => {
                return Err(Error::new("upgrade")
                    .cause(format!("the cluster's state is unknown: {reason}"))
                    .hint("bring the control planes back first; `kbootstrap status` shows them")
                    .into());
            }
        };
        let input = plan::upgrade::Input {
            base: desired.input(survey),
            rolling: &rolling,
            terms: RollTerms {
                drain: self.drain.policy(),
                max_unavailable: self.max_unavailable,
                max_failed: self.max_failed,
            },
        };
        Ok(plan::upgrade::build(&input).expect("the cluster lives"))
    }

    /// What was reached is what is wanted from now on.
    fn write(&self, desired: &Desired, output: &Output) -> Result<(), Failure> {
        let (path, version) = (&self.machines.inventory, desired.spec.kubernetes());
        if inventory::set_version(path, version)? {
            output.say(&format!("{} says kubernetes = \"{version}\" now.", path.display()));
        }
        Ok(())
    }
}

/// The release of a version that this program knows, and that the inventory's can be upgraded to.
fn release(now: KubeVersion, to: KubeVersion) -> Result<Release, Failure> {
    let refused = |cause: String, hint: String| {
        Err(Error::new(format!("upgrade from {now} to {to}")).cause(cause).hint(hint).exit(ExitStatus::Usage).into())
    };
    if to < now {
        return refused(
            format!("{to} is older than the inventory's {now}, and Kubernetes is never taken back"),
            "the way back is a backup of before".to_owned(),
        );
    }
    if to.minor() > now.minor() + 1 {
        return refused(
            "it is more than one minor version away".to_owned(),
            format!("go one by one: kbootstrap upgrade --to the newest patch of 1.{} first", now.minor() + 1),
        );
    }
    match Release::of(to) {
        Some(release) => Ok(release),
        None => refused(
            format!("this program knows no Kubernetes {to}"),
            format!("it knows {}; a newer kbootstrap may know more", Release::known_in_words()),
        ),
    }
}
