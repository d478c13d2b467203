//! Scripts arrive as they are, and what they write and how they end comes back.

use std::time::{Duration, Instant};

use kbootstrap::shell;
use kbootstrap::transport::{Cause, Exit, Limits, OutputStream, Script, Stage};

use crate::server::{Server, said, sh};

#[tokio::test]
async fn answers_with_outputs_and_status() {
    let server = Server::start();
    let node = server.connect().await;
    let output = sh(&*node, "echo out; echo err >&2; exit 7").await;
    assert_eq!((output.stdout, output.stderr, output.exit), (b"out\n".into(), b"err\n".into(), Exit::Code(7)));
}

#[tokio::test]
async fn every_character_of_a_value_survives() {
    let server = Server::start();
    let node = server.connect().await;
    // All of Latin-1 but NUL, which is every byte that UTF-8 can hold and then some; and what shells trip over.
    let latin: String = (1..=255u8).map(char::from).collect();
    for value in
        [&latin, "", "'", "''\\''", "$(reboot)`reboot`${x}", "-n", "a\n\nb\n", "\\", "!!", "*?[a]", "~", "%s\\0"]
    {
        let wrapped = shell::wrap(&format!("printf %s {}", shell::quote(value)));
        assert_eq!(said(&*node, &wrapped).await, value);
    }
}

#[tokio::test]
async fn a_script_is_only_text_and_leaves_no_trace_in_arguments() {
    let server = Server::start();
    let node = server.connect().await;
    // One letter apart from itself, so that the search does not find the searching script.
    let found = said(
        &*node,
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep -c 'se[c]ret-8271' || : secret-8271",
    )
    .await;
    assert_eq!(found, "0\n");
}

#[tokio::test]
async fn a_signal_is_told_by_its_name() {
    let server = Server::start();
    let node = server.connect().await;
    for signal in ["KILL", "TERM", "SEGV"] {
        let exit = sh(&*node, &format!("kill -s {signal} $$")).await.exit;
        assert!(matches!(&exit, Exit::Signal { name, .. } if name == signal), "{exit:?}");
    }
}

#[tokio::test]
async fn a_time_limit_ends_the_wait_and_then_the_script() {
    let server = Server::start();
    let node = server.connect().await;
    let limit = Duration::from_secs(2);
    let begun = Instant::now();
    let limits = Limits::within(limit);
    let error = node.run(&Script::new("echo nearly >&2; sleep 3600"), limits).await.unwrap_err();
    assert!(begun.elapsed() < limit + Duration::from_secs(2));
    match error.cause() {
        Cause::Timeout { stage: Stage::Command, stderr, .. } => assert_eq!(stderr, "nearly"),
        other => panic!("{other:?}"),
    }
    // The connection is as good as before.
    assert_eq!(said(&*node, "echo on").await, "on\n");
}

#[tokio::test]
async fn output_without_end_exceeds_its_limit_in_bounded_memory() {
    let server = Server::start();
    let node = server.connect().await;
    for (text, stream) in [("yes", OutputStream::Stdout), ("yes >&2", OutputStream::Stderr)] {
        let limits = Limits { stdout: 1 << 20, stderr: 1 << 20, timeout: Duration::from_secs(20) };
        let error = node.observe(&Script::new(text), limits).await.unwrap_err();
        assert_eq!(error.cause(), &Cause::TooMuch { stream, limit: 1 << 20 });
    }
    assert_eq!(said(&*node, "echo on").await, "on\n");
}

#[tokio::test]
async fn a_dropped_wait_closes_the_channel() {
    let server = Server::start_with("MaxSessions 2");
    let node = server.connect().await;
    for _ in 0..4 {
        let script = Script::new("cat; sleep 3600");
        let waiting = node.run(&script, Limits::within(Duration::from_secs(1)));
        assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err());
    }
    // Four were left behind on two sessions: the node's own limit has ended them.
    assert_eq!(said(&*node, "echo on").await, "on\n");
}
