//! Only the host that was meant is talked to.

use std::fs;
use std::path::Path;
use std::process::Command;

use kbootstrap::model::ssh::SshTarget;
use kbootstrap::transport::{Cause, TransportError};

use crate::server::{Server, connect, keygen, said};

async fn refused(target: &SshTarget) -> TransportError {
    match connect(target).await {
        Ok(_) => panic!("the host was accepted"),
        Err(error) => error,
    }
}

fn fingerprint(public: &Path) -> String {
    let out = Command::new("ssh-keygen").arg("-lf").arg(public).output().unwrap();
    String::from_utf8(out.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn an_unknown_host_is_refused_with_its_fingerprint_and_a_way_out() {
    let server = Server::start();
    let mut target = server.target();
    target.known_hosts = vec![server.path("none")];
    let error = refused(&target).await;
    let expected = fingerprint(&server.path("host.pub"));
    assert!(
        matches!(error.cause(), Cause::HostKeyUnknown { fingerprint, .. } if *fingerprint == expected),
        "{error:?}"
    );
    let hint = error.hint().unwrap();
    assert!(hint.contains("--accept-new-host-keys"), "{hint}");
    assert!(hint.contains(&format!("ssh-keyscan -p {} 127.0.0.1", server.port())), "{hint}");
    assert!(!server.path("none").exists());
}

#[tokio::test]
async fn an_unknown_host_is_recorded_once_when_that_is_wanted() {
    let server = Server::start();
    let mut target = server.target();
    target.known_hosts = vec![server.path("new/known")];
    target.accept_new_host_keys = true;
    for _ in 0..2 {
        said(&*connect(&target).await.unwrap(), "true").await;
    }
    let recorded = fs::read_to_string(server.path("new/known")).unwrap();
    let line = server.known_line(&format!("[127.0.0.1]:{}", server.port()));
    let fields = |text: &str| text.split_whitespace().take(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!((recorded.lines().count(), fields(&recorded)), (1, fields(&line)));
    // What was recorded is what ssh reads, too.
    target.accept_new_host_keys = false;
    assert!(connect(&target).await.is_ok());
    let found =
        Command::new("ssh-keygen").arg("-F").arg(target.known_as()).arg("-f").arg(server.path("new/known")).status();
    assert!(found.unwrap().success());
}

#[tokio::test]
async fn a_changed_key_is_refused_even_where_new_ones_are_accepted() {
    let server = Server::start();
    keygen(&server.path("other"), "ed25519");
    keygen(&server.path("rsa"), "rsa");
    for other in ["other.pub", "rsa.pub"] {
        let mut target = server.target();
        let text = format!("# first\n{} {}", target.known_as(), fs::read_to_string(server.path(other)).unwrap());
        fs::write(&target.known_hosts[0], &text).unwrap();
        target.accept_new_host_keys = true;
        let error = refused(&target).await;
        let at = format!("{}:2", target.known_hosts[0].display());
        assert!(
            matches!(error.cause(), Cause::HostKeyChanged { known_at, .. } if *known_at == at),
            "{other}: {error:?}"
        );
        assert!(error.hint().unwrap().contains("ssh-keygen -R"));
        assert_eq!(fs::read_to_string(&target.known_hosts[0]).unwrap(), text);
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused() {
    let server = Server::start();
    let target = server.target();
    let known = fs::read_to_string(&target.known_hosts[0]).unwrap();
    fs::write(&target.known_hosts[0], format!("{known}@revoked * {}", server.known_line("").trim())).unwrap();
    let error = refused(&target).await;
    assert!(matches!(error.cause(), Cause::HostKeyRevoked { .. }), "{error:?}");
}

#[tokio::test]
async fn names_hashed_by_ssh_keygen_are_known() {
    let server = Server::start();
    let target = server.target();
    let status = Command::new("ssh-keygen").arg("-Hf").arg(&target.known_hosts[0]).output().unwrap().status;
    assert!(status.success());
    assert!(fs::read_to_string(&target.known_hosts[0]).unwrap().starts_with("|1|"));
    assert!(connect(&target).await.is_ok());
}

#[tokio::test]
async fn the_recorded_type_is_asked_for_where_the_host_has_several() {
    for kind in ["rsa", "ecdsa"] {
        // The server prefers none: what the client asks for first is what it gets.
        let folder = tempfile::tempdir().unwrap();
        keygen(&folder.path().join("second"), kind);
        let server = Server::start_with(&format!("HostKey {}", folder.path().join("second").display()));
        let target = server.target();
        let public = fs::read_to_string(folder.path().join("second.pub")).unwrap();
        fs::write(&target.known_hosts[0], format!("{} {public}", target.known_as())).unwrap();
        if let Err(error) = connect(&target).await {
            panic!("{kind}: {error}");
        }
    }
}
