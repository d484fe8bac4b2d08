//! A dependency that follows a script, and a caller's view of it.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part of it")]

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_core::{BoxError, Dice, NotBefore, Observe, Ratio, Saturated, time};
use aplomb_retry::{Budget, RetryEvent, RetryLayer, Terms};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tower::Service;

pub(crate) type Body = Full<Bytes>;

/// What the dependency does with the next request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Answer(u16),
    Pushback(u16, &'static str),
    Header(u16, &'static str, &'static str),
    Refuse,
    Reset,
    Hang,
    /// A layer inside holds it back for so long.
    HoldBack(Duration),
    /// A bulkhead inside has no place for it.
    Full,
}

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrival {
    pub(crate) at: Duration,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A dependency that follows its script and then answers 200.
#[derive(Clone)]
pub(crate) struct Script {
    begun: time::Instant,
    acts: Arc<Mutex<VecDeque<Act>>>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Script {
    pub(crate) fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        let acts = Arc::new(Mutex::new(acts.into_iter().collect()));
        Self { begun: time::now(), acts, arrivals: Arc::default() }
    }

    pub(crate) fn always(act: Act) -> Self {
        Self::new(std::iter::repeat_n(act, 1000))
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap().clone()
    }

    pub(crate) fn sends(&self) -> usize {
        self.arrivals.lock().unwrap().len()
    }
}

impl Service<Request<Body>> for Script {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let act = self.acts.lock().unwrap().pop_front().unwrap_or(Act::Answer(200));
        let (at, arrivals) = (time::now() - self.begun, Arc::clone(&self.arrivals));
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let arrival = Arrival { at, method: parts.method, headers: parts.headers, body };
            arrivals.lock().unwrap().push(arrival);
            perform(act).await
        })
    }
}

async fn perform(act: Act) -> Result<Response<Body>, BoxError> {
    let answer = |status| Response::builder().status(status);
    Ok(match act {
        Act::Answer(status) => answer(status).body(Body::from("whole"))?,
        Act::Pushback(status, after) => {
            answer(status).header("retry-after", after).body(Body::default())?
        }
        Act::Header(status, name, value) => {
            answer(status).header(name, value).body(Body::default())?
        }
        Act::Refuse => return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()),
        Act::Reset => return Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
        Act::Hang => std::future::pending().await,
        Act::HoldBack(wait) => return Err(NotBefore::new(wait).into()),
        Act::Full => return Err(Saturated::new(Duration::from_secs(1)).into()),
    })
}

/// Retries with a budget that is never what stops them, and dice that always fall alike.
pub(crate) fn layer() -> RetryLayer {
    let rich = Terms::earning(Ratio::ONE).cap(100);
    RetryLayer::new(Budget::new(rich)).dice(Dice::seeded(7))
}

/// Hears and keeps every event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(pub(crate) Arc<Mutex<Vec<RetryEvent>>>);

impl Heard {
    pub(crate) fn events(&self) -> Vec<RetryEvent> {
        self.0.lock().unwrap().clone()
    }
}

impl Observe<RetryEvent> for Heard {
    fn observe(&self, event: &RetryEvent) {
        self.0.lock().unwrap().push(*event);
    }
}

pub(crate) fn request(method: Method) -> Request<Body> {
    Request::builder().method(method).uri("http://stock/").body(Body::from("body")).unwrap()
}

pub(crate) fn keyed(method: Method) -> Request<Body> {
    let mut request = request(method);
    request.headers_mut().insert("idempotency-key", "order_1_line_1".parse().unwrap());
    request
}
