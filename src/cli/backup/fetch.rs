//! `kbootstrap backup fetch`: an archive from a control plane to this machine.

use std::path::PathBuf;

use clap::Args;

use super::{
    super::{Failure, Format, Machines, Output},
    kept, silent,
};
use crate::{
    backup,
    error::{Error, ExitStatus},
    model::{
        backup::{Archive, Kept},
        name::NodeName,
    },
    ui,
};

/// Bring an archive that a control plane took by itself to this machine, encrypted as it is
///
/// The newest good one, or the one that is named (`kbootstrap backup ls INVENTORY` lists them). Needs no API: it works when
/// nothing but ssh does.
#[derive(Debug, Args)]
pub struct Fetch {
    #[command(flatten)]
    machines: Machines,

    /// The archive's name; default: that of the newest good one
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Take it from this control plane; default: any that has it
    #[arg(long, value_name = "NODE")]
    node: Option<NodeName>,

    /// The file to write, or a folder, where it keeps its name
    #[arg(long, value_name = "PATH", default_value = ".")]
    to: PathBuf,
}

impl Fetch {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let failed = || Error::new("fetch a backup");
        let (seen, all) = kept(&self.machines).await?;
        let asked = all.iter().filter(|(node, _)| self.node.as_ref().is_none_or(|asked| asked == *node));
        let found = asked.filter_map(|(node, kept)| Some((node, self.of(kept)?))).max_by_key(|(_, archive)| archive.at);
        let Some((node, archive)) = found else {
            silent(&seen, output);
            let cause = match &self.name {
                Some(name) => format!("no control plane that answered has {name}"),
                None => "no control plane that answered has taken one".to_owned(),
            };
            let hint = format!("`kbootstrap backup ls {}` lists what is there", self.machines.inventory.display());
            return Err(failed().cause(cause).hint(hint).into());
        };
        let path = if self.to.is_dir() { self.to.join(&archive.name) } else { self.to.clone() };
        if path.exists() {
            return Err(failed()
                .cause(format!("{} is there already", path.display()))
                .hint("name another file with --to")
                .exit(ExitStatus::Usage)
                .into());
        }
        let route = seen.routes.iter().find(|route| route.node == *node).expect("it answered");
        let connection = seen.connector.connect(&route.target).await.map_err(|why| failed().node(node).cause(why))?;
        let bar = ui::bytes(output.format() == Format::Human && !output.is_quiet());
        backup::fetch(connection.as_ref(), archive, &path, |here, all| bar.show(here, all))
            .await
            .map_err(|why| failed().node(node).cause(why))?;
        bar.end();
        match output.format() {
            Format::Json => output.document(&ui::json::fetched(&path, node, archive))?,
            Format::Human => {
                output.result(&format!("{}\n", path.display()))?;
                let age = backup::age(time::OffsetDateTime::now_utc().unix_timestamp() - archive.at);
                output.say(&format!("Taken {age} ago on {node}."));
            }
        }
        Ok(ExitStatus::Done)
    }

    /// The archive that is meant, where this control plane has it.
    fn of<'a>(&self, kept: &'a Kept) -> Option<&'a Archive> {
        let name = self.name.as_ref().or(kept.good.as_ref().map(|good| &good.name))?;
        kept.archives.iter().find(|archive| archive.name == *name)
    }
}
