//! An OpenSSH server of a test's own, and the targets that reach it.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kbootstrap::model::ssh::{Agent, SshTarget};
use kbootstrap::transport::ssh::SshConnector;
use kbootstrap::transport::{Connector, Effect, Limits, Output, Script, TransportError};
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";

pub struct Server {
    sshd: Child,
    folder: TempDir,
    port: u16,
}

impl Server {
    /// Starts a server that root logs in to with [`Server::key`].
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a server with further lines of `sshd_config`; the first value of a key wins, so they come first.
    pub fn start_with(lines: &str) -> Self {
        assert!(Path::new(SSHD).exists(), "{SSHD} is missing: install the Debian package openssh-server");
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        keygen(&at("host"), "ed25519");
        keygen(&at("key"), "ed25519");
        fs::copy(at("key.pub"), at("authorized")).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "{lines}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             PermitRootLogin yes\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nLogLevel VERBOSE\n",
            at("host").display(),
            at("authorized").display(),
        );
        fs::write(at("config"), config).unwrap();
        let log = fs::File::create(at("log")).unwrap();
        let sshd = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(at("config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd starts");
        let server = Self { sshd, folder, port };
        server.await_greeting();
        server
    }

    fn await_greeting(&self) {
        let begun = Instant::now();
        loop {
            if let Ok(mut socket) = TcpStream::connect(("127.0.0.1", self.port))
                && socket.read_exact(&mut [0; 4]).is_ok()
            {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "sshd does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A file in the server's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Private key that root may log in with.
    pub fn key(&self) -> PathBuf {
        self.path("key")
    }

    /// The line of known_hosts for the server, under this name.
    pub fn known_line(&self, name: &str) -> String {
        let public = fs::read_to_string(self.path("host.pub")).unwrap();
        format!("{name} {}\n", public.trim())
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A target that logs in as root and knows the host.
    pub fn target(&self) -> SshTarget {
        let mut target = SshTarget::new("cp1", "127.0.0.1");
        target.port = self.port;
        target.identity_files = vec![self.key()];
        target.agent = Agent::Off;
        let known = self.path("known_hosts");
        fs::write(&known, self.known_line(&format!("[127.0.0.1]:{}", self.port))).unwrap();
        target.known_hosts = vec![known];
        target
    }

    pub async fn connect(&self) -> Arc<dyn Effect> {
        match connect(&self.target()).await {
            Ok(node) => node,
            Err(error) => panic!("{error}\n{}", self.log()),
        }
    }

    /// The processes that serve connections: the server's children, and theirs that are sshd, too.
    pub fn sessions(&self) -> Vec<u32> {
        descendants(self.sshd.id()).into_iter().filter(|pid| comm(*pid).starts_with("sshd")).collect()
    }

    /// Sends a signal to every process that serves a connection.
    pub fn signal_sessions(&self, signal: &str) {
        let sessions = self.sessions();
        assert!(!sessions.is_empty(), "no session to send {signal} to");
        for pid in sessions {
            send(signal, pid);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for pid in descendants(self.sshd.id()) {
            send("KILL", pid);
        }
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

pub async fn connect(target: &SshTarget) -> Result<Arc<dyn Effect>, TransportError> {
    SshConnector::new().connect(target).await
}

/// Runs a script that must end by itself within 20 s.
pub async fn sh(node: &dyn Effect, text: &str) -> Output {
    let limits = Limits::within(Duration::from_secs(20));
    node.run(&Script::new(text), limits).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The standard output of a script that succeeds.
pub async fn said(node: &dyn Effect, text: &str) -> String {
    let output = sh(node, text).await;
    assert!(output.exit.is_success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn keygen(path: &Path, kind: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", "", "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen runs: install the Debian package openssh-client");
    assert!(status.success());
}

pub fn send(signal: &str, pid: u32) {
    // It may have ended meanwhile, which is as well.
    let _ = Command::new("kill").args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status();
}

fn comm(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}

/// All processes below this one.
fn descendants(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // The name is in parentheses and may hold anything; the parent is the second field after it.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parents.push((pid, parent.unwrap_or(0)));
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}
