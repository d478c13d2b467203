//! Two sessions on a connection, a third that waits, and what is held or followed in them.

use std::path::Path;
use std::time::{Duration, Instant};

use kbootstrap::transport::{Exit, FollowEvent, Script};

use crate::server::{Server, said};

/// Answers each beat with a line.
const HOLDER: &str = "main() { echo held; while read -r _; do echo beat; done; echo gone >&2; exit 3; }\nmain\n";

/// A command that ends once the test has made a file.
fn until_exists(file: &Path) -> String {
    format!("until [ -e {} ]; do sleep 0.01; done;", file.display())
}

#[tokio::test]
async fn a_lock_and_work_fit_max_sessions_2_and_a_third_waits() {
    let server = Server::start_with("MaxSessions 2");
    let node = server.connect().await;
    let mut held = node.hold(&Script::new(HOLDER)).await.unwrap();
    assert_eq!(held.next_line().await.unwrap().as_deref(), Some("held"));
    let go = server.path("go");
    let mut work = node.follow(&Script::new(until_exists(&go)), Duration::from_secs(20)).await.unwrap();
    let mut third = std::pin::pin!(said(&*node, "echo third"));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut third).await.is_err(), "it did not wait");
    std::fs::write(&go, "").unwrap();
    assert_eq!(third.await, "third\n");
    assert_eq!(work.next().await.unwrap(), Some(FollowEvent::Exit(Exit::Code(0))));
    assert!(held.beat());
    assert_eq!(held.next_line().await.unwrap().as_deref(), Some("beat"));
}

#[tokio::test]
async fn many_commands_in_a_row_leave_no_session_behind() {
    let server = Server::start_with("MaxSessions 2");
    let node = server.connect().await;
    for n in 0..40 {
        assert_eq!(said(&*node, &format!("echo {n}")).await, format!("{n}\n"));
    }
}

#[tokio::test]
async fn a_holder_ends_when_it_is_let_go() {
    let server = Server::start();
    let node = server.connect().await;
    let file = server.path("held");
    let script =
        format!("main() {{ touch {0}; echo held; while read -r _; do :; done; rm {0}; }}\nmain\n", file.display());
    let mut held = node.hold(&Script::new(script)).await.unwrap();
    assert!(held.beat(), "a beat before the first line is kept back");
    assert_eq!(held.next_line().await.unwrap().as_deref(), Some("held"));
    assert!(file.exists());
    drop(held);
    let begun = Instant::now();
    while file.exists() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the holder goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_holder_that_ends_by_itself_is_told() {
    let server = Server::start();
    let node = server.connect().await;
    let mut held = node.hold(&Script::new("echo busy; echo why >&2; exit 4")).await.unwrap();
    assert_eq!(held.next_line().await.unwrap().as_deref(), Some("busy"));
    assert_eq!(held.next_line().await.unwrap(), None);
    assert_eq!((held.exit(), held.stderr().as_str()), (Some(&Exit::Code(4)), "why\n"));
    assert!(!held.beat());
}

#[tokio::test]
async fn followed_output_comes_while_the_script_runs() {
    let server = Server::start();
    let node = server.connect().await;
    let go = server.path("go");
    let script = Script::new(format!("echo one; {} echo two >&2; exit 5", until_exists(&go)));
    let mut follow = node.follow(&script, Duration::from_secs(20)).await.unwrap();
    assert_eq!(follow.next().await.unwrap(), Some(FollowEvent::Stdout("one\n".into())));
    std::fs::write(&go, "").unwrap();
    assert_eq!(follow.next().await.unwrap(), Some(FollowEvent::Stderr("two\n".into())));
    assert_eq!(follow.next().await.unwrap(), Some(FollowEvent::Exit(Exit::Code(5))));
    assert_eq!(follow.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_reader_that_falls_behind_loses_its_stream_and_stalls_nobody() {
    let server = Server::start();
    let node = server.connect().await;
    let mut follow = node.follow(&Script::new("yes"), Duration::from_secs(20)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The other session works while nobody reads this one.
    assert_eq!(said(&*node, "echo on").await, "on\n");
    tokio::time::sleep(Duration::from_millis(900)).await;
    let error = loop {
        match follow.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("more than 16777216 bytes on standard output"), "{error}");
}

#[tokio::test]
async fn a_script_that_does_not_read_its_input_stalls_nobody() {
    let server = Server::start();
    let node = server.connect().await;
    let go = server.path("go");
    // The shell runs the first line before it reads on; what comes after is more than any window holds.
    let script = Script::new(format!("{}\n{}", until_exists(&go), "# more of it\n".repeat(800_000)));
    let mut stuck = node.follow(&script, Duration::from_secs(60)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), stuck.next()).await.is_err());
    for _ in 0..3 {
        assert_eq!(said(&*node, "echo on").await, "on\n");
    }
    std::fs::write(&go, "").unwrap();
    assert_eq!(stuck.next().await.unwrap(), Some(FollowEvent::Exit(Exit::Code(0))));
}
