//! A guarded service with a handler that counts its runs.
#![allow(clippy::unwrap_used, reason = "a test may")]
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod faulty;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aplomb_core::Principal;
use aplomb_idempotency::{IdempotencyEvent, Refusal};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};

pub(crate) type Body = Full<Bytes>;

/// How often something happened.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a layer said.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<IdempotencyEvent>>>);

impl Heard {
    pub(crate) fn observer(&self) -> impl Fn(&IdempotencyEvent) + Send + Sync + 'static {
        let heard = self.clone();
        move |&event: &IdempotencyEvent| heard.0.lock().unwrap().push(event)
    }

    pub(crate) fn count(&self, event: IdempotencyEvent) -> usize {
        self.all().into_iter().filter(|heard| *heard == event).count()
    }

    pub(crate) fn all(&self) -> Vec<IdempotencyEvent> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) fn post(key: &str, body: &'static str) -> Request<Body> {
    unscoped(key, body, |request| {
        request.extensions_mut().insert(Principal::new("shop"));
    })
}

pub(crate) fn unscoped(
    key: &str,
    body: &'static str,
    and: impl FnOnce(&mut Request<Body>),
) -> Request<Body> {
    let mut request = Request::post("/orders")
        .header("content-type", "text/plain")
        .header("idempotency-key", key)
        .body(Full::from(body))
        .unwrap();
    and(&mut request);
    request
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a handler returns")]
pub(crate) fn answer(status: u16, body: impl Into<Bytes>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}

/// What a transactional handler refuses with.
pub(crate) fn refusal(status: u16, body: impl Into<Bytes>) -> Refusal {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Refusal::try_from(response).unwrap()
}

pub(crate) async fn send<S>(service: &S, request: Request<Body>) -> Response<Bytes>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    let Ok(response) = service.clone().oneshot(request).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, body)
}

/// The `type` of a problem.
pub(crate) fn problem(response: &Response<Bytes>) -> String {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(problem["status"], response.status().as_u16());
    problem["type"].as_str().unwrap().to_owned()
}

pub(crate) fn is_replay(response: &Response<Bytes>) -> bool {
    response.headers().get("idempotent-replayed").is_some_and(|value| value == "true")
}
