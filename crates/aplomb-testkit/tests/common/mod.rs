//! Small layers, right and wrong, written out of two functions.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part of it")]

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aplomb_core::BoxError;
use aplomb_testkit::{Breach, Clause, Contract, Inner, Request, Response};
use bytes::Bytes;
use http::StatusCode;
use http_body::Body;
use http_body_util::Full;
use tokio::sync::Semaphore;
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt};

pub(crate) type Work = Pin<Box<dyn Future<Output = Result<Response, BoxError>> + Send>>;
pub(crate) type Ready = Poll<Result<(), BoxError>>;

/// A service that is nothing but the two functions of the trait.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) inner: Inner,
    /// Whatever a layer remembers about its readiness.
    pub(crate) flag: bool,
    /// What all clones share.
    pub(crate) permits: Arc<Semaphore>,
    ready: fn(&mut Self, &mut Context<'_>) -> Ready,
    call: fn(&mut Self, Request) -> Work,
}

impl Service<Request> for Written {
    type Response = Response;
    type Error = BoxError;
    type Future = Work;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Ready {
        (self.ready)(self, cx)
    }

    fn call(&mut self, request: Request) -> Work {
        (self.call)(self, request)
    }
}

/// The layer of a service that is nothing but these two functions, and has eight permits.
pub(crate) fn written(
    ready: fn(&mut Written, &mut Context<'_>) -> Ready,
    call: fn(&mut Written, Request) -> Work,
) -> impl Layer<Inner, Service = Written> + Clone + Send + Sync + 'static {
    let permits = Arc::new(Semaphore::new(8));
    layer_fn(move |inner| Written {
        inner,
        flag: false,
        permits: Arc::clone(&permits),
        ready,
        call,
    })
}

/// Ready when the inner service is.
pub(crate) fn passed(service: &mut Written, cx: &mut Context<'_>) -> Ready {
    service.inner.poll_ready(cx)
}

/// Calls the inner service that is ready.
pub(crate) fn calls(service: &mut Written, request: Request) -> Work {
    taken(service).call(request)
}

/// Takes the ready inner service and leaves a clone behind.
pub(crate) fn taken(service: &mut Written) -> Inner {
    let clone = service.inner.clone();
    mem::replace(&mut service.inner, clone)
}

/// A second attempt after a 503, as it should be.
pub(crate) fn twice() -> impl Layer<Inner, Service = Written> + Clone + Send + Sync + 'static {
    written(passed, |service, request| {
        let mut inner = taken(service);
        Box::pin(async move {
            let response = inner.call(request.clone()).await?;
            if response.status() != StatusCode::SERVICE_UNAVAILABLE {
                return Ok(response);
            }
            inner.ready().await?.call(request).await
        })
    })
}

/// Answers 502 instead of failing, and keeps an error of readiness for the next call.
pub(crate) fn answering() -> impl Layer<Inner, Service = Written> + Clone + Send + Sync + 'static {
    written(
        |service, cx| {
            let ready = passed(service, cx);
            service.flag = matches!(ready, Poll::Ready(Err(_)));
            ready.map(|_| Ok(()))
        },
        |service, request| {
            if service.flag {
                return Box::pin(async { Ok(bad_gateway()) });
            }
            let work = calls(service, request);
            Box::pin(async { Ok(work.await.unwrap_or_else(|_| bad_gateway())) })
        },
    )
}

pub(crate) fn bad_gateway() -> Response {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

/// The layer breaks this clause and is told so.
pub(crate) fn breaks<L, S, B>(clause: Clause, layer: impl Fn() -> L + 'static) -> Breach
where
    L: Layer<Inner, Service = S> + Clone + Send + Sync + 'static,
    S: Service<Request, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let judged = Contract::new("wrong", layer).judge(clause);
    let breach = judged.expect_err("the layer is wrong on purpose");
    assert_eq!(breach.clause, clause, "{breach}");
    breach
}
