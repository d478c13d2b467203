//! Connections that break, stall or were never possible.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kbootstrap::model::mode::Mode;
use kbootstrap::model::ssh::{Keepalive, SshTarget};
use kbootstrap::transport::{Cause, Limits, Script, Stage, TransportError};

use crate::server::{Server, connect, said};

async fn refused(target: &SshTarget) -> TransportError {
    match connect(target).await {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_session_killed_in_mid_command_is_lost_not_ended() {
    let server = Server::start();
    let node = server.connect().await;
    let script = Script::new("echo started >&2; sleep 3600");
    let running = node.run(&script, Limits::default());
    let killing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.signal_sessions("KILL");
    };
    let (result, ()) = tokio::join!(running, killing);
    let error = result.unwrap_err();
    assert!(matches!(error.cause(), Cause::Lost { .. }) && error.is_transient(), "{error:?}");
    // And so is everything asked of that connection later.
    let error = node.run(&script, Limits::default()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Lost { .. }), "{error:?}");
}

#[tokio::test]
async fn an_upload_that_is_cut_off_leaves_the_old_file_and_nothing_else() {
    let server = Server::start();
    std::fs::create_dir(server.path("up")).unwrap();
    let path = server.path("up/file");
    std::fs::write(&path, "old").unwrap();
    let node = server.connect().await;
    let content = Bytes::from(vec![7; 200 << 20]);
    let uploading = node.upload(path.to_str().unwrap(), Mode::PRIVATE, content);
    let killing = async {
        // In the middle: some of it is there.
        let folder = server.path("up");
        let half_written = || {
            let files = std::fs::read_dir(&folder).unwrap().flatten();
            files
                .filter(|file| file.file_name() != "file")
                .any(|file| file.metadata().is_ok_and(|it| it.len() > 1 << 20))
        };
        while !half_written() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.signal_sessions("KILL");
    };
    let (result, ()) = tokio::join!(uploading, killing);
    assert!(matches!(result.unwrap_err().cause(), Cause::Lost { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    let begun = Instant::now();
    while std::fs::read_dir(server.path("up")).unwrap().count() != 1 {
        assert!(begun.elapsed() < Duration::from_secs(5), "the half-written file stays");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_stopped_server_is_noticed_in_bounded_time() {
    let server = Server::start();
    let mut target = server.target();
    target.keepalive = Keepalive { interval: Duration::from_millis(300), count: 3 };
    let node = connect(&target).await.unwrap();
    said(&*node, "true").await;
    server.signal_sessions("STOP");
    let begun = Instant::now();
    let error = node.run(&Script::new("true"), Limits::default()).await.unwrap_err();
    assert!(matches!(error.cause(), Cause::Lost { .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_stopped_under_load_is_noticed_in_bounded_time() {
    let server = Server::start();
    let mut target = server.target();
    target.keepalive = Keepalive { interval: Duration::from_millis(300), count: 3 };
    let node = connect(&target).await.unwrap();
    let path = server.path("file");
    let uploading = node.upload(path.to_str().unwrap(), Mode::PRIVATE, Bytes::from(vec![7; 200 << 20]));
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.signal_sessions("STOP");
        Instant::now()
    };
    let (result, stopped) = tokio::join!(uploading, stopping);
    assert!(matches!(result.unwrap_err().cause(), Cause::Lost { .. }));
    assert!(stopped.elapsed() < Duration::from_secs(4), "{:?}", stopped.elapsed());
    assert!(!path.exists());
}

#[tokio::test]
async fn nobody_there() {
    let mut target = SshTarget::new("cp1", "127.0.0.1");
    target.port = 1;
    let error = refused(&target).await;
    assert!(matches!(error.cause(), Cause::Unreachable { .. }) && error.is_transient(), "{error:?}");
    assert_eq!(error.to_string(), "node cp1 (127.0.0.1:1): can't connect: Connection refused (os error 111)");
    target.host = "nowhere.invalid".into();
    assert!(matches!(refused(&target).await.cause(), Cause::Unreachable { .. }));
}

#[tokio::test]
async fn somebody_there_who_says_nothing() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut target = SshTarget::new("cp1", "127.0.0.1");
    target.port = silent.local_addr().unwrap().port();
    target.timeouts.handshake = Duration::from_millis(300);
    let error = refused(&target).await;
    assert!(matches!(error.cause(), Cause::Timeout { stage: Stage::Handshake, .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_too_busy_to_greet_is_asked_again() {
    let busy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut target = SshTarget::new("cp1", "127.0.0.1");
    target.port = busy.local_addr().unwrap().port();
    let turned_away = tokio::spawn(async move {
        for _ in 0..3 {
            drop(busy.accept().await.unwrap());
        }
    });
    let error = refused(&target).await;
    assert!(matches!(error.cause(), Cause::Handshake { .. }) && error.is_transient(), "{error:?}");
    tokio::time::timeout(Duration::from_secs(1), turned_away).await.expect("three tries").unwrap();
}

#[tokio::test]
async fn nothing_in_common_names_both_sides() {
    let server = Server::start_with("Ciphers aes128-cbc");
    let error = refused(&server.target()).await;
    assert!(matches!(error.cause(), Cause::NoCommonAlgorithm { theirs, .. } if theirs == "aes128-cbc"), "{error:?}");
}
