//! Scripts arrive as they are, and what they write and how they end comes back.

use std::time::{Duration, Instant};

use kbootstrap::shell::quote;
use kbootstrap::transport::{Cause, Exit, Limits, OutputStream, Script, Stage};

use crate::server::{Server, said, sh};

#[tokio::test]
async fn answers_with_outputs_and_status() {
    let server = Server::start();
    let node = server.connect().await;
    let output = sh(&*node, "echo out; echo err >&2; exit 7").await;
    assert_eq!((output.stdout, output.stderr, output.exit), (b"out\n".into(), b"err\n".into(), Exit::Code(7)));
}
