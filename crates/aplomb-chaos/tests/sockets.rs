//! What faults look like to whoever is at the other end of a real socket.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::net::SocketAddr;

use aplomb_chaos::{Chaos, Event, Knobs, Refused};
use aplomb_core::{BoxError, Call, Classify, FailureKind, HttpClassifier, Ratio, cause};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tower::{Layer, Service, service_fn};

#[tokio::test]
async fn an_answer_that_breaks_off_has_its_head_and_half_its_body() {
    let chaos = Chaos::seeded(7);
    chaos.set(half());
    let (address, _) = serve(chaos.body().layer(service_fn(whole))).await;
    let said = exchange(address).await;
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_lowercase().contains("content-length: 10"), "{head}");
    assert_eq!(body, "01234");

    chaos.set(Knobs::default());
    assert!(exchange(address).await.ends_with("\r\n\r\n0123456789"));
}

#[tokio::test]
async fn a_stream_that_breaks_off_never_says_that_it_ended() {
    let chaos = Chaos::seeded(7);
    chaos.set(half());
    let streams = service_fn(async |_: Request<Incoming>| {
        let parts = ["0123456789", "abcdefghijkl"].map(Bytes::from).map(Frame::data);
        let parts = futures_util::stream::iter(parts.map(Ok::<_, Infallible>));
        Ok::<_, Infallible>(Response::new(StreamBody::new(parts)))
    });
    let (address, _) = serve(chaos.body().layer(streams)).await;
    let said = exchange(address).await;
    let (_, body) = said.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "A\r\n0123456789\r\n6\r\nabcdef\r\n");
}

#[tokio::test]
async fn an_empty_answer_has_nothing_to_break_off() {
    let chaos = Chaos::seeded(7);
    chaos.set(half());
    let nothing = service_fn(async |_: Request<Incoming>| {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let (address, _) = serve(chaos.body().layer(nothing)).await;
    assert!(exchange(address).await.ends_with("\r\n\r\n"));
}

#[tokio::test]
async fn a_black_hole_takes_a_call_and_never_answers_until_its_caller_hangs_up() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let chaos = Chaos::seeded(7).observe(move |event: &Event| tell.send(*event).unwrap());
    chaos.set(Knobs { hang_rate: Ratio::ONE, ..Knobs::default() });
    let (address, mut ended) = serve(chaos.edge().layer(service_fn(whole))).await;

    let mut hung = ask(address).await;
    assert_eq!(told.recv().await, Some(Event::Hung));
    chaos.set(Knobs::default());
    assert!(exchange(address).await.ends_with("0123456789"), "others are answered");
    ended.recv().await.unwrap();
    let mut byte = [0];
    let early = tokio::select! {
        biased;
        read = hung.read(&mut byte) => Some(read),
        () = tokio::task::yield_now() => None,
    };
    assert!(early.is_none(), "{early:?}");

    drop(hung);
    ended.recv().await.unwrap();
}

#[tokio::test]
async fn a_refused_connection_proves_that_nothing_was_sent() {
    let chaos = Chaos::seeded(7);
    let (address, _) = serve(service_fn(whole)).await;
    let connector = chaos.connect().layer(HttpConnector::new());
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let get = || client.get(format!("http://{address}/").parse().unwrap());
    for refused in [
        Knobs { refuse_rate: Ratio::ONE, ..Knobs::default() },
        Knobs { down: true, ..Knobs::default() },
    ] {
        chaos.set(refused);
        let error = get().await.unwrap_err();
        assert!(cause::<Refused>(&error).is_some());
        let call = Call::of(&Method::POST, &HeaderMap::new());
        let seen: Result<&Response<()>, _> = Err(&error as &(dyn std::error::Error + 'static));
        let failure = HttpClassifier.classify(call, seen).failure().unwrap();
        assert_eq!((failure.kind, failure.held_back), (FailureKind::Unsent, false));
    }
    chaos.set(Knobs::default());
    assert_eq!(get().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_same_seed_breaks_off_the_same_answers() {
    let pattern = async |seed| {
        let chaos = Chaos::seeded(seed);
        chaos.set(Knobs { cut_body_rate: Ratio::percent(50), ..Knobs::default() });
        let (address, _) = serve(chaos.body().layer(service_fn(whole))).await;
        let mut broken = Vec::new();
        for _ in 0..20 {
            broken.push(!exchange(address).await.ends_with('9'));
        }
        broken
    };
    let first = pattern(5).await;
    assert_eq!(first, pattern(5).await);
    assert!(first.contains(&true) && first.contains(&false));
}

async fn whole(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("0123456789")))
}

/// Serves on a port of its own, and tells when a connection has ended.
async fn serve<S, B>(service: S) -> (SocketAddr, mpsc::UnboundedReceiver<()>)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, ended) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (service, tell) = (TowerToHyperService::new(service.clone()), tell.clone());
            tokio::spawn(async move {
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // Connections that are cut end with an error, which is the point.
                let _ = served.await;
                let _ = tell.send(());
            });
        }
    });
    (address, ended)
}

async fn ask(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: stock\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream
}

/// All that a server says before it closes the connection.
async fn exchange(address: SocketAddr) -> String {
    let mut said = String::new();
    ask(address).await.read_to_string(&mut said).await.unwrap();
    said
}

fn half() -> Knobs {
    Knobs { cut_body_rate: Ratio::ONE, ..Knobs::default() }
}
