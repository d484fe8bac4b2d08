use std::convert::Infallible;
use std::task::{Context, Poll};

use failsafe::backoff::EqualJittered;
use failsafe::failure_policy::{ConsecutiveFailures, OrElse, SuccessRateOverTimeWindow};
use failsafe::futures::{CircuitBreaker, ResponseFuture};
use failsafe::{Any, Config, Error, StateMachine};
use http::Request;
use tower_service::Service;

use crate::inner::{Body, Prompt};

type Default = OrElse<SuccessRateOverTimeWindow<EqualJittered>, ConsecutiveFailures<EqualJittered>>;

/// Its breaker around a service: it knows futures, not services.
#[derive(Clone)]
pub(crate) struct Breaker {
    inner: Prompt,
    breaker: StateMachine<Default, ()>,
}

pub(crate) fn breaker(inner: Prompt) -> Breaker {
    Breaker { inner, breaker: Config::new().build() }
}

/// One whose outage has begun: five failures in a row.
pub(crate) fn open_breaker(inner: Prompt) -> Breaker {
    let made = breaker(inner);
    for _ in 0..100 {
        made.breaker.on_error();
    }
    assert!(!made.breaker.is_call_permitted(), "it opened");
    made
}

impl Service<Request<Body>> for Breaker {
    type Response = http::Response<Body>;
    type Error = Error<Infallible>;
    type Future = ResponseFuture<<Prompt as Service<Request<Body>>>::Future, Default, (), Any>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Error::Inner)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.breaker.call(self.inner.call(request))
    }
}
