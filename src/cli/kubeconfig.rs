//! `kbootstrap kubeconfig`: an administrator's kubeconfig that works from here.

use std::{
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use futures::future::join_all;
use tokio::{net::TcpStream, time::timeout};

use super::{Failure, Format, Machines, Output, control_planes::ControlPlanes};
use crate::{
    error::{Error, ExitStatus},
    kube::{AdminConf, Way, admin, client, is_kubeconfig_of, kubeconfig, user_certificate},
    model::{
        cluster::{API_SERVER_PORT, ClusterSpec, EndpointKind},
        name::Host,
        secret::Secret,
        timeout::Timeout,
    },
    pki, ui,
};

/// Write a kubeconfig that reaches the cluster from here: an administrator's, or one for a while for somebody else
///
/// With --user the cluster itself signs a client certificate that ends by itself; what its user may do, RBAC says. The
/// administrator's own never should leave your hands.
#[derive(Debug, Args)]
pub struct Kubeconfig {
    #[command(flatten)]
    machines: Machines,

    /// The file to write, by default NAME.kubeconfig in this folder (NAME-USER.kubeconfig with --user); `-` prints it
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,

    /// For this user, by a certificate that is signed now
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// The group that the user is in
    #[arg(long, value_name = "NAME", requires = "user")]
    group: Option<String>,

    /// How long the user's certificate is good: from 10m to 24h
    #[arg(long, value_name = "TIME", requires = "user", default_value = "8h")]
    ttl: Timeout,
}

/// The shortest life of a certificate that Kubernetes signs.
const SHORTEST: Duration = Duration::from_secs(600);

/// How long a control plane's port is given to answer this machine.
const CONNECT: Duration = Duration::from_secs(2);

impl Kubeconfig {
    pub async fn run(&self, output: &Output) -> Result<ExitStatus, Failure> {
        let seen = ControlPlanes::look(&self.machines).await?;
        let spec = &seen.spec;
        let mut conf = match &seen.admin_conf {
            Some(text) => AdminConf::parse(text).map_err(|why| Error::new("read admin.conf").cause(why))?,
            None => return Err(no_credentials(&seen).into()),
        };
        let ways = ways(spec);
        let current = match spec.endpoint.kind {
            EndpointKind::LocalProxy => reached(&seen, output).await,
            EndpointKind::External => 0,
        };
        let current = &ways[current].name;
        let (user, file) = match &self.user {
            None => (admin(spec.name.as_str()), format!("{}.kubeconfig", spec.name)),
            Some(name) => {
                self.sign(&seen, &mut conf, name).await?;
                let user = format!("{}-{name}", spec.name);
                (user.clone(), format!("{}.kubeconfig", user.replace(['/', ':'], "-")))
            }
        };
        let text = kubeconfig(&conf, &user, &ways, current);
        let path = self.to.clone().unwrap_or_else(|| PathBuf::from(file));
        if path.as_os_str() == "-" {
            output.result(text.expose())?;
            return Ok(ExitStatus::Done);
        }
        write(&path, &text, &user)?;
        match output.format() {
            Format::Json => output.document(&ui::json::kubeconfig(&path.display().to_string(), current, &ways))?,
            Format::Human => remark(output, &path, current, &ways, self.user.as_deref().map(|name| (name, self.ttl))),
        }
        Ok(ExitStatus::Done)
    }

    /// Puts a certificate of a user in the place of the administrator's.
    async fn sign(&self, seen: &ControlPlanes, conf: &mut AdminConf, name: &str) -> Result<(), Failure> {
        let failed = || Error::new(format!("make a certificate for {name}"));
        if self.ttl.duration() < SHORTEST {
            return Err(failed()
                .cause(format!("{} is too short", self.ttl))
                .hint("Kubernetes signs for ten minutes or more: --ttl 10m")
                .exit(ExitStatus::Usage)
                .into());
        }
        let client = client(Arc::clone(&seen.link), conf).map_err(|why| failed().cause(why))?;
        let (request, key) = pki::request(name, self.group.as_deref()).map_err(|why| failed().cause(why))?;
        let signed = user_certificate(&client, name, &request, self.ttl.duration()).await;
        conf.certificate = signed.map_err(|why| failed().cause(why))?;
        conf.key = key;
        Ok(())
    }
}

/// By the local proxy's design every control plane is a way of its own, each checked for the endpoint's name, which
/// all of their certificates carry: no load balancer is needed, and any of them may be down.
fn ways(spec: &ClusterSpec) -> Vec<Way> {
    let endpoint = &spec.endpoint;
    match endpoint.kind {
        EndpointKind::External => {
            vec![Way { name: spec.name.to_string(), server: format!("https://{endpoint}"), tls_server_name: None }]
        }
        EndpointKind::LocalProxy => spec
            .control_planes()
            .map(|node| Way {
                name: format!("{}-{}", spec.name, node.name),
                server: format!("https://{}:{API_SERVER_PORT}", bracketed(&node.address)),
                tls_server_name: Some(endpoint.name.to_string()),
            })
            .collect(),
    }
}

fn bracketed(host: &Host) -> String {
    match host {
        Host::Ip(ip) if ip.is_ipv6() => format!("[{ip}]"),
        host => host.to_string(),
    }
}

/// The index of the first control plane whose API server is ready and whose port answers this machine; else of the
/// first that is ready, and a word on it.
async fn reached(seen: &ControlPlanes, output: &Output) -> usize {
    let nodes: Vec<_> = seen.spec.control_planes().collect();
    let answers = join_all(nodes.iter().map(|node| {
        let address = format!("{}:{API_SERVER_PORT}", bracketed(&node.address));
        async move { matches!(timeout(CONNECT, TcpStream::connect(address)).await, Ok(Ok(_))) }
    }));
    let answers = answers.await;
    let ready = |at: &usize| seen.facts(&nodes[*at].name).is_some_and(|facts| facts.kubernetes.readyz == Some(200));
    let all = 0..nodes.len();
    if let Some(at) = all.clone().find(|at| ready(at) && answers[*at]) {
        return at;
    }
    let at = all.clone().find(ready).unwrap_or(0);
    if !answers.contains(&true) {
        let node = &nodes[at].name;
        output.say(&format!(
            "warning: port {API_SERVER_PORT} of no control plane answers this machine; if a firewall is in between: \
             ssh -L {API_SERVER_PORT}:127.0.0.1:{API_SERVER_PORT} {node}, and kubectl --server \
             https://127.0.0.1:{API_SERVER_PORT}"
        ));
    }
    at
}

fn no_credentials(seen: &ControlPlanes) -> Error {
    let silent =
        seen.observations.len() - seen.spec.control_planes().filter(|node| seen.facts(&node.name).is_some()).count();
    let error = Error::new("find an administrator's credentials");
    match silent {
        0 => error
            .cause("no control plane has /etc/kubernetes/admin.conf")
            .hint("form the cluster first: kbootstrap up INVENTORY"),
        silent => error
            .cause(format!("{silent} control planes did not answer, and no other has /etc/kubernetes/admin.conf"))
            .hint("kbootstrap status INVENTORY tells why they did not")
            .exit(ExitStatus::Partial),
    }
}

/// Puts the file in place whole, for its owner only. A kubeconfig with other clusters in it is not ours to replace.
fn write(path: &Path, text: &Secret<String>, user: &str) -> Result<(), Error> {
    let failed = |why: std::io::Error| Error::new(format!("write {}", path.display())).cause(why);
    match std::fs::read_to_string(path) {
        Ok(there) if !is_kubeconfig_of(&there, user) => {
            return Err(failed(std::io::Error::other("it is there and holds something else"))
                .hint("name another file with --to; kubectl merges those in KUBECONFIG=FILE:FILE by itself"));
        }
        Ok(_) => {}
        Err(why) if why.kind() == ErrorKind::NotFound => {}
        Err(why) => return Err(failed(why)),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made for its owner only (0600) from the first moment, and never seen half.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.expose().as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn remark(output: &Output, path: &Path, current: &str, ways: &[Way], visitor: Option<(&str, Timeout)>) {
    let path = path.display();
    match visitor {
        None => output.say(&format!("Wrote {path}, an administrator's: who reads it owns the cluster.")),
        Some((name, ttl)) => output.say(&format!(
            "Wrote {path}, for {name}: it ends in {ttl} and cannot be taken back before; what {name} may do, RBAC says."
        )),
    }
    output.say(&format!("  kubectl --kubeconfig {path} get nodes"));
    if let Some(other) = ways.iter().find(|way| way.name != current) {
        output.say(&format!("It asks {current}; while that one is down, any other will do: --context {}", other.name));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_a_file_of_ours_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        let text = |user: &str| Secret::new(format!("users:\n- name: {user}\n"));
        write(&path, &text("lab-admin"), "lab-admin").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        write(&path, &text("other"), "lab-admin").unwrap();
        assert!(write(&path, &text("lab-admin"), "lab-admin").is_err());
        assert!(std::fs::read_to_string(&path).unwrap().contains("other"));
        assert!(write(&folder.path().join("no/such"), &text("lab-admin"), "lab-admin").is_err());
    }

    #[test]
    fn addresses_of_both_families() {
        assert_eq!(bracketed(&"10.0.0.1".parse().unwrap()), "10.0.0.1");
        assert_eq!(bracketed(&"fd00::1".parse().unwrap()), "[fd00::1]");
        assert_eq!(bracketed(&"cp1.example".parse().unwrap()), "cp1.example");
    }
}
