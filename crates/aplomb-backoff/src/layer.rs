use std::sync::Arc;
use std::time::Duration;

use aplomb_core::time::{self, Instant};
use aplomb_core::{
    Deadline, Dice, Failure, FailureKind, HttpClassifier, Observe, Outcome, Pushback, Rng,
};
use tower_layer::Layer;

use crate::event::BackoffEvent;
use crate::pace::{FAILURES_MAX, Generation, Pace, Ticks};
use crate::schedule::Backoff;
use crate::service::Paced;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};

/// Paces calls to a dependency that pushed back.
///
/// Everything made from this value or its clones shares one "not before": a client of several
/// dependencies needs a layer value for each.
///
/// ```
/// use aplomb_backoff::{Backoff, BackoffLayer};
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, service_fn};
///
/// let stock = ServiceBuilder::new()
///     .layer(BackoffLayer::new(Backoff::interactive()).after_failures(3))
///     .service(service_fn(|_: Request<()>| async {
///         Ok::<_, std::io::Error>(Response::new(()))
///     }));
/// # let _ = stock;
/// ```
///
/// # Errors
///
/// The service fails with [`NotBefore`](aplomb_core::NotBefore), and sends nothing, when a call's
/// deadline comes before the dependency may be asked again or when too many calls wait already.
#[derive(Clone, Debug)]
#[must_use]
pub struct BackoffLayer<C = HttpClassifier, O = ()> {
    pub(crate) settings: Settings,
    pub(crate) dependency: Arc<Dependency>,
    pub(crate) dice: Dice,
    pub(crate) classify: C,
    pub(crate) observer: O,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) backoff: Backoff,
    pub(crate) after_failures: u32,
    pub(crate) longest_wait: Duration,
    pub(crate) wait_at_most: Duration,
    pub(crate) longest_pause: Duration,
    pub(crate) waiters_max: usize,
    pub(crate) only_observes: bool,
}

/// What all callers of a dependency share.
#[derive(Debug)]
pub(crate) struct Dependency {
    origin: Instant,
    pace: AtomicU64,
    pub(crate) waiters: AtomicUsize,
}

impl Dependency {
    /// How long it is still to be left alone.
    pub(crate) fn left(&self, pace: Pace, now: Instant) -> Duration {
        pace.left(Ticks::passed(now.saturating_duration_since(self.origin)))
    }

    fn ticks(&self, now: Instant) -> Ticks {
        Ticks::after(now.saturating_duration_since(self.origin))
    }

    pub(crate) fn pace(&self) -> Pace {
        Pace::from_word(self.pace.load(Ordering::Relaxed))
    }

    /// Changes the word; `change` may be asked more than once.
    pub(crate) fn update(&self, mut change: impl FnMut(Pace) -> Pace) {
        // The word is all there is: it orders nothing else, so Relaxed is enough.
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        let _ = self
            .pace
            .fetch_update(set, fetch, |word| Some(change(Pace::from_word(word)).to_word()));
    }
}

impl BackoffLayer {
    /// Leaves a dependency alone for as long as it asks, and for growing delays of `backoff` while
    /// its calls fail in a row.
    pub fn new(backoff: Backoff) -> Self {
        let settings = Settings {
            backoff,
            after_failures: 5,
            longest_wait: Duration::from_secs(5),
            wait_at_most: Duration::MAX,
            longest_pause: Duration::from_secs(60),
            waiters_max: 1024,
            only_observes: false,
        };
        let dependency = Arc::new(Dependency {
            origin: time::now(),
            pace: AtomicU64::new(Pace::clear().to_word()),
            waiters: AtomicUsize::new(0),
        });
        let dice = Dice::from_entropy();
        Self { settings, dependency, dice, classify: HttpClassifier, observer: () }
    }
}

impl<C, O> BackoffLayer<C, O> {
    /// So many failures in a row, 1 to 255, begin a pause. As many again begin a longer one: of calls
    /// that go out together the failures come back first, so that a single one of them says little.
    pub fn after_failures(mut self, failures: u32) -> Self {
        self.settings.after_failures = failures.clamp(1, FAILURES_MAX);
        self
    }

