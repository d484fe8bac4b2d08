use std::sync::Arc;

use aplomb_core::Dice;
use http::StatusCode;
use tower_layer::Layer;

use super::service::Problems;

/// Answers instead of failing: every error of the layers inside leaves as `problem+json`.
///
/// It goes outermost on a server. What it makes never fails, as axum's routes and hyper's servers
/// want it.
///
/// ```
/// use aplomb::{DeadlineLayer, ProblemLayer};
/// use axum::{Router, routing::get};
/// use tower::ServiceBuilder;
///
/// # async fn stock() -> &'static str { "42" }
/// let app: Router = Router::new().route("/stock", get(stock)).layer(
///     ServiceBuilder::new()
///         .layer(ProblemLayer::new())
///         .layer(DeadlineLayer::total(std::time::Duration::from_secs(3))),
/// );
/// ```
///
/// | the error, or a cause of it, | is answered |
/// |---|---|
/// | `DeadlineExceeded` | 504, [`EXPIRED`](aplomb_deadline::EXPIRED) |
/// | `NotBefore` | 503, [`DEPENDENCY_PAUSED`](crate::DEPENDENCY_PAUSED), with a jittered `Retry-After` |
/// | a timeout of the transport | 504, [`DEPENDENCY_TIMEOUT`](crate::DEPENDENCY_TIMEOUT) |
/// | `NotRetried`, or another failure of a transport | 502, [`DEPENDENCY_FAILED`](crate::DEPENDENCY_FAILED) |
/// | anything else | 500, [`INTERNAL`](crate::INTERNAL) |
///
/// The words of an error may name hosts, tables or keys: none of them is answered. The error itself
/// lies in the response's extensions as a [`Cause`](crate::Cause), for the server's own log. When
/// retries were exhausted inside, the answer carries `x-should-retry: false`, so that no hop above
/// tries again what was tried enough.
///
/// An error of readiness comes before there is a request to answer. It is kept, and answers the
/// next one.
///
/// Dropping the response future drops the work inside.
#[derive(Clone, Debug)]
#[must_use]
pub struct ProblemLayer<O = ()> {
    pub(super) dice: Dice,
    pub(super) observer: O,
}

impl ProblemLayer {
    /// The layer. Everything made from this value or its clones shares its dice.
    pub fn new() -> Self {
        Self { dice: Dice::from_entropy(), observer: () }
    }
}

impl Default for ProblemLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<O> ProblemLayer<O> {
    /// Throws these dice for `Retry-After`, for instance seeded ones.
    pub fn dice(mut self, dice: Dice) -> Self {
        self.dice = dice;
        self
    }

    /// Tells `observer` what happens.
    pub fn observe<P>(self, observer: P) -> ProblemLayer<P> {
        ProblemLayer { dice: self.dice, observer }
    }
}

impl<S, O: Clone> Layer<S> for ProblemLayer<O> {
    type Service = Problems<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        // Handles only: the dice are the layer's own, never new ones.
        Problems { inner, unready: None, layer: Arc::new(self.clone()) }
    }
}

/// What the layer did.
///
/// ```
/// use aplomb::{Cause, ProblemEvent};
///
/// fn tell(event: &ProblemEvent) {
///     if let ProblemEvent::Failed(status) = event {
///         eprintln!("answered {status} for a service that failed");
///     }
/// }
///
/// /// For the server's own log; the caller is not told.
/// fn why<B>(response: &http::Response<B>) -> Option<String> {
///     Some(response.extensions().get::<Cause>()?.error().to_string())
/// }
/// assert_eq!(why(&http::Response::new(())), None);
/// # let _ = tell;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemEvent {
    /// A call failed, and was answered with this status.
    Failed(StatusCode),
    /// The service inside could not take a call, which was answered with this status.
    Unready(StatusCode),
}
