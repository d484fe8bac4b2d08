//! Servers on loopback, what is sent to them, what they saw.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use aplomb::core::{BoxError, transport};
use axum::Router;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::{Service, service_fn};

/// Serves a router as axum's users do.
pub(crate) async fn serve_router(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Serves a service on a bare hyper server, HTTP/1.1.
pub(crate) async fn serve<S, B>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    address
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) async fn of<B>(response: Response<B>) -> Self
    where
        B: Body<Error: std::fmt::Debug>,
    {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// The type of the problem that came back.
    pub(crate) fn problem(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["type"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn get(address: SocketAddr) -> Request<Full<Bytes>> {
    Request::get(format!("http://{address}/stock")).body(Full::default()).unwrap()
}

pub(crate) fn post(address: SocketAddr, key: &str) -> Request<Full<Bytes>> {
    let request = Request::post(format!("http://{address}/stock"));
    let request = request.header("idempotency-key", key).header("x-asked-for", "mug");
    request.body(Full::from("a mug")).unwrap()
}

/// Sends a request through a plain client that adds nothing.
pub(crate) async fn ask(request: Request<Full<Bytes>>) -> Result<Seen, BoxError> {
    let client = transport::hyper(TokioExecutor::new()).build_http();
    Ok(Seen::of(client.request(request).await?).await)
}

/// A server that answers what it is told to, one request after the other, and then 200.
#[derive(Clone)]
pub(crate) struct Stock {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Vec<Script>>,
    seen: Mutex<Vec<(Method, HeaderMap, Bytes)>>,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
    grpc: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Script {
    /// Answers this status; for gRPC, a trailers-only answer of it.
    Status(u16),
    /// Answers 503 and asks to be left alone for so many seconds.
    Pause(u16),
    /// Never answers.
    Hang,
}

impl Stock {
    /// One that speaks HTTP/1.1.
    pub(crate) async fn plain(script: impl IntoIterator<Item = Script>) -> Self {
        Self::start(script.into_iter().collect(), false).await
    }

    /// One that speaks gRPC.
    pub(crate) async fn grpc(script: impl IntoIterator<Item = Script>) -> Self {
        Self::start(script.into_iter().collect(), true).await
    }

    async fn start(mut script: Vec<Script>, grpc: bool) -> Self {
        script.reverse();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stock = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Shared {
                script: Mutex::new(script),
                seen: Mutex::default(),
                inside: AtomicUsize::new(0),
                most_inside: AtomicUsize::new(0),
                grpc,
            }),
        };
        let shared = Arc::clone(&stock.shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(TokioIo::new(stream), Arc::clone(&shared)));
            }
        });
        stock
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/stock", self.address)
    }

    /// How many requests reached it.
    pub(crate) fn requests(&self) -> usize {
        self.seen().len()
    }

    /// What reached it: headers and bodies.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<(Method, HeaderMap, Bytes)>> {
        self.shared.seen.lock().unwrap()
    }

    /// The most requests that were inside at a time.
    pub(crate) fn most_inside(&self) -> usize {
        self.shared.most_inside.load(Ordering::SeqCst)
    }
}

async fn connection(io: TokioIo<tokio::net::TcpStream>, shared: Arc<Shared>) {
    let grpc = shared.grpc;
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    let service = TowerToHyperService::new(service);
    // How a connection ends is its client's affair.
    let _ = if grpc {
        http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
    } else {
        http1::Builder::new().serve_connection(io, service).await
    };
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let inside = shared.inside.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_inside.fetch_max(inside, Ordering::SeqCst);
    let _leaves = Leaves(&shared.inside);
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    shared.seen.lock().unwrap().push((parts.method, parts.headers, body));
    let next = shared.script.lock().unwrap().pop();
    let grpc = shared.grpc;
    Ok(match next.unwrap_or(Script::Status(if grpc { 0 } else { 200 })) {
        Script::Status(status) if grpc => {
            let answer = Response::builder().header("content-type", "application/grpc");
            answer.header("grpc-status", status).body(Full::default()).unwrap()
        }
        Script::Status(status) => Response::builder().status(status).body("42".into()).unwrap(),
        Script::Pause(seconds) if grpc => {
            let answer = Response::builder().header("content-type", "application/grpc");
            let answer = answer.header("grpc-status", "14");
            let millis = u32::from(seconds) * 1_000;
            answer.header("grpc-retry-pushback-ms", millis).body(Full::default()).unwrap()
        }
        Script::Pause(seconds) => {
            let answer = Response::builder().status(503).header("retry-after", seconds);
            answer.body(Full::default()).unwrap()
        }
        Script::Hang => std::future::pending().await,
    })
}

struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Longer than any call here takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);
