//! How nodes are drained: the options of every command that does.

use clap::{Args, ValueEnum};

use crate::model::{
    drain::{DrainPolicy, OnBlocked},
    timeout::Timeout,
};

/// How far evictions go.
#[derive(Debug, Clone, Args)]
pub struct DrainOptions {
    /// How long the evictions of one node may take
    #[arg(long, value_name = "TIME", default_value = "5m")]
    drain_timeout: Timeout,

    /// What happens to a pod whose budget forbids its eviction until then
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Blocked::Abort)]
    on_blocked: Blocked,

    /// Also evict pods that lose data by it, or that nothing makes anew
    #[arg(long)]
    delete_local_data: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Blocked {
    /// The command ends, and the node takes pods again
    Abort,
    /// The pod is deleted in spite of its budget
    Force,
}

impl DrainOptions {
    /// As the plan has them.
    pub fn policy(&self) -> DrainPolicy {
        DrainPolicy {
            timeout_s: u32::try_from(self.drain_timeout.duration().as_secs()).unwrap_or(u32::MAX).max(1),
            on_blocked: match self.on_blocked {
                Blocked::Abort => OnBlocked::Abort,
                Blocked::Force => OnBlocked::Force,
            },
            delete_local_data: self.delete_local_data,
        }
    }
}
