use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{DegradedKind, HttpClassifier};
use tokio::sync::Semaphore;
use tower_layer::Layer;

use crate::conditions::Conditions;
use crate::keeper::Keeper;
use crate::ready::Fixed;
use crate::service::Fallback;

/// Lets a second service answer when the first one fails: see the [crate's documentation](crate).
///
/// The cap on concurrent answers is shared by everything made from this value or from its clones,
/// however often a router applies it. So is what the fallback itself shares among its clones.
#[derive(Clone)]
#[must_use]
pub struct FallbackLayer<F, C = HttpClassifier, O = ()> {
    fallback: F,
    settings: Settings,
    places: Arc<Semaphore>,
    keeper: Option<Keeper>,
    classify: C,
    observer: O,
}

/// What every call of a service shares.
pub(crate) struct Shared<F, C, O> {
    pub(crate) fallback: F,
    pub(crate) settings: Settings,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) keeper: Option<Keeper>,
    pub(crate) classify: C,
    pub(crate) observer: O,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) conditions: Conditions,
    pub(crate) slice: Duration,
    pub(crate) body_cap: usize,
    pub(crate) drain: Duration,
    pub(crate) kind: Option<DegradedKind>,
    pub(crate) source: &'static str,
    pub(crate) is_pending: bool,
    pub(crate) only_observes: bool,
    /// Whether the fallback looks at the request that it answers.
    pub(crate) shows_request: bool,
}

impl FallbackLayer<Fixed> {
    /// The same as [`new`](Self::new) for an answer that is always the same, without a copy of each
    /// request: a [`Fixed`] answer does not look at it.
    pub fn fixed(answer: Fixed) -> Self {
        Self::new(answer).blind()
    }
}

impl<F> FallbackLayer<F> {
    /// Reads, and writes that provably were not acted on, are answered by `fallback` when the service
    /// fails. A write that may have been acted on keeps its own answer.
    pub fn new(fallback: F) -> Self {
        let settings = Settings {
            conditions: Conditions::ALL,
            slice: SLICE,
            body_cap: BODY_CAP,
            drain: DRAIN,
            kind: Some(DegradedKind::Approximate),
            source: "fallback",
            is_pending: false,
            only_observes: false,
            shows_request: true,
        };
        let places = Arc::new(Semaphore::new(CONCURRENT));
        let (classify, observer) = (HttpClassifier, ());
        Self { fallback, settings, places, keeper: None, classify, observer }
    }

    /// Writes that fail are answered by `fallback`, also when nobody knows whether they were acted
    /// on: it promises that their outcome will be known later, and sees to it. It says so by the
    /// status 202; any other answer of it is not used. Reads pass.
    pub fn pending(fallback: F) -> Self {
        let mut layer = Self::new(fallback).kind(DegradedKind::Delayed).source("pending");
        layer.settings.is_pending = true;
        layer
    }
}

#[cfg(feature = "last-good")]
impl FallbackLayer<crate::LastGood> {
    /// Reads are answered with their last good answer, which this layer [keeps](Self::keeps).
    pub fn last_good(last_good: crate::LastGood) -> Self {
        Self::new(last_good.clone()).keeps(last_good)
    }
}

impl<F, C, O> FallbackLayer<F, C, O> {
    /// Asks only under these conditions (all of them by default).
    pub fn on(mut self, conditions: impl Into<Conditions>) -> Self {
        self.settings.conditions = conditions.into();
        self
    }

    /// The fallback has this much time for its whole answer, its body included (100 ms by default),
    /// or what the caller still waits, whichever is less.
    pub fn slice(mut self, time: Duration) -> Self {
        self.settings.slice = time;
        self
    }

    /// The fallback serves at most so many calls at a time (64 by default); the others get the
    /// original answer, and nobody waits for a place.
    pub fn concurrent(mut self, calls: usize) -> Self {
        self.places = Arc::new(Semaphore::new(calls.min(Semaphore::MAX_PERMITS)));
        self
    }

    /// An answer of the fallback that is longer than so many bytes is a failure (64 KiB by default).
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.settings.body_cap = bytes;
        self
    }

    /// A response that was stood in for is read to its end, up to 64 KiB, so that its connection can be
    /// used again; the caller waits no longer than this for it (5 ms by default).
    pub fn drain(mut self, time: Duration) -> Self {
        self.settings.drain = time;
        self
    }

    /// In what way an answer is less that does not say so itself (approximate by default, delayed
    /// when it is pending).
    pub fn kind(mut self, kind: DegradedKind) -> Self {
        self.settings.kind = Some(kind);
        self
    }

    /// An answer that does not say otherwise is as good as the first service's: a replica's.
    pub fn as_good(mut self) -> Self {
        self.settings.kind = None;
        self
    }

    /// The fallback does not look at the request, so no call pays for a copy of it: it is asked with an
    /// empty one.
    pub fn blind(mut self) -> Self {
        self.settings.shows_request = false;
        self
    }

    /// Names the fallback, in a word, for an answer that names no source itself.
    pub fn source(mut self, source: &'static str) -> Self {
        self.settings.source = source;
        self
    }

    /// Keeps the good answers that pass in `last_good`, and evicts what a write through this layer may
    /// have changed. `last_good` may be the fallback, or a part of it.
    #[cfg(feature = "last-good")]
    pub fn keeps(mut self, last_good: crate::LastGood) -> Self {
        self.keeper = Some(last_good);
        self
    }

    /// Decides and tells, and asks no fallback. What keeps good answers goes on, so
    /// that they are there on the day it counts.
    pub fn observe_only(mut self) -> Self {
        self.settings.only_observes = true;
        self
    }

    /// Tells `observer` what happens.
    pub fn observe<P>(self, observer: P) -> FallbackLayer<F, C, P> {
        let Self { fallback, settings, places, keeper, classify, .. } = self;
        FallbackLayer { fallback, settings, places, keeper, classify, observer }
    }

    /// Lets `classify` decide what an answer means.
    pub fn classify<D>(self, classify: D) -> FallbackLayer<F, D, O> {
        let Self { fallback, settings, places, keeper, observer, .. } = self;
        FallbackLayer { fallback, settings, places, keeper, classify, observer }
    }
}

impl<S, F: Clone, C: Clone, O: Clone> Layer<S> for FallbackLayer<F, C, O> {
    type Service = Fallback<S, F, C, O>;

    fn layer(&self, inner: S) -> Self::Service {
        // Handles only: the places and the kept answers are the layer's own, never new ones.
        let shared = Shared {
            fallback: self.fallback.clone(),
            settings: self.settings,
            places: Arc::clone(&self.places),
            keeper: self.keeper.clone(),
            classify: self.classify.clone(),
            observer: self.observer.clone(),
        };
        Fallback { inner, shared: Arc::new(shared) }
    }
}

impl<F, C, O> fmt::Debug for FallbackLayer<F, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackLayer")
            .field("settings", &self.settings)
            .field("places", &self.places.available_permits())
            .finish_non_exhaustive()
    }
}

/// What people do not notice on top of a call that failed.
const SLICE: Duration = Duration::from_millis(100);
/// What does not come in this time costs less as a new connection.
const DRAIN: Duration = Duration::from_millis(5);
/// More than answer from memory at once, fewer than would hurt a second service.
const CONCURRENT: usize = 64;
/// The longest answer of a fallback.
const BODY_CAP: usize = 64 * 1024;
