//! `kbootstrap restore`: the cluster as a backup has it, on the machines that are there now.

use std::{cell::Cell, collections::BTreeSet, path::PathBuf};

use clap::Args;

use super::{
    Failure, Format, Machines, Output,
    change::{Change, Consent},
    confirm,
    execute::Connections,
    locks::Quorum,
    open,
    survey::{Desired, Survey},
};
use crate::{
    backup,
    error::{Error, ExitStatus},
    model::{
        backup::Manifest,
        cluster::ClusterSpec,
        name::{ClusterName, NodeName},
        plan::Owner,
        step::{Action, StepKind},
        timeout::Timeout,
        version::KubeVersion,
    },
    plan::restore,
    ui,
};

/// Bring the cluster back as a backup has it: after a quorum was lost, data were destroyed, or every control plane was
///
/// On every control plane that is there etcd and the API server are ended and all that they wrote is kept aside. The first
/// control plane of the inventory begins the cluster from the snapshot, with the authorities of the backup; the others join
/// it, at whatever addresses they have now; workers are led to them and stay as they are. What was written after the backup
/// is lost. Asks for the cluster's name. Run again where it was interrupted.
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    machines: Machines,

    /// The archive that `kbootstrap backup` wrote
    #[arg(long, value_name = "FILE")]
    from: PathBuf,

    /// File with the age key that opens it
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,

    /// The machine of this control plane of the backup is off for good, or its disk is destroyed; may be given again
    #[arg(long, value_name = "NAME")]
    destroyed: Vec<NodeName>,

    /// Do not ask: the name of the cluster that is restored
    #[arg(long, value_name = "NAME")]
    yes_restore: Option<ClusterName>,

    /// Show the plan, and change nothing
    #[arg(long)]
    plan: bool,

    /// Wait for a run that is at work on the same machines, for a day or for as long as is said (10m)
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "24h")]
    wait: Option<Timeout>,
}

