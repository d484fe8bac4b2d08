//! What the tests share: a dependency that answers as told, and calls through a layer.

#![allow(dead_code, reason = "not every test uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(clippy::unnecessary_wraps, reason = "an answer stands where an error could")]

use std::future::{Ready, ready};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_core::{BoxError, Observe};
use aplomb_fallback::FallbackEvent;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};

pub(crate) type Asked = Request<Full<Bytes>>;
pub(crate) type Answer = Result<Response<Full<Bytes>>, BoxError>;

type Says = Box<dyn FnMut(&Asked) -> Answer + Send>;

/// A dependency whose answers are what it was told last. Clones are handles on it.
#[derive(Clone)]
pub(crate) struct Stock {
    answer: Arc<Mutex<Says>>,
    calls: Arc<AtomicU32>,
}

impl Stock {
    pub(crate) fn says(answer: impl FnMut(&Asked) -> Answer + Send + 'static) -> Self {
        Self { answer: Arc::new(Mutex::new(Box::new(answer))), calls: Arc::default() }
    }

    pub(crate) fn now_says(&self, answer: impl FnMut(&Asked) -> Answer + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    pub(crate) fn is_down(&self) {
        self.now_says(|_| down());
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Service<Asked> for Stock {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Ready<Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Asked) -> Self::Future {
        self.calls.fetch_add(1, Ordering::Relaxed);
        ready((self.answer.lock().unwrap())(&request))
    }
}

/// Sends a request and reads its answer.
pub(crate) async fn send<S, B>(service: &S, request: Asked) -> Result<Response<Bytes>, BoxError>
where
    S: Service<Asked, Response = Response<B>, Error = BoxError> + Clone,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError> + std::fmt::Debug,
{
    let response = service.clone().oneshot(request).await?;
    let (parts, body) = response.into_parts();
    Ok(Response::from_parts(parts, body.collect().await.unwrap().to_bytes()))
}

pub(crate) fn get(uri: &'static str) -> Asked {
    with(Method::GET, uri)
}

pub(crate) fn with(method: Method, uri: &'static str) -> Asked {
    let mut request = Request::new(Full::default());
    *request.method_mut() = method;
    *request.uri_mut() = http::Uri::from_static(uri);
    request
}

pub(crate) fn header<T>(
    mut message: Request<T>,
    name: &'static str,
    value: &'static str,
) -> Request<T> {
    message.headers_mut().append(name, http::HeaderValue::from_static(value));
    message
}

pub(crate) fn answer(status: u16, body: impl Into<String>) -> Answer {
    Ok(Response::builder().status(status).body(Full::from(body.into())).unwrap())
}

pub(crate) fn answer_with(status: u16, name: &'static str, value: &str, body: &str) -> Answer {
    let response = Response::builder().status(status).header(name, value);
    Ok(response.body(Full::from(body.to_owned())).unwrap())
}

pub(crate) fn down() -> Answer {
    answer(503, "down")
}

pub(crate) fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

pub(crate) fn head<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// What was told, in order.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<FallbackEvent>>>);

impl Events {
    pub(crate) fn take(&self) -> Vec<FallbackEvent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observe<FallbackEvent> for Events {
    fn observe(&self, event: &FallbackEvent) {
        self.0.lock().unwrap().push(*event);
    }
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
