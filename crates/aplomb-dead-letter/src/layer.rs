use std::sync::Arc;

use aplomb_core::{Dice, HttpClassifier};
use http::HeaderName;
use tower_layer::Layer;

use crate::bury::HandOver;
use crate::schedule::{Rounds, Schedule, SharedSchedule};
use crate::service::DeadLetter;
use crate::sink::Sink;

/// Keeps requests that finally failed: see the [crate's documentation](crate).
///
/// Clones and everything they are applied to share the sink.
#[derive(Debug)]
#[must_use]
pub struct DeadLetterLayer<K, C = HttpClassifier, O = ()> {
    sink: Arc<K>,
    settings: Settings,
    classify: C,
    observer: O,
}

/// Everything that a service of this layer needs.
#[derive(Debug)]
pub(crate) struct Shared<K, C, O> {
    pub(crate) sink: Arc<K>,
    pub(crate) settings: Settings,
    pub(crate) classify: C,
    pub(crate) observer: O,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) schedule: SharedSchedule,
    pub(crate) rounds_max: u32,
    pub(crate) body_cap: usize,
    pub(crate) headers: Arc<[HeaderName]>,
    pub(crate) dice: Dice,
}

impl<K: Sink> DeadLetterLayer<K> {
    /// Keeps letters in `sink`, with the defaults that the crate's documentation lists.
    pub fn new(sink: K) -> Self {
        Self::with(sink)
    }
}

impl DeadLetterLayer<HandOver> {
    /// Hands each letter to the caller, who keeps the queue and stores the letter in the transaction
    /// that removes the job from it. Nothing is then ever both in the queue and dead.
    pub fn hand_over() -> Self {
        Self::with(HandOver)
    }
}

impl<K> DeadLetterLayer<K> {
    fn with(sink: K) -> Self {
        let settings = Settings {
            schedule: SharedSchedule(Arc::new(Rounds::default())),
            rounds_max: u32::MAX,
            body_cap: BODY_CAP,
            headers: Arc::default(),
            dice: Dice::from_entropy(),
        };
        Self { sink: Arc::new(sink), settings, classify: HttpClassifier, observer: () }
    }
}

impl<K, C, O> DeadLetterLayer<K, C, O> {
    /// How long a job waits in its queue after each round that failed.
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.settings.schedule = SharedSchedule(Arc::new(schedule));
        self
    }

    /// After so many rounds a job that failed is dead, though its horizon has not ended (no bound by
    /// default, at least 1).
    pub fn rounds_max(mut self, rounds: u32) -> Self {
        self.settings.rounds_max = rounds.max(1);
        self
    }

    /// How many bytes of a body a letter holds (64 KiB by default). A longer one is sent, and when
    /// that fails, its caller keeps the request.
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.settings.body_cap = bytes;
        self
    }

    /// Headers that a letter keeps besides the usual ones, such as a tenant's. What authenticates
    /// is not kept, whatever is said here.
    pub fn keep_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.settings.headers = names.into_iter().collect();
        self
    }

    /// Throws these dice, for instance seeded ones.
    pub fn dice(mut self, dice: Dice) -> Self {
        self.settings.dice = dice;
        self
    }

    /// Tells `observer` what happens.
    pub fn observe<P>(self, observer: P) -> DeadLetterLayer<K, C, P> {
        let Self { sink, settings, classify, .. } = self;
        DeadLetterLayer { sink, settings, classify, observer }
    }

    /// Lets `classify` decide what an answer means: the value that the other layers have too.
    pub fn classify<D>(self, classify: D) -> DeadLetterLayer<K, D, O> {
        let Self { sink, settings, observer, .. } = self;
        DeadLetterLayer { sink, settings, classify, observer }
    }
}

impl<S, K, C: Clone, O: Clone> Layer<S> for DeadLetterLayer<K, C, O> {
    type Service = DeadLetter<S, K, C, O>;

    fn layer(&self, inner: S) -> Self::Service {
        // Handles only: the sink is the layer's own, never a new one.
        let (sink, settings) = (Arc::clone(&self.sink), self.settings.clone());
        let (classify, observer) = (self.classify.clone(), self.observer.clone());
        DeadLetter { inner, shared: Arc::new(Shared { sink, settings, classify, observer }) }
    }
}

impl<K, C: Clone, O: Clone> Clone for DeadLetterLayer<K, C, O> {
    fn clone(&self) -> Self {
        Self {
            sink: Arc::clone(&self.sink),
            settings: self.settings.clone(),
            classify: self.classify.clone(),
            observer: self.observer.clone(),
        }
    }
}

/// What fits a database row without harm.
pub(crate) const BODY_CAP: usize = 64 * 1024;
