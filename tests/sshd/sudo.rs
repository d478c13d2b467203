//! Root by the real sudo, for users made and removed by each test.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kbootstrap::model::ssh::{SshTarget, Sudo};
use kbootstrap::transport::{Cause, Limits, Script};

use crate::server::{Server, connect, said, sh};

/// The files of users have one lock for the whole machine, and its tools give up on it at once.
static ACCOUNTS: Mutex<()> = Mutex::new(());
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A user of the test's own, with a home folder, removed when dropped.
pub struct User {
    pub name: String,
}

impl User {
    pub fn create(shell: &str) -> Self {
        let name = format!("kbtest-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let user = Self { name };
        user.account(Command::new("useradd").args(["-m", "-s", shell, "-p", "*", &user.name]));
        user
    }

    pub fn home(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/home/{}/{name}", self.name))
    }

    fn sudoers(&self) -> PathBuf {
        // sudo passes over files with a dot in their names.
        PathBuf::from(format!("/etc/sudoers.d/{}", self.name))
    }

    /// Says what the user may do by sudo.
    fn may(&self, rule: &str) {
        assert!(PathBuf::from("/usr/bin/sudo").exists(), "sudo is missing: install the Debian package sudo");
        fs::write(self.sudoers(), format!("Defaults:{0} !lecture\n{0} {rule}\n", self.name)).unwrap();
    }

    fn password(&self, password: &str) {
        let _lock = ACCOUNTS.lock();
        let mut child = Command::new("chpasswd").stdin(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{}:{password}", self.name).unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn account(&self, command: &mut Command) {
        let _lock = ACCOUNTS.lock();
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.sudoers());
        let _lock = ACCOUNTS.lock();
        let _ = Command::new("userdel").args(["-r", "-f", &self.name]).stderr(Stdio::null()).status();
    }
}

fn target(server: &Server, user: &User, sudo: Sudo) -> SshTarget {
    let mut target = server.target();
    target.user = user.name.clone();
    target.sudo = sudo;
    target
}

fn password(text: &str) -> Sudo {
    Sudo::Password(text.to_owned().into())
}

async fn refused(target: &SshTarget) -> String {
    let node = connect(target).await.unwrap();
    let error = node.run(&Script::new("echo it ran >&2; exit 1"), Limits::default()).await.unwrap_err();
    assert!(error.hint().unwrap().contains("NOPASSWD"));
    match error.cause() {
        Cause::Sudo { message } => message.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn passwordless() {
    let (server, user) = (Server::start(), User::create("/bin/sh"));
    user.may("ALL=(ALL) NOPASSWD: ALL");
    let node = connect(&target(&server, &user, Sudo::Passwordless)).await.unwrap();
    assert_eq!(said(&*node, "id -u").await, "0\n");
    assert_eq!(sh(&*node, "echo sudo: mine >&2; exit 1").await.stderr, b"sudo: mine\n");
    let mut held = node.hold(&Script::new("main() { echo held; read -r _; echo beat; }\nmain\n")).await.unwrap();
    assert_eq!(held.next_line().await.unwrap().as_deref(), Some("held"));
    held.beat();
    assert_eq!(held.next_line().await.unwrap().as_deref(), Some("beat"));
    let path = server.path("by-sudo");
    node.upload(path.to_str().unwrap(), kbootstrap::model::mode::Mode::PRIVATE, "x".into()).await.unwrap();
    assert_eq!(said(&*node, &format!("stat -c %U:%a {}", path.display())).await, "root:600\n");
}

#[tokio::test]
async fn a_refusal_is_told_in_sudos_words() {
    let (server, user) = (Server::start(), User::create("/bin/sh"));
    let words = refused(&target(&server, &user, Sudo::Passwordless)).await;
    assert!(words.contains("a password is required"), "{words}");
    user.may("ALL=(ALL) NOPASSWD: /bin/true");
    let words = refused(&target(&server, &user, Sudo::Passwordless)).await;
    assert!(words.contains("sudo:"), "{words}");
}

#[tokio::test]
async fn with_a_password() {
    let (server, user) = (Server::start(), User::create("/bin/sh"));
    user.may("ALL=(ALL) ALL");
    user.password("pass word'$x");
    let node = connect(&target(&server, &user, password("pass word'$x"))).await.unwrap();
    assert_eq!(said(&*node, "id -u; cat <<'E'\nit is\nE\n").await, "0\nit is\n");
    let output = sh(&*node, "echo err >&2").await;
    assert_eq!(output.stderr, b"err\n");
}

#[tokio::test]
async fn a_wrong_password_is_refused_soon_and_guessed_no_further() {
    let (server, user) = (Server::start(), User::create("/bin/sh"));
    user.may("ALL=(ALL) ALL");
    user.password("right");
    let begun = Instant::now();
    let words = refused(&target(&server, &user, password("wrong"))).await;
    assert!(words.contains("try again"), "{words}");
    assert!(!words.contains("password:"), "{words}");
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn a_password_that_is_not_asked_for_is_not_sent() {
    let (server, user) = (Server::start(), User::create("/bin/sh"));
    user.may("ALL=(ALL) NOPASSWD: ALL");
    let node = connect(&target(&server, &user, password("touch /tmp/oops"))).await.unwrap();
    let output = sh(&*node, "id -u").await;
    assert_eq!((output.stdout, output.stderr), (b"0\n".into(), b"".into()));
}
