use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use seatbelt::breaker::{Breaker, BreakerLayer};
use seatbelt::fallback::{Fallback, FallbackLayer};
use seatbelt::retry::{Retry, RetryLayer};
use seatbelt::timeout::{Timeout, TimeoutLayer};
use seatbelt::typestates::Set;
use seatbelt::{RecoveryInfo, ResilienceContext};
use tick::Clock;
use tower::Layer;

use crate::drive::Driver;
use crate::inner::{Body, Broken, read};

type In = Request<Body>;
type Out = Result<Response<Body>, Infallible>;

pub(crate) fn breaker(driver: &Driver) -> BreakerLayer<In, Out, Set, Set> {
    Breaker::layer("bench", &context(driver))
        .recovery_with(|out: &Out, _| recovery(out))
        .rejected_input(|_, _| Ok(refusal()))
}

/// One whose outage has begun.
pub(crate) fn open_breaker(driver: &Driver) -> Breaker<In, Out, Broken> {
    let layer = breaker(driver).min_throughput(5).break_duration(Duration::from_secs(3_600));
    let mut service = layer.layer(Broken);
    driver.drive(&mut service, read, 10);
    service
}

pub(crate) fn retry(driver: &Driver) -> RetryLayer<In, Out, Set, Set> {
    Retry::layer("bench", &context(driver))
        .clone_input()
        .recovery_with(|out: &Out, _| recovery(out))
}

pub(crate) fn timeout(driver: &Driver, time: Duration) -> TimeoutLayer<In, Out, Set, Set> {
    Timeout::layer("bench", &context(driver)).timeout_output(|_| Ok(refusal())).timeout(time)
}

pub(crate) fn fallback(driver: &Driver) -> FallbackLayer<In, Out, Set, Set> {
    Fallback::layer("bench", &context(driver))
        .should_fallback(|out: &Out| out.as_ref().is_ok_and(|it| it.status().is_server_error()))
        .fallback(|_, _| Ok(Response::new(Body::default())))
}

fn context(driver: &Driver) -> ResilienceContext<In, Out> {
    ResilienceContext::new(driver.wait_for(async { Clock::new_tokio() }))
}

fn recovery(out: &Out) -> RecoveryInfo {
    match out {
        Ok(response) if response.status().is_server_error() => RecoveryInfo::retry(),
        _ => RecoveryInfo::never(),
    }
}

fn refusal() -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
