//! Fallbacks that are ready to be used.

mod future;
mod service;

pub use future::OrElseFuture;
pub use service::{Computed, Fixed, OrElse};

use std::time::Duration;

use aplomb_core::{Call, Classify, Degraded, DegradedKind, HttpClassifier, Outcome};
use http::{HeaderMap, Method, Response};

/// What a ready fallback tells the layer of its answer, in the response's extensions; taken out there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// In what way it is less; `None` for one that is as good.
    pub(crate) kind: Option<DegradedKind>,
    pub(crate) source: &'static str,
    pub(crate) age: Option<Duration>,
    /// Whether it came out of a cache, whose headers it keeps.
    pub(crate) is_cached: bool,
}

impl Told {
    pub(crate) const fn made(kind: DegradedKind, source: &'static str) -> Self {
        Self { kind: Some(kind), source, age: None, is_cached: false }
    }
}

/// Whether a response is a failure and no answer. What was prepared for the day is the answer,
/// whatever its status.
pub(crate) fn is_failure<B>(response: &Response<B>) -> bool {
    let extensions = response.extensions();
    if extensions.get::<Told>().is_some() || Degraded::of(extensions).is_some() {
        return false;
    }
    let call = Call::of(&Method::GET, &HeaderMap::new());
    matches!(HttpClassifier.classify(call, Ok(response)), Outcome::Failure(_))
}
