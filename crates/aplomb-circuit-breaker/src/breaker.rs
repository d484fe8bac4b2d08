//! The machine: lets calls through or not, and is told how they ended.
//!
//! One word decides, so there is nothing to lock: a call that is let through reads it, a call that
//! ends reads it again and counts in the bucket of its second. Whoever changes the state replaces
//! the whole word by compare-and-swap, and with it the generation, so that of all who try at once
//! exactly one opens, probes or closes.

use std::time::Duration;

use aplomb_core::time::Instant;

use crate::change::{Change, Hold, Snapshot};
use crate::runs::Runs;
use crate::settings::Settings;
use crate::state::{MILLIS_MAX, Phase, Ramp, State, Word};
use crate::sync::{AtomicU64, Ordering};
use crate::ticks::{Place, Ticks};
use crate::trip::Because;
use crate::window::{Tag, Window};

/// One circuit, without names, layers or observers: what the layer and the lab step.
///
/// It is told the time, which on one thread must not run backwards.
///
/// ```
/// use aplomb_circuit_breaker::{Breaker, Ended, Settings, State};
/// use aplomb_core::{Dice, Failure, FailureKind, Outcome, time};
///
/// let (settings, dice, now) = (Settings::default(), Dice::seeded(7), time::now());
/// let breaker = Breaker::new(now);
/// for _ in 0..5 {
///     let (permit, _) = breaker.admit(&settings, now).expect("it is closed");
///     let refused = Outcome::Failure(Failure::new(FailureKind::Unsent));
///     breaker.settle(&settings, permit, now, Ended::With(refused), &dice);
/// }
/// assert_eq!(breaker.snapshot(&settings, now).state, State::Open);
/// assert!(breaker.admit(&settings, now).is_err());
/// ```
#[derive(Debug)]
pub struct Breaker {
    ticks: Ticks,
    word: AtomicU64,
    lease: AtomicU64,
    pub(crate) runs: Runs,
    pub(crate) window: Window,
}

/// A call's leave to go out. Whatever becomes of it, [`Breaker::settle`] is told.
///
/// ```
/// use aplomb_circuit_breaker::{Because, Breaker, Ended, Hold, Permit, Settings, State};
/// use aplomb_core::Dice;
///
/// let (settings, dice, now) = (Settings::default(), Dice::seeded(7), aplomb_core::time::now());
/// let breaker = Breaker::new(now);
/// let (permit, _): (Permit, _) = breaker.admit(&settings, now).unwrap();
/// let change = breaker.hold(Hold::Open, now).expect("it was closed");
/// assert_eq!((change.to, change.because), (State::Open, Because::Operator));
/// // What was sent before the change has no vote any more.
/// assert!(breaker.settle(&settings, permit, now, Ended::Panicked, &dice).is_none());
/// assert!(breaker.admit(&settings, now).is_err());
/// ```
#[derive(Debug)]
#[must_use = "half-open, the next call waits until this one is settled or its lease is over"]
pub struct Permit {
    pub(crate) generation: u16,
    /// Unknown while nobody waited for it: a call that is answered at once is not timed.
    pub(crate) begun: Option<Instant>,
}

impl Permit {
    /// How long its call has been out.
    pub(crate) fn took(&self, now: Instant) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun))
    }
}

