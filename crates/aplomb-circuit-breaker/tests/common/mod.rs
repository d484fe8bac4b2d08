//! A dependency that does as it is told, and what happened around it.

#![allow(clippy::unwrap_used, dead_code, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_circuit_breaker::{BreakerEvent, CircuitOpen, State};
use aplomb_core::{BoxError, Observe, cause};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Service, ServiceExt};

pub(crate) type Body = Full<Bytes>;
pub(crate) type Answer = Result<Response<Body>, BoxError>;

/// What the dependency does with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Does {
    Answers(u16),
    AnswersAfter(u16, Duration),
    Asks(u16, u64),
    Refuses,
    Hangs,
    Panics,
}

/// A dependency, shared by its clones.
#[derive(Clone)]
pub(crate) struct Dependency(Arc<Mutex<(Does, u32)>>);

impl Dependency {
    pub(crate) fn that(does: Does) -> Self {
        Self(Arc::new(Mutex::new((does, 0))))
    }

    pub(crate) fn now(&self, does: Does) {
        self.0.lock().unwrap().0 = does;
    }

    pub(crate) fn calls(&self) -> u32 {
        self.0.lock().unwrap().1
    }
}

impl Service<Request<Body>> for Dependency {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let mut state = self.0.lock().unwrap();
        state.1 += 1;
        let does = state.0;
        Box::pin(async move {
            let mut response = Response::new(Body::default());
            let status = match does {
                Does::Answers(status) => status,
                Does::AnswersAfter(status, time) => {
                    tokio::time::sleep(time).await;
                    status
                }
                Does::Asks(status, seconds) => {
                    response.headers_mut().insert("retry-after", seconds.into());
                    status
                }
                Does::Refuses => {
                    return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into());
                }
                Does::Hangs => std::future::pending().await,
                Does::Panics => panic!("the dependency panics, as it was told"),
            };
            *response.status_mut() = status.try_into().unwrap();
            Ok(response)
        })
    }
}

/// What the observer heard, as words.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn say(&self, word: String) {
        self.0.lock().unwrap().push(word);
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observe<BreakerEvent<'_>> for Heard {
    fn observe(&self, event: &BreakerEvent<'_>) {
        let mark = |enforced| if enforced { "" } else { " (observed)" };
        let said = match *event {
            BreakerEvent::Changed { circuit, change, enforced } => {
                let because = change.because.as_str();
                format!("{circuit} {}: {because}{}", change.to.as_str(), mark(enforced))
            }
            BreakerEvent::Rejected { circuit, enforced, .. } => {
                format!("{circuit} rejected{}", mark(enforced))
            }
            BreakerEvent::Forgotten { circuit } => format!("{circuit} forgotten"),
            _ => unreachable!("the tests know every event"),
        };
        self.say(said);
    }
}

pub(crate) fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::default()).unwrap()
}

/// Makes a call and says how it ended: by status, `open` or another error.
pub(crate) async fn call<S>(service: &S) -> String
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone,
{
    call_to(service, "http://stock:7001/").await
}

pub(crate) async fn call_to<S>(service: &S, uri: &str) -> String
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone,
{
    match service.clone().oneshot(get(uri)).await {
        Ok(response) => response.status().as_str().to_owned(),
        Err(error) if cause::<CircuitOpen>(&*error).is_some() => "open".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The same so many times, one after the other.
pub(crate) async fn calls<S>(service: &S, times: usize) -> Vec<String>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone,
{
    let mut said = Vec::new();
    for _ in 0..times {
        said.push(call(service).await);
    }
    said
}

pub(crate) fn count(said: &[String], what: &str) -> usize {
    said.iter().filter(|said| *said == what).count()
}

pub(crate) fn is_open(handle: &aplomb_circuit_breaker::Handle) -> bool {
    handle.snapshot().state == State::Open
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
