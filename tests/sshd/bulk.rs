//! Much data: both ways, on both outputs at once, and across key exchanges.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bytes::Bytes;
use kbootstrap::model::mode::Mode;
use kbootstrap::transport::{Dial, Limits, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{Server, sh};

/// Bytes that no compression or repetition makes easy.
fn noise(len: usize) -> Bytes {
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect::<Vec<u8>>().into()
}

#[tokio::test]
async fn both_outputs_at_once() {
    let server = Server::start();
    let node = server.connect().await;
    let output = sh(&*node, "yes out | head -c 900000 & yes err | head -c 900000 >&2; wait").await;
    assert_eq!((output.stdout.len(), output.stderr.len()), (900_000, 900_000));
}

#[tokio::test]
async fn a_script_of_more_than_a_mebibyte() {
    let server = Server::start();
    let node = server.connect().await;
    let body = format!("cat <<'EOF' | wc -c\n{}\nEOF\n", "x".repeat(1_500_000));
    let output = sh(&*node, &body).await;
    assert_eq!(output.stdout, b"1500001\n");
}

#[tokio::test]
async fn an_uploaded_file_is_whole_and_private_and_alone() {
    let server = Server::start();
    let node = server.connect().await;
    let path = server.path("up/it's a \"file\" $HOME \\n");
    std::fs::create_dir(server.path("up")).unwrap();
    for content in [noise(3 << 20), Bytes::new(), noise(1)] {
        node.upload(path.to_str().unwrap(), Mode::PRIVATE, content.clone()).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == content, "the content differs");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    assert_eq!(std::fs::read_dir(server.path("up")).unwrap().count(), 1);
}

#[tokio::test]
async fn an_upload_that_can_not_be_says_why() {
    let server = Server::start();
    let node = server.connect().await;
    for (path, why) in [("/nonexistent/x", "nonexistent"), ("/etc", "/etc"), ("relative", "absolute")] {
        let error = node.upload(path, Mode::PUBLIC, Bytes::from_static(b"x")).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn many_key_exchanges_under_load() {
    let server = Server::start_with("RekeyLimit 4M");
    let node = server.connect().await;
    let content = noise(65 << 20);
    let path = server.path("big");
    node.upload(path.to_str().unwrap(), Mode::PRIVATE, content.clone()).await.unwrap();
    let limits = Limits { stdout: 80 << 20, ..Limits::within(Duration::from_secs(60)) };
    let script = Script::new(format!("cat {}", path.display()));
    let output = node.run(&script, limits).await.unwrap();
    assert!(output.stdout == content, "the content differs");
}

#[tokio::test]
async fn a_stream_carries_both_ways_at_once() {
    let server = Server::start();
    let node = server.connect().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = socket.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let content = noise(5 << 20);
    let (mut read, mut write) = tokio::io::split(node.dial(Dial::Loopback { port }).await.unwrap());
    let sent = content.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut echoed = Vec::new();
    read.read_to_end(&mut echoed).await.unwrap();
    writing.await.unwrap();
    assert!(echoed == content, "the content differs");
}

#[tokio::test]
async fn a_stream_to_nowhere_says_so() {
    let server = Server::start();
    let node = server.connect().await;
    let mut stream = node.dial(Dial::Loopback { port: 1 }).await.unwrap();
    let error = stream.read(&mut [0; 8]).await.unwrap_err().to_string();
    assert!(error.contains("Connection refused"), "{error}");
}
