//! The server's side: the server stack around a handler that a test holds by the hand.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb::admission::{AdmissionHandle, AdmissionLayer};
use aplomb::core::{BoxError, Principal};
use aplomb::idempotency::{IdempotencyLayer, MemoryStore};
use axum::body::Body;
use axum::serve::Listener;
use axum::{Extension, Router};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

use super::{Column, Server, Way, until};
use crate::trust::{Trust, good};
use crate::wire::LONG;

/// A server, and the visits of its callers.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    /// Who vouches for it.
    pub(crate) trust: Trust,
    doors: AdmissionHandle,
    visits: UnboundedReceiver<Visit>,
    knocks: UnboundedReceiver<TcpStream>,
    let_in: UnboundedSender<TcpStream>,
}

/// A request that the handler has, and that waits to be told what becomes of it.
pub(crate) struct Visit {
    pub(crate) parts: Parts,
    told: oneshot::Sender<Act>,
    leaves: oneshot::Receiver<()>,
}

pub(crate) enum Act {
    Answer(u16),
    Panic,
    /// Answers 200 with what comes here.
    Stream(Pieces),
}

impl House {
    /// Lets callers in as they come.
    pub(crate) async fn open(column: Column) -> Self {
        let (house, mut knocks) = Self::start(column).await;
        let let_in = house.let_in.clone();
        tokio::spawn(async move {
            while let Some(stream) = knocks.recv().await {
                let _ = let_in.send(stream);
            }
        });
        house
    }

    /// Leaves callers at the door.
    pub(crate) async fn closed(column: Column) -> Self {
        let (house, knocks) = Self::start(column).await;
        Self { knocks, ..house }
    }

    async fn start(column: Column) -> (Self, UnboundedReceiver<TcpStream>) {
        let trust = Trust::new();
        let street = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = street.local_addr().unwrap();
        let (comes, visits) = mpsc::unbounded_channel();
        let (knock, knocks) = mpsc::unbounded_channel();
        let (let_in, inside) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = street.accept().await {
                let _ = knock.send(stream);
            }
        });
        let hall = Hall::behind(inside, &trust, column.way, address);
        let admission = AdmissionLayer::new(PLACES).longest_wait(LONG);
        let doors = admission.handle();
        let stack = aplomb::stack::server()
            .authenticate(Extension(Principal::new("a shop")))
            .admission(admission)
            .idempotency(IdempotencyLayer::new(MemoryStore::new()));
        let handler = service_fn(move |request| receive(comes.clone(), request));
        match column.server {
            Server::Axum => {
                let router = Router::new().fallback_service(handler).layer(stack);
                tokio::spawn(async move { axum::serve(hall, router).await });
            }
            Server::Hyper => {
                let served = BoxCloneSyncService::new(stack.layer(handler));
                tokio::spawn(serve(hall, served, column.way));
            }
        }
        let house =
            Self { address, trust, doors, visits, knocks: mpsc::unbounded_channel().1, let_in };
        (house, knocks)
    }

    /// The next request that the handler has.
    pub(crate) async fn visit(&mut self) -> Visit {
        self.visits.recv().await.expect("the server serves")
    }

    /// Nobody has come whom the test did not see.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.visits.try_recv().is_err()
    }

    /// The next who stands before a closed door.
    pub(crate) async fn knock(&mut self) -> TcpStream {
        self.knocks.recv().await.expect("the street is open")
    }

    /// Lets somebody in who stood before the door.
    pub(crate) fn let_in(&self, stream: TcpStream) {
        let _ = self.let_in.send(stream);
    }

    /// How many requests have a place now.
    pub(crate) fn running(&self) -> u32 {
        self.doors.snapshot().running
    }

    /// Waits until every place is free.
    pub(crate) async fn rests(&self) {
        until(|| self.running() == 0).await;
        assert_eq!(self.doors.snapshot().waiting, 0);
    }
}

impl Visit {
    /// The handler does this.
    pub(crate) fn act(self, act: Act) {
        assert!(self.told.send(act).is_ok(), "the handler waits for it");
    }

    pub(crate) fn answer(self, status: u16) {
        self.act(Act::Answer(status));
    }

    /// Waits until the handler is dropped, undone.
    pub(crate) async fn dropped(self) {
        let Self { told, leaves, .. } = self;
        leaves.await.unwrap_err();
        drop(told);
    }
}

/// The handler.
async fn receive<B>(
    comes: UnboundedSender<Visit>,
    request: Request<B>,
) -> Result<Response<Body>, Infallible>
where
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let (parts, body) = request.into_parts();
    body.collect().await.unwrap();
    let ((told, tell), (gone, leaves)) = (oneshot::channel(), oneshot::channel());
    let _ = comes.send(Visit { parts, told, leaves });
    let response = match tell.await.expect("a test says what becomes of a visit") {
        Act::Answer(status) => Response::builder().status(status).body("42".into()).unwrap(),
        Act::Panic => panic!("a handler panics on purpose"),
        Act::Stream(pieces) => Response::new(Body::new(pieces)),
    };
    let _ = gone.send(());
    Ok(response)
}

/// A body whose pieces the test sends, and that tells when it is dropped.
pub(crate) struct Pieces(UnboundedReceiver<Result<Bytes, BoxError>>);

impl Pieces {
    pub(crate) fn new() -> (UnboundedSender<Result<Bytes, BoxError>>, Self) {
        let (send, pieces) = mpsc::unbounded_channel();
        (send, Self(pieces))
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Connections that are ready to be spoken on.
struct Hall {
    ready: UnboundedReceiver<Box<dyn Io>>,
    address: SocketAddr,
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

impl Hall {
    fn behind(
        mut inside: UnboundedReceiver<TcpStream>,
        trust: &Trust,
        way: Way,
        address: SocketAddr,
    ) -> Self {
        let mut config = trust.server(&good());
        config.alpn_protocols = vec![way.alpn().to_vec()];
        let (acceptor, (shakes, ready)) =
            (TlsAcceptor::from(Arc::new(config)), mpsc::unbounded_channel());
        tokio::spawn(async move {
            while let Some(stream) = inside.recv().await {
                let shakes: UnboundedSender<Box<dyn Io>> = shakes.clone();
                if !way.is_tls {
                    let _ = shakes.send(Box::new(stream));
                    continue;
                }
                let shaking = acceptor.accept(stream);
                tokio::spawn(async move {
                    // Who leaves in the middle of a handshake is nobody's guest.
                    if let Ok(stream) = shaking.await {
                        let _ = shakes.send(Box::new(stream));
                    }
                });
            }
        });
        Self { ready, address }
    }
}

impl Listener for Hall {
    type Io = Box<dyn Io>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Box<dyn Io>, SocketAddr) {
        match self.ready.recv().await {
            Some(stream) => (stream, self.address),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

type Served = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

async fn serve(mut hall: Hall, served: Served, way: Way) {
    loop {
        let (stream, _) = hall.accept().await;
        let service = served.clone().map_request(|request: Request<_>| request.map(Body::new));
        let (io, service) = (TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::spawn(async move {
            // How a connection ends is its client's affair.
            let _ = match way.version {
                http::Version::HTTP_2 => {
                    http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
                }
                _ => http1::Builder::new().serve_connection(io, service).await,
            };
        });
    }
}

/// More than any case needs.
const PLACES: u32 = 8;