impl Breaker {
    /// A closed circuit, whose time begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            ticks: Ticks::new(now),
            word: AtomicU64::new(Word::NEW.to_bits()),
            lease: AtomicU64::new(0),
            runs: Runs::new(),
            window: Window::new(),
        }
    }

    /// Lets a call through, perhaps as the probe that half-opens the circuit.
    ///
    /// # Errors
    ///
    /// How long it is of no use to try again.
    #[inline]
    pub fn admit(
        &self,
        settings: &Settings,
        now: Instant,
    ) -> Result<(Permit, Option<Change>), Duration> {
        let (permit, change) = match self.admit_all() {
            Some(permit) => (permit, None),
            None => self.admit_some(settings, self.word(), now)?,
        };
        Ok((Permit { begun: Some(now), ..permit }, change))
    }

    /// Lets a call through where all are.
    #[inline]
    pub(crate) fn admit_all(&self) -> Option<Permit> {
        let word = self.word();
        word.lets_all_through().then_some(Permit { generation: word.generation(), begun: None })
    }

    /// Does as an operator says, unless it does so already.
    pub fn hold(&self, hold: Hold, now: Instant) -> Option<Change> {
        let millis = self.passed_millis(now);
        let mut word = self.word();
        loop {
            let phase = match (hold, word.is_held(), word.phase()) {
                (Hold::Open, ..) => Phase::HeldOpen,
                (Hold::Closed, ..) => Phase::HeldClosed,
                // Nobody knows how the dependency is: one call finds out.
                (Hold::Automatic, true, Phase::HeldOpen) => Phase::Open { until: millis },
                (Hold::Automatic, true, _) => Phase::Closed { since: millis },
                (Hold::Automatic, false, phase) => phase,
            };
            if phase == word.phase() {
                return None;
            }
            let next = word.next(phase, word.level());
            match self.replace(word, next) {
                Ok(()) => return Some(Change::to(word.state(), next.state(), Because::Operator)),
                Err(seen) => word = seen,
            }
        }
    }

    /// How it is now.
    pub fn snapshot(&self, settings: &Settings, now: Instant) -> Snapshot {
        let word = self.word();
        let tally = self.window.tally(self.tag(settings, word, now));
        let run = self.runs.now(word.generation());
        let left = match word.phase() {
            Phase::Open { until } => until.saturating_sub(self.passed_millis(now)),
            _ => 0,
        };
        Snapshot {
            state: word.state(),
            is_held: word.is_held(),
            retry_after: Duration::from_millis(left),
            calls: tally.calls,
            failed: tally.failed,
            slow: tally.slow,
            failed_in_a_row: run.failed,
            unsent_in_a_row: run.unsent,
            level: word.level(),
        }
    }

    /// What it does with calls.
    pub fn state(&self) -> State {
        self.word().state()
    }

    /// Whether an operator holds it where it is.
    pub(crate) fn held(&self) -> Option<State> {
        let word = self.word();
        word.is_held().then(|| word.state())
    }

    /// In which bucket and generation a moment lies, as one number.
    #[inline]
    pub(crate) fn moment(&self, settings: &Settings, now: Instant) -> u64 {
        let word = self.word();
        let tick = self.tag(settings, word, now).tick();
        u64::from(tick) | u64::from(word.generation()) << 32
    }

    /// Open, half-open or held open.
    fn admit_some(
        &self,
        settings: &Settings,
        mut word: Word,
        now: Instant,
    ) -> Result<(Permit, Option<Change>), Duration> {
        let millis = self.passed_millis(now);
        loop {
            let (next, change) = match word.phase() {
                Phase::Closed { .. } | Phase::HeldClosed => (word, None),
                Phase::HeldOpen => return Err(settings.open_for.ceiling(u32::MAX)),
                Phase::Open { until } if millis < until => {
                    return Err(Duration::from_millis(until - millis));
                }
                Phase::Open { .. } => {
                    let half_open = word.next(Phase::HalfOpen(Ramp::PROBING), word.level());
                    (
                        half_open,
                        Some(Change::to(State::Open, State::HalfOpen, Because::OpenTimeOver)),
                    )
                }
                Phase::HalfOpen(ramp) => match ramp.take() {
                    Some(ramp) => (word.with(ramp), None),
                    None if self.takes_over(settings, millis) => (word, None),
                    // When a probe fails, that is the least that is waited for another.
                    None => return Err(settings.open_for.ceiling(1)),
                },
            };
            if next != word {
                // Before anybody can see that a call is out, its lease has begun.
                let until = millis.saturating_add(whole_millis(settings.lease));
                self.lease.fetch_max(until, Ordering::Relaxed);
            }
            match self.replace(word, next) {
                Ok(()) => {
                    return Ok((Permit { generation: next.generation(), begun: None }, change));
                }
                Err(seen) => word = seen,
            }
        }
    }

    /// Whether the lease of the calls that are out is over, so that this one goes in their place.
    /// Of all who ask at once it is one. What ends late still has its vote.
    fn takes_over(&self, settings: &Settings, millis: u64) -> bool {
        let lease = self.lease.load(Ordering::Relaxed);
        let next = millis.saturating_add(whole_millis(settings.lease)).max(lease + 1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        millis >= lease && self.lease.compare_exchange(lease, next, set, fetch).is_ok()
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    pub(crate) fn replace(&self, old: Word, new: Word) -> Result<(), Word> {
        if old == new {
            return Ok(());
        }
        let (old, new) = (old.to_bits(), new.to_bits());
        let swap = self.word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire);
        swap.map(drop).map_err(Word::from_bits)
    }

    #[inline]
    pub(crate) fn place(&self, settings: &Settings, now: Instant) -> Place {
        self.ticks.at(now, settings.trip.bucket())
    }

    #[inline]
    pub(crate) fn tag(&self, settings: &Settings, word: Word, now: Instant) -> Tag {
        Tag::new(self.place(settings, now), word.generation())
    }

    #[inline]
    fn passed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.ticks.origin())
    }

    /// Rounded down: an open time that ends within this millisecond has not ended.
    pub(crate) fn passed_millis(&self, now: Instant) -> u64 {
        let passed = self.passed(now);
        passed.as_secs().saturating_mul(1_000).saturating_add(passed.subsec_millis().into())
    }

    /// Rounded up, so that a dependency is never asked too early.
    pub(crate) fn millis_after(&self, now: Instant, wait: Duration) -> u64 {
        let nanos = self.passed(now).saturating_add(wait).as_nanos();
        u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(MILLIS_MAX)
    }
}

pub(crate) fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(MILLIS_MAX).min(MILLIS_MAX)
}