    /// A call without a deadline waits no longer than this.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.settings.longest_wait = wait;
        self
    }

    /// No call waits longer than this, whatever its deadline allows (no bound by default): for those
    /// who have another answer, and would rather give it now.
    pub fn wait_at_most(mut self, wait: Duration) -> Self {
        self.settings.wait_at_most = wait;
        self
    }

    /// A pushback pauses for no longer than this, whatever it asks: a server, or somebody who
    /// speaks in its name, must not silence a client for a day.
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.settings.longest_pause = pause;
        self
    }

    /// No more than so many calls wait at a time; others fail at once.
    pub fn waiters_max(mut self, waiters: usize) -> Self {
        self.settings.waiters_max = waiters;
        self
    }

    /// Decides and tells, and lets no call wait.
    pub fn observe_only(mut self) -> Self {
        self.settings.only_observes = true;
        self
    }

    /// Throws these dice, for instance seeded ones.
    pub fn dice(mut self, dice: Dice) -> Self {
        self.dice = dice;
        self
    }

    /// Tells `observer` what happens.
    pub fn observe<P>(self, observer: P) -> BackoffLayer<C, P> {
        let Self { settings, dependency, dice, classify, .. } = self;
        BackoffLayer { settings, dependency, dice, classify, observer }
    }

    /// Lets `classify` decide what an answer means.
    pub fn classify<D>(self, classify: D) -> BackoffLayer<D, O> {
        let Self { settings, dependency, dice, observer, .. } = self;
        BackoffLayer { settings, dependency, dice, classify, observer }
    }
}

impl<C, O> BackoffLayer<C, O> {
    /// Until when a call that starts now may wait.
    pub(crate) fn patience(&self, deadline: Option<Deadline>, now: Instant) -> Deadline {
        let Settings { longest_wait, wait_at_most, .. } = self.settings;
        let allowed = deadline.unwrap_or_else(|| Deadline::after(now, longest_wait));
        allowed.min(Deadline::after(now, wait_at_most))
    }

    /// Takes note of how a call went that was sent in generation `of`.
    pub(crate) fn note(&self, of: Generation, outcome: Outcome)
    where
        O: Observe<BackoffEvent>,
    {
        match outcome {
            Outcome::Success if self.dependency.pace().failures() > 0 => {
                self.dependency.update(|pace| pace.succeeded(of));
            }
            Outcome::Failure(failure) if votes(failure) => self.failed(of, failure),
            _ => {}
        }
    }

    fn failed(&self, of: Generation, failure: Failure)
    where
        O: Observe<BackoffEvent>,
    {
        let (now, rng) = (self.dependency.ticks(time::now()), self.dice.roll());
        let mut paused = None;
        self.dependency.update(|pace| {
            let failed = pace.failed(of, self.settings.after_failures);
            let counts = of == pace.generation();
            paused = self.settings.pause(failed, counts, failure, rng.clone());
            paused.map_or(failed, |pause| failed.pause(now, pause))
        });
        if let Some(pause) = paused {
            self.observer.observe(&BackoffEvent::Paused { pause });
        }
    }
}

impl Settings {
    /// How long the dependency is left alone after a failure, if at all.
    fn pause(&self, pace: Pace, counts: bool, failure: Failure, mut rng: Rng) -> Option<Duration> {
        if let Pushback::After(asked) = failure.pushback {
            return Some(asked.min(self.longest_pause)).filter(|pause| !pause.is_zero());
        }
        let (rows, rest) =
            (pace.failures() / self.after_failures, pace.failures() % self.after_failures);
        (counts && rest == 0).then(|| self.backoff.delay(rows, &mut rng))
    }
}

/// A key in flight elsewhere says nothing about the dependency, nor does a call that a layer inside
/// held back; what is permanent does not pass by leaving it alone.
fn votes(failure: Failure) -> bool {
    !failure.held_back && !matches!(failure.kind, FailureKind::Pending | FailureKind::Permanent)
}

impl<S, C: Clone, O: Clone> Layer<S> for BackoffLayer<C, O> {
    type Service = Paced<S, C, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Paced { inner, shared: Arc::new(self.clone()) }
    }
}

#[cfg(all(test, aplomb_loom))]
mod loom_tests {
    use super::*;

    #[test]
    fn two_calls_that_fail_together_begin_one_pause() {
        loom::model(|| {
            let layer = BackoffLayer::new(Backoff::interactive()).after_failures(1);
            let sent = layer.dependency.pace().generation();
            let failure = Failure::new(FailureKind::Transient);
            let other = layer.clone();
            let racing = loom::thread::spawn(move || other.note(sent, Outcome::Failure(failure)));
            layer.note(sent, Outcome::Failure(failure));
            racing.join().unwrap();
            assert_eq!(layer.dependency.pace().failures(), 1);
            assert_ne!(layer.dependency.pace().generation(), sent);
        });
    }

    #[test]
    fn a_success_that_races_a_pause_does_not_end_it() {
        loom::model(|| {
            let layer = BackoffLayer::new(Backoff::interactive());
            let sent = layer.dependency.pace().generation();
            let asked = Pushback::After(Duration::from_secs(2));
            let failure = Failure::new(FailureKind::Throttled).pushback(asked);
            let other = layer.clone();
            let racing = loom::thread::spawn(move || other.note(sent, Outcome::Success));
            layer.note(sent, Outcome::Failure(failure));
            racing.join().unwrap();
            let dependency = &layer.dependency;
            assert!(dependency.left(dependency.pace(), time::now()) > Duration::from_secs(1));
        });
    }
}
