//! The command line: wiring, one file per command.

mod backup;
mod certs;
mod change;
mod check;
mod confirm;
mod control_planes;
mod drain;
mod ending;
mod etcd;
mod execute;
mod facts;
mod failure;
mod history;
mod kubeconfig;
mod locks;
mod node;
mod open;
mod output;
mod plan;
mod playbook;
mod reach;
mod report;
mod reset;
mod restore;
mod runs;
mod secrets;
mod status;
mod survey;
mod up;
mod upgrade;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use failure::Failure;
pub use output::Output;

use crate::error::{Error, ExitStatus};

/// Turns Ubuntu and Debian machines, reachable by SSH, into a highly available Kubernetes cluster, and keeps it so.
#[derive(Debug, Parser)]
#[command(name = "kbootstrap", version, about, disable_help_subcommand = true)]
#[command(after_help = "\
Exit status: 0 done; 1 failed; 2 wrong usage or inventory; 3 changes pending (plan --exit-code);
4 some nodes failed or could not be reached; 130 interrupted.")]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Say nothing but results and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more; twice for every detail
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// How results are printed on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    pub output: Format,
}

/// For whom results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Human,
    /// For programs: one JSON document (or, while a run goes on, one for each event) with the name of its schema
    Json,
}

/// What every command that talks to machines is told.
#[derive(Debug, Clone, Args)]
pub struct Machines {
    /// The inventory, a TOML file
    #[arg(value_name = "INVENTORY")]
    pub inventory: PathBuf,

    /// Folder with playbooks of your own, laid over the ones that are built in
    #[arg(long, value_name = "FOLDER")]
    pub playbook: Option<PathBuf>,

    /// Record and accept the keys of hosts that known_hosts does not know; a changed key is never accepted
    #[arg(long)]
    pub accept_new_host_keys: bool,
}

/// The commands, one file each.
#[derive(Debug, Subcommand)]
pub enum Command {
    Check(check::Check),
    Facts(facts::Facts),
    Plan(plan::Plan),
    Up(up::Up),
    Node(node::Node),
    Reset(reset::Reset),
    Upgrade(upgrade::Upgrade),
    Status(status::Status),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Etcd(etcd::Etcd),
    Certs(certs::Certs),
    Secrets(secrets::Secrets),
    Kubeconfig(kubeconfig::Kubeconfig),
    Runs(history::Runs),
    Report(report::Report),
    Playbook(playbook::Playbook),
}

impl Command {
    fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        match self {
            Self::Check(check) => check.run(output),
            Self::Facts(facts) => talking(facts.run(output)),
            Self::Plan(plan) => talking(plan.run(output)),
            Self::Up(up) => talking(up.run(output)),
            Self::Node(node) => talking(node.run(output)),
            Self::Reset(reset) => talking(reset.run(output)),
            Self::Upgrade(upgrade) => talking(upgrade.run(output)),
            Self::Status(status) => talking(status.run(output)),
            Self::Backup(backup) => talking(backup.run(output)),
            Self::Restore(restore) => talking(restore.run(output)),
            Self::Etcd(etcd) => talking(etcd.run(output)),
            Self::Certs(certs) => talking(certs.run(output)),
            Self::Secrets(secrets) => talking(secrets.run(output)),
            Self::Kubeconfig(kubeconfig) => talking(kubeconfig.run(output)),
            Self::Runs(runs) => runs.run(output),
            Self::Report(report) => report.run(output),
            Self::Playbook(playbook) => playbook.run(output),
        }
    }
}

/// Runs a command that talks to machines.
fn talking(command: impl Future<Output = Result<ExitStatus, Failure>>) -> Result<ExitStatus, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|why| Error::new("start").cause(why))?.block_on(command)
}

/// Runs the command line that the program was started with.
pub fn main() -> ExitStatus {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(stop) => return stopped(&stop),
    };
    let output = Output::new(&cli.global);
    log(cli.global.verbose);
    match cli.command.run(&output) {
        Ok(status) => status,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_status()
        }
    }
}

/// What happens inside, on standard error: warnings, and with `--verbose` more. `KBOOTSTRAP_LOG` takes the filters of
/// `tracing-subscriber` instead.
fn log(verbose: u8) {
    let level = ["kbootstrap=warn", "kbootstrap=info", "kbootstrap=debug,kube=debug,russh=info"];
    let default = level[usize::from(verbose).min(level.len() - 1)];
    let filter = tracing_subscriber::EnvFilter::try_from_env("KBOOTSTRAP_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
}

/// The end of a command line that asked for help or made no sense.
fn stopped(stop: &clap::Error) -> ExitStatus {
    // Help and version are data, on standard output; where nobody reads them there is nothing left to do.
    let _ = stop.print();
    if stop.use_stderr() { ExitStatus::Usage } else { ExitStatus::Done }
}
