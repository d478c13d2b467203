//! Logging in with the keys that were named, and saying what was tried.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kbootstrap::model::ssh::Agent;
use kbootstrap::transport::Cause;

use crate::server::{Server, connect, keygen, said};

/// An ssh-agent of the test's own.
struct SshAgent(Child);

impl SshAgent {
    fn start(socket: &Path) -> Self {
        let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(socket).stdout(Stdio::null()).spawn().unwrap();
        while !socket.exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn add(socket: &Path, key: &Path) {
    let output = Command::new("ssh-add").arg(key).env("SSH_AUTH_SOCK", socket).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

async fn tried(target: &kbootstrap::model::ssh::SshTarget) -> String {
    let error = match connect(target).await {
        Ok(_) => panic!("logged in"),
        Err(error) => error,
    };
    assert!(!error.is_transient());
    match error.cause() {
        Cause::Auth { tried, .. } => tried.join("\n"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_type_of_key_file() {
    let server = Server::start();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        keygen(&server.path(kind), kind);
        fs::copy(server.path(&format!("{kind}.pub")), server.path("authorized")).unwrap();
        let mut target = server.target();
        target.identity_files = vec![server.path(kind)];
        match connect(&target).await {
            Ok(node) => assert_eq!(said(&*node, "id -u").await, "0\n"),
            Err(error) => panic!("{kind}: {error}\n{}", server.log()),
        }
    }
    let log = server.log();
    assert!(log.contains("Accepted publickey for root") && !log.contains("Failed none"), "{log}");
}

#[tokio::test]
async fn what_was_tried_is_listed() {
    let server = Server::start();
    keygen(&server.path("stranger"), "ed25519");
    let mut target = server.target();
    target.identity_files = vec![server.path("missing"), server.path("host.pub"), server.path("stranger")];
    target.agent = Agent::Socket(server.path("no-agent"));
    let tried = tried(&target).await;
    let expected = ["missing: No such file", "host.pub: ", "stranger: not accepted", "no-agent: "];
    for (line, part) in tried.lines().zip(expected) {
        assert!(line.contains(part), "{part} in\n{tried}");
    }
    assert_eq!(tried.lines().count(), expected.len(), "{tried}");
}

#[tokio::test]
async fn an_encrypted_key_is_used_through_the_agent() {
    let server = Server::start();
    let plain = server.path("plain");
    let locked = server.path("locked");
    keygen(&plain, "ed25519");
    fs::copy(&plain, &locked).unwrap();
    let lock =
        Command::new("ssh-keygen").args(["-q", "-p", "-P", "", "-N", "secret", "-f"]).arg(&locked).output().unwrap();
    assert!(lock.status.success());
    fs::copy(server.path("plain.pub"), server.path("authorized")).unwrap();
    let mut target = server.target();
    target.identity_files = vec![locked];
    let without = tried(&target).await;
    assert!(without.contains("encrypted") && without.contains("ssh-add"), "{without}");

    // An agent with more keys than the server has patience for: the one that was named comes first.
    let socket = server.path("agent");
    let _agent = SshAgent::start(&socket);
    for n in 0..8 {
        let other = server.path(&format!("other{n}"));
        keygen(&other, "ed25519");
        add(&socket, &other);
    }
    add(&socket, &plain);
    target.agent = Agent::Socket(socket);
    match connect(&target).await {
        Ok(node) => assert_eq!(said(&*node, "id -u").await, "0\n"),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_agent_signs_for_rsa_and_an_empty_one_is_no_error() {
    let server = Server::start();
    let socket = server.path("agent");
    let _agent = SshAgent::start(&socket);
    let mut target = server.target();
    target.agent = Agent::Socket(socket.clone());
    assert!(connect(&target).await.is_ok());
    target.identity_files.clear();
    assert_eq!(tried(&target).await, "ssh-agent holds no keys");
    keygen(&server.path("rsa"), "rsa");
    fs::copy(server.path("rsa.pub"), server.path("authorized")).unwrap();
    add(&socket, &server.path("rsa"));
    assert!(connect(&target).await.is_ok());
}

#[tokio::test]
async fn too_many_keys_are_told_by_the_servers_words() {
    let server = Server::start_with("MaxAuthTries 2");
    let mut target = server.target();
    target.identity_files.clear();
    for n in 0..4 {
        let stranger = server.path(&format!("stranger{n}"));
        keygen(&stranger, "ed25519");
        target.identity_files.push(stranger);
    }
    let tried = tried(&target).await;
    assert!(tried.contains("Too many authentication failures"), "{tried}");
}
