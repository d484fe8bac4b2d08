//! Which answer stands for which error.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::owner::SHOULD_RETRY;
use aplomb_core::{
    BoxError, Call, Classify, DeadlineExceeded, Dice, Failure, FailureKind, HttpClassifier,
    NotBefore, NotRetried, Problem, Reason, Saturated, cause, retry_after,
};
use aplomb_deadline::EXPIRED;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

/// The error that a problem stands for: in the response's extensions, for the server's own log.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    /// The error; [`aplomb_core::cause`] looks into it.
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cause").field(&self.0).finish()
    }
}

/// The response for an error.
pub(super) fn to<B: From<Bytes>>(error: BoxError, dice: &Dice) -> Response<B> {
    let Refusal { problem, wait, exhausted } = refusal(&*error);
    let mut response = problem.into_response();
    if let Some(wait) = wait {
        retry_after::write(response.headers_mut(), wait, &mut dice.roll());
    }
    if exhausted {
        response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    response.extensions_mut().insert(Cause(error.into()));
    response
}

struct Refusal {
    problem: Problem,
    wait: Option<Duration>,
    exhausted: bool,
}

fn refusal(error: &(dyn Error + 'static)) -> Refusal {
    let ended = cause::<NotRetried>(error).map(|why| why.reason);
    let exhausted = ended.is_some_and(Reason::is_exhaustion);
    let paused = cause::<NotBefore>(error).map(|paused| paused.retry_after);
    let full = cause::<Saturated>(error).map(|full| full.retry_after);
    let problem = if let Some(exceeded) = cause::<DeadlineExceeded>(error) {
        late(*exceeded)
    } else if paused.is_some() {
        Problem::new(DEPENDENCY_PAUSED, "a dependency is left alone", UNAVAILABLE)
            .detail("a service that this one needs asked for a pause; come back after it")
    } else if full.is_some() {
        Problem::new(DEPENDENCY_SATURATED, "a dependency has its hands full", UNAVAILABLE)
            .detail("too many calls wait for a service that this one needs; nothing was sent")
    } else {
        match failure(error) {
            Some(FailureKind::Timeout) => {
                Problem::new(DEPENDENCY_TIMEOUT, "a dependency did not answer in time", TIMEOUT)
                    .detail("a service that this one needs took too long; it may have acted")
            }
            Some(kind) if kind != FailureKind::Permanent || ended.is_some() => {
                Problem::new(DEPENDENCY_FAILED, "a dependency failed", StatusCode::BAD_GATEWAY)
                    .detail("a service that this one needs could not be reached, or broke off")
            }
            _ => Problem::new(INTERNAL, "internal error", StatusCode::INTERNAL_SERVER_ERROR)
                .detail("the server failed in a way that it does not tell; its log does"),
        }
    };
    let wait = paused.or(full).filter(|_| problem.status() == UNAVAILABLE);
    Refusal { problem, wait, exhausted }
}

fn late(exceeded: DeadlineExceeded) -> Problem {
    Problem::new(EXPIRED, "deadline exceeded", TIMEOUT).detail(if exceeded.unsent {
        "the time was up before the work began; nothing was done"
    } else {
        "the time was up before the work was done; its outcome is unknown"
    })
}

fn failure(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    let call = Call::of(&Method::GET, &HeaderMap::new());
    let result: Result<&Response<()>, _> = Err(error);
    let Failure { kind, .. } = HttpClassifier.classify(call, result).failure()?;
    Some(kind)
}

/// A service that this one needs failed, or could not be reached.
pub const DEPENDENCY_FAILED: &str = "/problems/dependency-failed";
/// A service that this one needs asked to be left alone.
pub const DEPENDENCY_PAUSED: &str = "/problems/dependency-paused";
/// Too many calls are under way to a service that this one needs.
pub const DEPENDENCY_SATURATED: &str = "/problems/dependency-saturated";
/// A service that this one needs did not answer in time.
pub const DEPENDENCY_TIMEOUT: &str = "/problems/dependency-timeout";
/// The server failed.
pub const INTERNAL: &str = "/problems/internal";

const TIMEOUT: StatusCode = StatusCode::GATEWAY_TIMEOUT;
const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
