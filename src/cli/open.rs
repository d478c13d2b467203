//! What every command that talks to machines begins with: the inventory, the playbook, and a password where one is asked for.

use std::io::{IsTerminal, stderr, stdin};

use super::{Failure, Machines, survey::Desired};
use crate::{
    error::{Error, ExitStatus},
    inventory,
    model::{access::SudoMode, cluster::ClusterSpec, secret::Secret},
    playbook::{self, Playbook},
};

/// The cluster that an inventory describes.
///
/// # Errors
/// Everything that is wrong with the file, at once.
pub fn spec(machines: &Machines) -> Result<ClusterSpec, Failure> {
    let home = std::env::home_dir();
    Ok(inventory::load(&machines.inventory, home.as_deref(), inventory::Count::Any)?)
}

/// The cluster that is wanted, with its steps, and how its machines are reached.
///
/// # Errors
/// The inventory or the playbook has problems, or a password is needed and can't be asked for.
pub fn desired(machines: &Machines) -> Result<Desired, Failure> {
    let spec = spec(machines)?;
    let mut desired = means(&spec, machines)?.desired(spec);
    desired.rolls = true;
    Ok(desired)
}

/// What is needed besides a cluster to work on it: asked for once, however many clusters a command compares.
pub struct Means {
    playbook: Playbook,
    password: Option<Secret<String>>,
    accept_new_host_keys: bool,
}

/// The means of a command. `spec` tells whether a password is needed.
///
/// # Errors
/// The playbook has problems, or a password is needed and can't be asked for.
pub fn means(spec: &ClusterSpec, machines: &Machines) -> Result<Means, Failure> {
    let playbook = match &machines.playbook {
        Some(folder) => playbook::load(folder)?,
        None => playbook::builtin(),
    };
    let password = sudo_password(spec)?;
    Ok(Means { playbook, password, accept_new_host_keys: machines.accept_new_host_keys })
}

impl Means {
    /// A cluster that is wanted, with its steps, and how its machines are reached.
    pub fn desired(&self, spec: ClusterSpec) -> Desired {
        Desired::new(spec, &self.playbook, self.accept_new_host_keys, self.password.as_ref())
    }
}

/// Asks once for sudo's password, where any node's sudo wants one. It is read from the terminal without an echo, or, where
/// there is none, as the first line of standard input.
///
/// # Errors
/// Nothing could be read.
pub fn sudo_password(spec: &ClusterSpec) -> Result<Option<Secret<String>>, Failure> {
    if spec.nodes.iter().all(|node| node.ssh.sudo != SudoMode::Password) {
        return Ok(None);
    }
    let failed = |why: std::io::Error| {
        Error::new("read sudo's password")
            .cause(why)
            .hint("type it at the prompt, or give it as the first line of standard input")
            .exit(ExitStatus::Usage)
    };
    let password = if stdin().is_terminal() && stderr().is_terminal() {
        rpassword::prompt_password("sudo password on the nodes: ").map_err(failed)?
    } else {
        let mut line = String::new();
        stdin().read_line(&mut line).map_err(failed)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if password.is_empty() {
        return Err(failed(std::io::Error::other("it is empty")).into());
    }
    Ok(Some(Secret::new(password)))
}
