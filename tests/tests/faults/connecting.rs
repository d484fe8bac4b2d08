//! Before a connection stands.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use aplomb::core::FailureKind::{Permanent, Unsent};
use aplomb::core::grpc::translate;
use http::{Request, Version};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Duration;
use tonic::transport::Channel;
use tonic::{ConnectError, TimeoutExpired};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::clients::{by_hyper, by_reqwest, hyper, kind, reqwest};
use crate::server::Acted;

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_refused_connection_is_unsent() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (url, acted) = (format!("http://{}/", nobody().await), Acted::default());
        for seen in [
            by_hyper(hyper(version).build_http(), &url, &acted).await,
            by_reqwest(reqwest(version).build().unwrap(), &url, &acted).await,
        ] {
            assert_eq!(seen.kinds(), [Unsent; 3], "{seen:?}");
            assert!(!seen.is_stale(), "a connection that never stood costs a retry");
        }
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_unsent() {
    let (url, acted) = ("http://stock.invalid/", Acted::default());
    let resolver = service_fn(|_| async { Err::<std::iter::Empty<SocketAddr>, _>(unknown()) });
    let connector = HttpConnector::new_with_resolver(resolver);
    let hyper = by_hyper(hyper(Version::HTTP_11).build(connector), url, &acted).await;
    let client = reqwest(Version::HTTP_11).dns_resolver(Arc::new(KnowsNobody)).build().unwrap();
    for seen in [hyper, by_reqwest(client, url, &acted).await] {
        assert_eq!(seen.kinds(), [Unsent; 3], "{seen:?}");
        assert!(!seen.is_stale());
    }
}

struct KnowsNobody;

impl reqwest::dns::Resolve for KnowsNobody {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async { Err(unknown().into()) })
    }
}

fn unknown() -> io::Error {
    io::Error::other("no such host")
}

/// A socket that listens and whose queue is full answers nobody who wants to connect (on Linux).
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_does_not_stand_in_time_is_unsent() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let (address, soon) = (listener.local_addr().unwrap(), Duration::from_millis(100));
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(soon, TcpStream::connect(address)).await {
        queue.push(stream);
    }
    let (url, acted) = (format!("http://{address}/"), Acted::default());
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(soon));
    let hyper = by_hyper(hyper(Version::HTTP_11).build(connector), &url, &acted).await;
    let client = reqwest(Version::HTTP_11).connect_timeout(soon).build().unwrap();
    for seen in [hyper, by_reqwest(client, &url, &acted).await] {
        assert_eq!(seen.kinds(), [Unsent; 3], "{seen:?}");
    }
}

#[tokio::test]
async fn what_tonic_could_not_connect_to_is_unsent() {
    for url in [format!("http://{}", nobody().await), "http://stock.invalid".into()] {
        let channel = Channel::from_shared(url).unwrap().connect_lazy();
        let channel = ServiceBuilder::new()
            .map_err(translate::<TimeoutExpired, ConnectError>)
            .service(channel);
        let request = Request::post("/stock.Stock/Look").body(tonic::body::Body::empty()).unwrap();
        assert_eq!(kind(channel.oneshot(request).await.unwrap_err()), Unsent);
    }
}

#[tokio::test]
async fn a_url_that_no_client_can_follow_is_not_sent_again() {
    let seen = by_hyper(hyper(Version::HTTP_11).build_http(), "/relative", &Acted::default()).await;
    assert_eq!(seen.kinds(), [Permanent], "{seen:?}");
}
