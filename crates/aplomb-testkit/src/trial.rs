//! One clause's examination, and what all of them need.

use std::any::Any;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use aplomb_core::{BoxError, time};
use bytes::Bytes;
use futures_util::FutureExt;
use http::StatusCode;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower_service::Service;

use crate::apply::{Answered, Inner, Outer, Request};
use crate::contract::Contract;
use crate::probe::{Probe, Violation};

/// What was seen when a clause was broken.
pub(crate) type Verdict = Result<(), String>;

/// The examination of one clause.
pub(crate) struct Trial<'a> {
    pub(crate) contract: &'a Contract,
    probes: RefCell<Vec<Probe>>,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(contract: &'a Contract) -> Self {
        Self { contract, probes: RefCell::default() }
    }

    /// A new layer around a new probe.
    pub(crate) fn stage(&self, inside: Inside) -> Stage<'_> {
        let probe = self.probe();
        let service = self.contract.layer_value().apply(inside.service(&probe));
        Stage { contract: self.contract, probe, service }
    }

    pub(crate) fn probe(&self) -> Probe {
        let probe = Probe::new();
        self.probes.borrow_mut().push(probe.clone());
        probe
    }

    /// The first thing done to any probe that no layer may do.
    pub(crate) fn violation(&self) -> Option<Violation> {
        let probes = self.probes.borrow();
        probes.iter().flat_map(Probe::violations).next()
    }
}

/// What stands between the layer and the probe.
#[derive(Clone, Copy)]
pub(crate) enum Inside {
    Bare,
    Limit(usize),
    Buffer(usize),
}

impl Inside {
    pub(crate) fn service(self, probe: &Probe) -> Inner {
        let service = probe.service();
        match self {
            Self::Bare => Inner::new(service),
            Self::Limit(permits) => Inner::new(ConcurrencyLimit::new(service, permits)),
            Self::Buffer(places) => Inner::new(Buffer::new(service, places)),
        }
    }
}

/// A service made by the layer, and the probe inside.
pub(crate) struct Stage<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) probe: Probe,
    pub(crate) service: Outer,
}

impl Stage<'_> {
    /// Makes a call on the stage's own service.
    pub(crate) async fn call(&mut self) -> Ended {
        let request = self.contract.request();
        send(&mut self.service, request).await
    }

    /// Makes a call that nothing stands in the way of.
    pub(crate) async fn call_once_more(&mut self, after: &str) -> Verdict {
        match self.call().await {
            Ended::Answered(_) => Ok(()),
            other => Err(format!("{after}, the next call {other}")),
        }
    }
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Answered(http::Response<Bytes>),
    Failed(BoxError),
    Panicked(String),
    Stuck,
}

impl Ended {
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answered(response) => Some(response.status()),
            _ => None,
        }
    }

    pub(crate) fn is_server_error(&self) -> bool {
        self.status().is_some_and(|status| status.is_server_error())
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered(response) => write!(f, "was answered with {}", response.status()),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
            Self::Stuck => f.write_str("never ended: it waits for something that never comes"),
        }
    }
}

/// Makes a call and reads its answer.
pub(crate) async fn send(service: &mut Outer, request: Request) -> Ended {
    end(async { read(service.ready().await?.call(request).await?).await }).await
}

/// Waits for a call's end, whatever it is.
pub(crate) async fn end(
    call: impl Future<Output = Result<http::Response<Bytes>, BoxError>>,
) -> Ended {
    let begun = time::now();
    let call = AssertUnwindSafe(call).catch_unwind();
    let ended = tokio::time::timeout(PATIENCE, call).await;
    match ended {
        // What ends at the last moment ended because our own timer polled it: a lost wake-up.
        _ if time::now() - begun >= PATIENCE => Ended::Stuck,
        Err(_) => Ended::Stuck,
        Ok(Ok(Ok(response))) => Ended::Answered(response),
        Ok(Ok(Err(error))) => Ended::Failed(error),
        Ok(Err(panic)) => Ended::Panicked(text(&*panic)),
    }
}

pub(crate) async fn read(
    response: http::Response<Answered>,
) -> Result<http::Response<Bytes>, BoxError> {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    Ok(http::Response::from_parts(parts, bytes))
}

/// Polls the service's readiness once.
pub(crate) fn poll_ready(service: &mut Outer, woken: &Arc<Woken>) -> Poll<Result<(), BoxError>> {
    let waker = Arc::clone(woken).into();
    service.poll_ready(&mut Context::from_waker(&waker))
}

/// A waker that remembers.
#[derive(Default)]
pub(crate) struct Woken(AtomicBool);

impl Woken {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Lets every task do what it can do now.
pub(crate) async fn settle() {
    tokio::time::sleep(MOMENT).await;
}

/// What a panic said.
pub(crate) fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it said nothing").to_owned()
}

pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// On a paused clock this passes at once, and only when nothing else can happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3_600);
/// A paused clock moves on only when every task waits.
const MOMENT: Duration = Duration::from_millis(1);
