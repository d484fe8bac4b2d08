use std::sync::Arc;
use std::time::Duration;

use aplomb_admission::AdmissionLayer;
use aplomb_backoff::{Backoff, BackoffLayer};
use aplomb_circuit_breaker::{CircuitBreakerLayer, Handle, State, Trip};
use aplomb_core::{BoxError, IDEMPOTENCY_KEY, Ratio, time, transport};
use aplomb_deadline::DeadlineLayer;
use aplomb_idempotency::Key;
use aplomb_retry::{Budget, RetryEvent, RetryLayer};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioExecutor;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

use crate::meter::Meter;
use crate::wire::Connector;
use crate::world::World;

/// A client with every layer around it, in their one order, that counts what it does.
#[derive(Clone)]
pub(crate) struct Client {
    stack: BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, BoxError>,
    circuits: Handle,
    name: &'static str,
    world: World,
}

impl Client {
    pub(crate) fn new(world: &World, name: &'static str) -> Self {
        world.meter(name, Meter::start);
        let breaker = CircuitBreakerLayer::new(
            Trip::failure_ratio(Ratio::percent(50)).at_least(20).over(Duration::from_secs(10)),
        )
        .open_for(Backoff::equal(Duration::from_millis(500), Duration::from_secs(2)))
        .dice(world.dice())
        .per_authority();
        let http = transport::hyper(TokioExecutor::new()).build(Connector);
        let stack = ServiceBuilder::new()
            .layer(DeadlineLayer::total(TOTAL))
            .layer(retry(world, name))
            .layer(BackoffLayer::new(BACKOFF).dice(world.dice()))
            .layer(AdmissionLayer::outbound(16).dice(world.dice()))
            .layer(breaker.clone())
            .layer(DeadlineLayer::attempt(ATTEMPT))
            .layer(counting(world, name))
            .service(http);
        let stack = BoxCloneSyncService::new(stack);
        Self { stack, circuits: breaker.handle(), name, world: world.clone() }
    }

    /// Posts this under a key. `None` is a call that got no answer.
    pub(crate) async fn post(&self, uri: &str, key: &Key, body: &str) -> Option<Answer> {
        let request = Request::post(uri).header(IDEMPOTENCY_KEY, key.header_value());
        self.ask(request.body(Full::from(body.to_owned())).expect("the address is one")).await
    }

    /// Looks whether a host is well, so that a circuit that opened has something to close by.
    pub(crate) async fn look(&self, host: &str) {
        // A circuit with few calls takes long to be sure; in peace it has more of them.
        for _ in 0..if self.world.is_trouble() { 1 } else { 4 } {
            let request = Request::get(format!("http://{host}/health")).body(Full::default());
            self.ask(request.expect("the address is one")).await;
        }
        let is_closed = self.circuits.of(host).snapshot().state == State::Closed;
        if !is_closed {
            self.world.saw("a circuit opened");
        }
        self.world.circuit(format!("{} to {host}", self.name), is_closed);
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Option<Answer> {
        let begun = time::now();
        self.world.meter(self.name, |meter| meter.calls += 1);
        let answered = self.stack.clone().oneshot(request).await;
        let took = time::now() - begun;
        self.world.meter(self.name, |meter| meter.longest = meter.longest.max(took));
        let (parts, body) = answered.ok()?.into_parts();
        // The answers are small; one that is cut off in the middle is none.
        let body = tokio::time::timeout(TOTAL, body.collect()).await.ok()?.ok()?.to_bytes();
        Some(Answer { status: parts.status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

fn retry(
    world: &World,
    name: &'static str,
) -> RetryLayer<aplomb_core::HttpClassifier, impl Fn(&RetryEvent) + Clone + Send + Sync + 'static> {
    let world_of_observer = world.clone();
    RetryLayer::new(Budget::percent(20))
        .max_attempts(3)
        .unlimited_total()
        .honours_keys()
        .backoff(BACKOFF)
        .dice(world.dice())
        .observe(move |event: &RetryEvent| {
            world_of_observer.meter(name, |meter| meter.hear(event));
        })
}

fn counting(
    world: &World,
    name: &'static str,
) -> tower::util::MapRequestLayer<
    impl Fn(Request<Full<Bytes>>) -> Request<Full<Bytes>> + Clone + Send + Sync + 'static,
> {
    let world = Arc::new(world.clone());
    tower::util::MapRequestLayer::new(move |request: Request<Full<Bytes>>| {
        world.meter(name, |meter| meter.sends += 1);
        let key = request.headers().get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
        world.note(format_args!("sends {} {}", request.uri(), key.unwrap_or("without key")));
        request
    })
}

const BACKOFF: Backoff = Backoff::full(Duration::from_millis(50), Duration::from_millis(400));
const ATTEMPT: Duration = Duration::from_millis(500);
/// How long a call takes at most.
pub(crate) const TOTAL: Duration = Duration::from_secs(3);
