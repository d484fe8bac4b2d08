use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use tower::Layer;
use tower_resilience_circuitbreaker::{
    CircuitBreakerError, CircuitBreakerHandle, CircuitBreakerLayer, DefaultClassifier,
    SlidingWindowType,
};
use tower_resilience_fallback::FallbackLayer;
use tower_resilience_retry::{RetryBudgetBuilder, RetryLayer};
use tower_resilience_timelimiter::{FixedTimeout, TimeLimiterLayer};
use tower_service::Service;

use crate::inner::{Body, Prompt};

type In = Request<Body>;
type Out = Response<Body>;

/// Its defaults, whose window is a number of calls.
pub(crate) fn breaker() -> (CircuitBreakerLayer, CircuitBreakerHandle<DefaultClassifier>) {
    let built = CircuitBreakerLayer::builder().build_with_handle();
    built.expect("its defaults are sound")
}

/// Its defaults but a window of ten seconds, which is what ours is.
pub(crate) fn timed_breaker() -> CircuitBreakerLayer {
    let timed = CircuitBreakerLayer::builder().sliding_window_type(SlidingWindowType::TimeBased);
    let built = timed.sliding_window_duration(Duration::from_secs(10)).build();
    built.expect("a window of ten seconds is sound")
}

pub(crate) fn retry() -> RetryLayer<In, Out, Infallible> {
    retry_of()
}

fn retry_of<A: 'static, E: 'static>() -> RetryLayer<In, A, E> {
    let budget = RetryBudgetBuilder::new().token_bucket().build().expect("its defaults are sound");
    let layer = RetryLayer::builder().max_attempts(3).budget(budget);
    layer.exponential_backoff(Duration::from_millis(50)).build()
}

pub(crate) fn fallback() -> FallbackLayer<In, Out, Infallible> {
    fallback_of()
}

fn fallback_of<E: 'static>() -> FallbackLayer<In, Out, E> {
    FallbackLayer::value(Response::new(Body::default()))
}

pub(crate) fn timeout(time: Duration) -> TimeLimiterLayer<FixedTimeout> {
    TimeLimiterLayer::builder().timeout_duration(time).build()
}

/// Fallback, retry and breaker.
pub(crate) fn three(inner: Prompt) -> impl Service<In, Response = Out> {
    type Rejected = CircuitBreakerError<Infallible>;
    let guarded = breaker().0.layer(inner);
    fallback_of::<Rejected>().layer(retry_of::<Out, Rejected>().layer(guarded))
}

/// Retry, breaker and time limit around a client over HTTP.
#[cfg(feature = "rates")]
pub(crate) fn client<S, A>(
    client: S,
    breaker: &CircuitBreakerLayer,
) -> impl Service<In, Response = A, Error: Into<aplomb_core::BoxError> + Send, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static
where
    S: Service<In, Response = A> + Clone + Send + Sync + 'static,
    S::Error: std::error::Error + Send + Sync + 'static,
    S::Future: Send + 'static,
    A: Send + 'static,
{
    let limited = timeout(Duration::from_secs(1)).layer(client);
    retry_of().layer(breaker.layer(limited))
}