impl Restore {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let verified = backup::verify(&self.from, &self.identity).map_err(|why| failed().cause(why))?;
        let archive = verified.manifest;
        let spec = open::spec(&self.machines)?;
        self.fits(&spec, &archive)?;
        let means = open::means(&spec, &self.machines)?;
        let mut desired = means.desired(spec);
        desired.rolls = false;
        let ended = self.lay(&desired, &archive, output).await?;
        if self.plan || ended != ExitStatus::Done {
            return Ok(ended);
        }
        let all = desired.scope.take();
        desired.scope = Some(desired.spec.control_planes().map(|node| node.name.clone()).collect::<BTreeSet<_>>());
        // Workers are not yet led here: what needs them is proven at the end.
        let steps = std::mem::take(&mut desired.cluster_steps);
        let proves = |kind: &StepKind| matches!(kind, StepKind::Action(Action::Proof | Action::CorednsSpread));
        desired.cluster_steps = steps.iter().filter(|step| !proves(&step.kind)).cloned().collect();
        let formed = self.up(&desired, output).await?;
        if formed != ExitStatus::Done {
            return Ok(formed);
        }
        desired.scope = all;
        desired.cluster_steps = steps;
        self.up(&desired, output).await
    }

    /// The archive must be of this cluster, and of a version that this one can begin from.
    fn fits(&self, spec: &ClusterSpec, archive: &Manifest) -> Result<(), Error> {
        let refused = |cause: String| failed().cause(cause).exit(ExitStatus::Usage);
        if archive.cluster != spec.name.as_str() {
            return Err(refused(format!(
                "the backup is of cluster {:?}, the inventory of {}",
                archive.cluster, spec.name
            ))
            .hint("is it the right archive, and the right inventory?"));
        }
        let version: KubeVersion = archive.kubernetes.parse().map_err(|_| {
            refused(format!("the backup is of Kubernetes {:?}, which is no version", archive.kubernetes))
        })?;
        let (now, then) = (spec.kubernetes().minor(), version.minor());
        if now != then && now != then + 1 {
            return Err(refused(format!(
                "the backup is of Kubernetes {version}, the inventory wants {}",
                spec.kubernetes()
            ))
            .hint("restore into the version of the backup, then upgrade"));
        }
        if !archive.keys.is_empty() && spec.encryption.is_none() {
            return Err(refused(format!(
                "the backup has Secrets encrypted with {}, and the inventory has no [encryption]",
                archive.keys.join(", ")
            ))
            .hint("API servers without the key could not read them; write [encryption] provider = \"secretbox\" into the inventory"));
        }
        let left = restore::not_destroyed(spec, archive, &self.destroyed);
        if !left.is_empty() {
            let names: Vec<String> =
                left.iter().map(|machine| format!("{} ({})", machine.name, machine.address)).collect();
            let options: Vec<String> = left.iter().map(|machine| format!("--destroyed {}", machine.name)).collect();
            return Err(refused(format!(
                "the backup knows control planes that the inventory has not at their address: {}",
                names.join(", ")
            ))
            .hint(format!(
                "what still runs there would go on as the same cluster, and be led by: power them off for good, then say {}",
                options.join(" ")
            )));
        }
        Ok(())
    }

    /// Old state aside, and the archive on the first control plane.
    async fn lay(&self, desired: &Desired, archive: &Manifest, output: &Output) -> Result<ExitStatus, Failure> {
        let laid = Cell::new(false);
        let look = async |open: Connections, keep: bool| -> Result<Survey, Failure> {
            let mut survey = desired.survey(open, keep).await;
            survey.plan = restore::build(&restore::Restoring {
                spec: &survey.spec,
                observations: &survey.observations,
                usual: &survey.plan,
                steps: &desired.steps,
                archive,
                laid: laid.get(),
            });
            Ok(survey)
        };
        let before = async |survey: &Survey| -> Result<(), Failure> {
            self.confirm(&desired.spec)?;
            let first = desired.spec.control_planes().next().expect("an inventory has a control plane");
            let connection = &survey.connections[&first.name];
            let bar = ui::bytes(output.format() == Format::Human && !output.is_quiet());
            let told = |here, all| bar.show(here, all);
            backup::lay(connection.as_ref(), &self.from, &self.identity, &archive.parts, told)
                .await
                .map_err(|why| failed().node(&first.name).cause(why))?;
            bar.end();
            laid.set(true);
            Ok(())
        };
        self.change(desired, output, Quorum::Reachable, self.plan).run(look, before, || Ok(())).await
    }

    async fn up(&self, desired: &Desired, output: &Output) -> Result<ExitStatus, Failure> {
        let look = async |open: Connections, keep: bool| {
            let mut survey = desired.survey(open, keep).await;
            // A worker that shall hold the witness is looked at with the control planes, and led here with the others.
            let is_in = |name: &NodeName| desired.scope.as_ref().is_none_or(|scope| scope.contains(name));
            survey.plan.chains.retain(|chain| match &chain.owner {
                Owner::Node(name) => is_in(name),
                Owner::Cluster => true,
            });
            Ok(survey)
        };
        self.change(desired, output, Quorum::Majority, false).run(look, async |_| Ok(()), || Ok(())).await
    }

    fn change<'a>(&'a self, desired: &'a Desired, output: &'a Output, quorum: Quorum, plan_only: bool) -> Change<'a> {
        Change {
            desired,
            machines: &self.machines,
            command: "restore",
            quorum,
            needs_cluster: quorum == Quorum::Majority,
            plan_only,
            expect: None,
            // Asked for by the cluster's name.
            consent: Consent { yes: true, wait: self.wait },
            output,
        }
    }

    fn confirm(&self, spec: &ClusterSpec) -> Result<(), Error> {
        match &self.yes_restore {
            Some(given) if *given == spec.name => Ok(()),
            Some(given) => Err(failed()
                .cause(format!("the cluster is {}, not {given}; nothing was changed", spec.name))
                .exit(ExitStatus::Usage)),
            None => confirm::by_name("restore the cluster", "--yes-restore", spec.name.as_str()),
        }
    }
}

fn failed() -> Error {
    Error::new("restore the cluster")
}
