//! What every request passes first: a name of its own, smaller answers, figures.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Ask, Service};

#[tokio::test]
async fn a_request_keeps_its_name_and_gets_one_when_it_has_none() {
    let service = Service::start().await;
    let named = service.send(Ask::get("/healthz").header("x-request-id", "mine")).await;
    assert_eq!(named.headers["x-request-id"], "mine");
    let one = service.send(Ask::get("/healthz")).await.headers["x-request-id"].clone();
    let other = service.send(Ask::get("/nowhere")).await.headers["x-request-id"].clone();
    assert!(one.len() == 32 && one != other, "{one:?} {other:?}");
}

#[tokio::test]
async fn a_replay_has_a_name_of_its_own_and_is_kept_uncompressed() {
    let service = Service::stocked("mug", 1).await;
    let ask = Ask::reserve("k", "1", "mug", 1);
    let small = ask.clone().header("accept-encoding", "gzip").header("x-request-id", "first");
    let made = service.send(small.clone()).await;
    assert_eq!(
        (made.status.as_u16(), &made.headers["content-encoding"]),
        (201, &"gzip".parse().unwrap())
    );
    let again = service.send(ask.header("x-request-id", "second")).await;
    assert!(again.is_replay() && !again.headers.contains_key("content-encoding"));
    assert_eq!(again.headers["x-request-id"], "second");
    assert_eq!(again.json()["order_id"], "1");
}

#[tokio::test]
async fn prometheus_finds_no_fault_with_the_figures() {
    let service = Service::stocked("mug", 1).await;
    for key in ["k", "k", "other"] {
        service.send(Ask::reserve(key, "1", "mug", 1)).await;
    }
    let page = service.metrics().await;
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = started.unwrap_or_else(|error| {
        panic!("`promtool` did not start ({error}): install Debian's package `prometheus`")
    });
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
}
