//! A warehouse that does as it is told, and requests for it.
#![allow(clippy::unwrap_used, reason = "a test may")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, VecDeque};
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_core::{BoxError, Observe, OperationClass, time};
use aplomb_dead_letter::{DeadLetterEvent, Job};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Service, ServiceExt};

pub(crate) type Parcel = Request<Full<Bytes>>;
pub(crate) type Answer = Result<Response<()>, BoxError>;

/// What the warehouse does with the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Answers with this status; carries the request out if that is a success.
    Status(u16),
    /// The same, with a `Retry-After` in seconds.
    Asking(u16, u32),
    /// Cuts the connection before it looks at the request.
    Reset,
    /// Carries the request out, then cuts the connection.
    LoseAnswer,
}

/// A service that honours keys: what was carried out is not carried out again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warehouse {
    pub(crate) state: Arc<Mutex<Floor>>,
}

#[derive(Debug, Default)]
pub(crate) struct Floor {
    pub(crate) script: VecDeque<Act>,
    pub(crate) usually: Option<Act>,
    /// How often each key was sent.
    pub(crate) sends: BTreeMap<String, u32>,
    /// How often each key was carried out.
    pub(crate) effects: BTreeMap<String, u32>,
    pub(crate) last: Option<Parcel>,
}

impl Warehouse {
    pub(crate) fn that(acts: impl IntoIterator<Item = Act>) -> Self {
        let warehouse = Self::default();
        warehouse.next(acts);
        warehouse
    }

    pub(crate) fn next(&self, acts: impl IntoIterator<Item = Act>) {
        self.state.lock().unwrap().script.extend(acts);
    }

    pub(crate) fn usually(&self, act: Act) {
        self.state.lock().unwrap().usually = Some(act);
    }

    pub(crate) fn sends(&self, key: &str) -> u32 {
        self.state.lock().unwrap().sends.get(key).copied().unwrap_or_default()
    }

    pub(crate) fn effects(&self, key: &str) -> u32 {
        self.state.lock().unwrap().effects.get(key).copied().unwrap_or_default()
    }

    pub(crate) fn last(&self) -> Parcel {
        self.state.lock().unwrap().last.clone().unwrap()
    }
}

impl Service<Parcel> for Warehouse {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = Ready<Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Parcel) -> Self::Future {
        let floor = &mut *self.state.lock().unwrap();
        let key = request.headers()["idempotency-key"].to_str().unwrap().to_owned();
        *floor.sends.entry(key.clone()).or_default() += 1;
        floor.last = Some(request);
        let act = floor.script.pop_front().or(floor.usually).unwrap_or(Act::Status(201));
        let is_success = matches!(act, Act::LoseAnswer | Act::Status(200..300));
        if is_success {
            // The key is known: it is not carried out again.
            floor.effects.entry(key).or_insert(1);
        }
        ready(match act {
            Act::Reset | Act::LoseAnswer => Err(reset().into()),
            Act::Status(status) => Ok(answer(status, None)),
            Act::Asking(status, seconds) => Ok(answer(status, Some(seconds))),
        })
    }
}

pub(crate) fn reset() -> std::io::Error {
    std::io::ErrorKind::ConnectionReset.into()
}

fn answer(status: u16, seconds: Option<u32>) -> Response<()> {
    let mut answer = Response::builder().status(status);
    if let Some(seconds) = seconds {
        answer = answer.header("retry-after", seconds);
    }
    answer.body(()).unwrap()
}

/// A shipment nobody waits for.
pub(crate) fn shipment(key: &str) -> Parcel {
    Request::post("http://me:secret@warehouse:7002/shipments")
        .header("authorization", "Bearer secret")
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .extension(OperationClass::Deferred)
        .body(Full::from("{}"))
        .unwrap()
}

/// The same, from a queue in which it may wait for `left`.
pub(crate) fn queued(key: &str, left: Duration) -> Parcel {
    with_job(key, Job::new(left, time::now()))
}

pub(crate) fn with_job(key: &str, job: Job) -> Parcel {
    let mut request = shipment(key);
    request.extensions_mut().insert(job);
    request
}

pub(crate) async fn send<S>(service: &S, request: Parcel) -> Answer
where
    S: Service<Parcel, Response = Response<()>, Error = BoxError> + Clone,
{
    service.clone().oneshot(request).await
}

/// Remembers what was announced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<DeadLetterEvent>>>);

impl Heard {
    pub(crate) fn take(&self) -> Vec<DeadLetterEvent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observe<DeadLetterEvent> for Heard {
    fn observe(&self, event: &DeadLetterEvent) {
        self.0.lock().unwrap().push(*event);
    }
}

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
