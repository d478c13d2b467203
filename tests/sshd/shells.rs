//! Whatever the login shell is and says, a script starts in `sh` and its output is its own.

use std::path::Path;

use kbootstrap::transport::{Cause, Exit, Limits, Script};

use crate::server::{Server, connect, sh};
use crate::sudo::User;

#[tokio::test]
async fn login_shells_of_all_kinds() {
    let mut seen = Vec::new();
    for shell in ["/bin/sh", "/bin/bash", "/usr/bin/zsh", "/usr/bin/fish", "/bin/tcsh"] {
        if !Path::new(shell).exists() {
            continue;
        }
        let user = User::create(shell);
        let server = Server::start();
        let mut target = server.target();
        target.user = user.name.clone();
        let node = connect(&target).await.unwrap();
        let output = sh(&*node, "echo \"$0 it's \\$\" '!'; kill -s KILL $$").await;
        assert_eq!(output.stdout, b"sh it's $ !\n", "{shell}");
        assert!(matches!(&output.exit, Exit::Signal { name, .. } if name == "KILL"), "{shell}: {:?}", output.exit);
        node.upload(user.home("a b").to_str().unwrap(), kbootstrap::model::mode::Mode::PRIVATE, "x".into())
            .await
            .unwrap();
        seen.push(shell);
    }
    println!("login shells seen: {seen:?}");
    assert!(seen.len() >= 2);
}

#[tokio::test]
async fn banners_and_noisy_startup_files_are_not_output() {
    let user = User::create("/bin/bash");
    std::fs::write(user.home(".bashrc"), "echo rc out; echo rc err >&2; printf 'no newline'\n").unwrap();
    let banner = user.home("banner");
    std::fs::write(&banner, "Authorized use only\n").unwrap();
    let server = Server::start_with(&format!("Banner {}", banner.display()));
    let mut target = server.target();
    target.user = user.name.clone();
    let node = connect(&target).await.unwrap();
    let output = sh(&*node, "echo out; echo err >&2").await;
    assert_eq!((output.stdout, output.stderr), (b"out\n".into(), b"err\n".into()));
}

#[tokio::test]
async fn a_shell_that_starts_nothing_is_told_apart_from_a_script_that_fails() {
    let user = User::create("/usr/sbin/nologin");
    let server = Server::start();
    let mut target = server.target();
    target.user = user.name.clone();
    let node = connect(&target).await.unwrap();
    let error = node.run(&Script::new("true"), Limits::default()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::NotStarted { exit: Exit::Code(1), .. }), "{error:?}");
    assert!(error.to_string().contains("not available"), "{error}");
}

#[tokio::test]
async fn what_a_forced_command_does_is_not_taken_for_the_script() {
    let server = Server::start_with("ForceCommand echo forced");
    let node = server.connect().await;
    let error = node.run(&Script::new("true"), Limits::default()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::NotStarted { exit: Exit::Code(0), .. }), "{error:?}");
    assert!(error.to_string().ends_with(": forced"), "{error}");
}
