//! A pooled connection that the server closes while it is idle: the next POST on it is either
//! provably unsent or may have acted, and in no case does the server act on it twice.

use aplomb::core::FailureKind::{Transient, Unsent};
use http::Version;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::clients::{Seen, by_hyper, by_reqwest, hyper, reqwest, url};
use crate::http1::act;
use crate::server::{Acted, Server};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// So many that some meet the connection just as it is closed.
const POSTS: usize = 100;

/// Answers one request on each connection, keeps it for a moment, and closes it.
async fn forgets(mut stream: TcpStream, acted: Acted) {
    if act(&mut stream, &acted).await.is_some() {
        stream.write_all(OK).await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// Answers one request on each connection, and dies of the second.
async fn dies_of_the_second(mut stream: TcpStream, acted: Acted) {
    if act(&mut stream, &acted).await.is_some() {
        stream.write_all(OK).await.unwrap();
        act(&mut stream, &acted).await;
    }
}

#[tokio::test]
async fn a_connection_that_closes_while_idle_never_makes_two_of_a_post() {
    let server = Server::start(forgets).await;
    let client = hyper(Version::HTTP_11).build_http();
    let mut met = 0;
    for _ in 0..POSTS {
        let before = server.acted.times();
        let seen = by_hyper(client.clone(), &url(&server), &server.acted).await;
        met += seen.failures.len();
        once_at_most(&seen, before);
    }
    assert!(met > 0, "no request met a connection that was closed");
    // Inside reqwest hyper-util sends again by itself what it knows to be unsent.
    let server = Server::start(forgets).await;
    let client = reqwest(Version::HTTP_11).build().unwrap();
    for _ in 0..POSTS {
        let before = server.acted.times();
        once_at_most(&by_reqwest(client.clone(), &url(&server), &server.acted).await, before);
    }
}

#[tokio::test]
async fn a_connection_that_dies_of_its_second_post_may_have_acted() {
    let server = Server::start(dies_of_the_second).await;
    let client = hyper(Version::HTTP_11).build_http();
    for acted in [1, 2] {
        let seen = by_hyper(client.clone(), &url(&server), &server.acted).await;
        assert_eq!((seen.kinds().len(), seen.acted), (acted - 1, acted), "{seen:?}");
        assert!(seen.kinds().iter().all(|kind| *kind == Transient), "{seen:?}");
    }
    let server = Server::start(dies_of_the_second).await;
    let client = reqwest(Version::HTTP_11).build().unwrap();
    for acted in [1, 2] {
        let seen = by_reqwest(client.clone(), &url(&server), &server.acted).await;
        assert_eq!((seen.kinds().len(), seen.acted), (acted - 1, acted), "{seen:?}");
        assert!(seen.kinds().iter().all(|kind| *kind == Transient), "{seen:?}");
    }
}

/// What failed was never sent, and was sent again; or it may have been, and was not.
fn once_at_most(seen: &Seen, before: usize) {
    let acted = seen.acted - before;
    match &seen.end {
        Ok(_) => assert_eq!(acted, 1, "{seen:?}"),
        Err(_) => assert!(acted <= 1, "{seen:?}"),
    }
    for failure in &seen.failures {
        let unsent = failure.kind == Unsent && failure.stale_connection;
        assert!(unsent || failure.kind == Transient, "{seen:?}");
    }
}
