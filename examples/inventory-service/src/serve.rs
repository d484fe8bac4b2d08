//! An accept loop whose service may cut a connection instead of answering.
//!
//! It knows HTTP/1 and nothing of what is served. A service that fails has its connection closed
//! without an answer, which axum's own loop does not allow since a router cannot fail.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::BoxError;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use axum::serve::Listener;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tower::{Service, ServiceExt};

use crate::upload::Upload;

/// Listens on `address`.
///
/// # Errors
///
/// [`BindError`], which says what to do when the port is taken.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| BindError { address, source })
}

/// Serves until `shutdown` completes, then lets the requests in flight finish.
///
/// Each request carries [`ConnectInfo`] with its peer's address. Once told to stop, the loop goes
/// on accepting for [`Limits::notice`], so that whoever watches readiness can look elsewhere before
/// connections are refused; then it closes the listener and every idle connection, and waits for
/// the busy ones at most [`Limits::drain`]. Answers how many had to be cut.
///
/// Dropping the future closes the listener and cuts every connection at once.
pub async fn serve<L, S>(
    mut listener: L,
    service: S,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> usize
where
    L: Listener<Addr: Clone + Sync + 'static>,
    S: Service<Request<Body>, Response = Response, Error: Into<BoxError>>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    let slots = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let stop = async {
        shutdown.await;
        tokio::time::sleep(limits.notice).await;
    };
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&mut listener, &slots) => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (slot, io, peer) = accepted;
        let connection = Connection { slot, peer: ConnectInfo(peer), watcher: graceful.watcher() };
        connections.spawn(connection.run(TokioIo::new(io), service.clone(), limits));
    }
    drop(listener);
    drain(graceful, connections, limits.drain).await
}

/// A free slot first, then a connection: what is over the cap waits in the system's backlog.
async fn accept<L: Listener>(
    listener: &mut L,
    slots: &Arc<Semaphore>,
) -> (OwnedSemaphorePermit, L::Io, L::Addr) {
    let slot = Arc::clone(slots).acquire_owned().await;
    let slot = slot.expect("the semaphore is never closed");
    let (io, peer) = listener.accept().await;
    (slot, io, peer)
}

async fn drain(graceful: GracefulShutdown, mut busy: JoinSet<()>, bound: Duration) -> usize {
    if tokio::time::timeout(bound, graceful.shutdown()).await.is_ok() {
        return 0;
    }
    while busy.try_join_next().is_some() {}
    let cut = busy.len();
    tracing::warn!(cut, "connections were still busy after {bound:?} and are cut");
    busy.shutdown().await;
    cut
}

struct Connection<A> {
    slot: OwnedSemaphorePermit,
    peer: ConnectInfo<A>,
    watcher: Watcher,
}

impl<A: Clone + Send + Sync + 'static> Connection<A> {
    async fn run<I, S>(self, io: I, service: S, limits: Limits)
    where
        I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
        S: Service<Request<Body>, Response = Response, Error: Into<BoxError>>,
        S: Clone + Send + 'static,
        S::Future: Send,
    {
        let answer = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(|body| Body::new(Upload::new(body, limits.body_read)));
            request.extensions_mut().insert(self.peer.clone());
            service.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_read)
            .serve_connection(io, answer);
        // Resets, timeouts and connections cut on purpose all end here; the layers told of them.
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(self.slot);
    }
}

/// What the loop takes on at once, and how long it takes to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time; more wait to be accepted: 1,024.
    pub connections: usize,
    /// How long a request's head may take to arrive, and a connection may idle: 30 s.
    pub header_read: Duration,
    /// How long a request's body may take to arrive, from when it is waited for: 30 s.
    pub body_read: Duration,
    /// How long connections are still accepted after the order to stop: 1 s.
    pub notice: Duration,
    /// How long requests in flight may take after that: 10 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            header_read: Duration::from_secs(30),
            body_read: Duration::from_secs(30),
            notice: Duration::from_secs(1),
            drain: Duration::from_secs(10),
        }
    }
}

/// An address could not be listened on.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, source } = self;
        let mend = match source.kind() {
            io::ErrorKind::AddrInUse => "stop the process that uses it, or choose another port",
            io::ErrorKind::PermissionDenied => "choose a port of 1024 or above",
            _ => "choose an address of this machine",
        };
        write!(f, "cannot listen on {address}: {source}; {mend}")
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
