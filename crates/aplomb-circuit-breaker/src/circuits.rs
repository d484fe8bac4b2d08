//! All circuits of a layer: one for all calls, or one for each key under one for all.

use std::sync::Arc;

use aplomb_core::time::{self, Duration, Instant};
use aplomb_core::{Dice, Failure, FailureKind, Observe};

use crate::breaker::{Breaker, Permit};
use crate::cells::{Cell, Cells};
use crate::change::{Change, Hold, Snapshot};
use crate::error::CircuitOpen;
use crate::event::{BreakerEvent, Circuit};
use crate::held::Held;
use crate::settings::Settings;
use crate::state::State;
use crate::sync::{AtomicBool, Ordering};
use crate::vote::{Ended, Vote};

/// What everything made of one layer value shares.
#[derive(Debug)]
pub(crate) struct Circuits {
    whole: Breaker,
    cells: Cells,
    observing: AtomicBool,
}

/// The terms of a layer's circuits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Of the only circuit, or of each key's.
    pub(crate) settings: Settings,
    pub(crate) whole: Whole,
    pub(crate) keys_max: usize,
}

/// What the circuit for all calls is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whole {
    /// The only one.
    Only,
    /// For operators: those of the keys decide.
    Switch,
    /// Above those of the keys, on its own terms.
    Parent(Settings),
}

impl Terms {
    fn of_whole(&self) -> &Settings {
        match &self.whole {
            Whole::Only | Whole::Switch => &self.settings,
            Whole::Parent(settings) => settings,
        }
    }
}

/// Hears the events of a circuit, whatever the lifetime of its key.
pub(crate) trait Hears: for<'a> Observe<BreakerEvent<'a>> {}

impl<O: for<'a> Observe<BreakerEvent<'a>>> Hears for O {}

impl Circuits {
    pub(crate) fn new(now: Instant) -> Self {
        Self { whole: Breaker::new(now), cells: Cells::new(now), observing: AtomicBool::new(false) }
    }

    /// Lets a call through where all are, without keys.
    #[inline]
    pub(crate) fn admit_all(&self) -> Option<Held> {
        self.whole.admit_all().map(Held::of)
    }

    /// Counts a success where nothing else is to be done: what nearly every call does.
    #[inline]
    pub(crate) fn count_success(&self, terms: &Terms, held: &Held) -> bool {
        let is_plain = held.votes && held.cell.is_none();
        is_plain && self.whole.count_success(&terms.settings, held.whole, time::now)
    }

    /// Lets a call of this key through, if its circuit does.
    #[inline(never)]
    pub(crate) fn admit<O: Hears>(
        &self,
        terms: &Terms,
        key: Option<&str>,
        dice: &Dice,
        observer: &O,
    ) -> Result<Held, CircuitOpen> {
        let now = time::now();
        let admitted = match key {
            None => {
                self.ask(&self.whole, &terms.settings, Circuit::Whole, now, observer).map(Held::of)
            }
            Some(key) => self.admit_keyed(terms, key, now, dice, observer),
        };
        match admitted {
            Ok(held) => Ok(held),
            Err(_) if self.is_observing() => Ok(Held::NOTHING),
            Err(retry_after) => Err(CircuitOpen::new(retry_after)),
        }
    }

    /// Is told how a call ended.
    pub(crate) fn settle<O: Hears>(
        &self,
        terms: &Terms,
        held: &Held,
        ended: Ended,
        dice: &Dice,
        observer: &O,
    ) {
        if !held.votes {
            return;
        }
        let now = time::now();
        let whole = held.of_whole();
        let Some(cell) = &held.cell else {
            let change = self.whole.settle(&terms.settings, whole, now, ended, dice);
            self.announce(Circuit::Whole, change, observer);
            return;
        };
        let change = cell.breaker.settle(&terms.settings, held.of_cell(), now, ended, dice);
        // What becomes of a circuit that its key no longer has is nobody's state.
        let change = change.filter(|_| !cell.is_forgotten());
        self.announce(Circuit::Of(&cell.key), change, observer);
        let Whole::Parent(parent) = &terms.whole else { return };
        let vote = Vote::of(ended, &parent.trip, || whole.took(now));
        self.vote(parent, cell, &whole, now, vote, dice, observer);
    }

    fn admit_keyed<O: Hears>(
        &self,
        terms: &Terms,
        key: &str,
        now: Instant,
        dice: &Dice,
        observer: &O,
    ) -> Result<Held, Duration> {
        if self.whole.held() == Some(State::Closed) {
            // Whoever holds the whole closed holds every key closed.
            return Ok(Held::NOTHING);
        }
        let whole = self.ask(&self.whole, terms.of_whole(), Circuit::Whole, now, observer)?;
        let cell = self.cell(terms, key, now, observer);
        let circuit = Circuit::Of(&cell.key);
        match self.ask(&cell.breaker, &terms.settings, circuit, now, observer) {
            Ok(permit) => Ok(Held::of_both(cell, &permit, whole)),
            Err(retry_after) => {
                if let Whole::Parent(parent) = &terms.whole {
                    let vote = self.of_refusal(&cell);
                    self.vote(parent, &cell, &whole, now, vote, dice, observer);
                }
                Err(retry_after)
            }
        }
    }

    /// A call that its own circuit turned away says that the cell still fails, unless an operator
    /// holds it; it is no answer to a probe of the parent's.
    fn of_refusal(&self, cell: &Cell) -> Vote {
        let says = self.whole.state() == State::Closed && cell.breaker.held().is_none();
        let failure = Failure::new(FailureKind::Transient);
        if says { Vote::Failed { failure, slow: false } } else { Vote::None }
    }

    /// A cell votes on its parent: once a bucket for success and once for failure while it is closed,
    /// with every call while it probes.
    #[expect(clippy::too_many_arguments, reason = "what a vote is made of, told once")]
    fn vote<O: Hears>(
        &self,
        parent: &Settings,
        cell: &Cell,
        permit: &Permit,
        now: Instant,
        vote: Vote,
        dice: &Dice,
        observer: &O,
    ) {
        if permit.generation != self.whole.word().generation() {
            // Late: it takes no vote from its cell either.
            return;
        }
        let passed = match vote {
            Vote::None => None,
            Vote::Passed { .. } => Some(true),
            Vote::Failed { .. } => Some(false),
        };
        let is_closed = self.whole.state() == State::Closed;
        if let (true, Some(passed)) = (is_closed, passed) {
            if !cell.may_vote(self.whole.moment(parent, now), passed) {
                return;
            }
        }
        let change = self.whole.take(parent, permit, now, vote, dice);
        self.announce(Circuit::Whole, change, observer);
    }

    fn ask<O: Hears>(
        &self,
        breaker: &Breaker,
        settings: &Settings,
        circuit: Circuit<'_>,
        now: Instant,
        observer: &O,
    ) -> Result<Permit, Duration> {
        match breaker.admit(settings, now) {
            Ok((permit, change)) => {
                self.announce(circuit, change, observer);
                Ok(permit)
            }
            Err(retry_after) => {
                let enforced = !self.is_observing();
                observer.observe(&BreakerEvent::Rejected { circuit, retry_after, enforced });
                Err(retry_after)
            }
        }
    }

    fn cell<O: Hears>(&self, terms: &Terms, key: &str, now: Instant, observer: &O) -> Arc<Cell> {
        if let Some(cell) = self.cells.get(key, now) {
            return cell;
        }
        let (cell, forgotten) = self.cells.make(key, now, terms.keys_max);
        for gone in forgotten {
            observer.observe(&BreakerEvent::Forgotten { circuit: Circuit::Of(&gone.key) });
        }
        cell
    }

    fn announce<O: Hears>(&self, circuit: Circuit<'_>, change: Option<Change>, observer: &O) {
        if let Some(change) = change {
            let enforced = !self.is_observing();
            observer.observe(&BreakerEvent::Changed { circuit, change, enforced });
        }
    }

    pub(crate) fn hold<O: Hears>(
        &self,
        terms: &Terms,
        key: Option<&str>,
        hold: Hold,
        now: Instant,
        observer: &O,
    ) {
        let Some(key) = key else {
            let change = self.hold_whole(terms, hold, now);
            self.announce(Circuit::Whole, change, observer);
            return;
        };
        let cell = self.cell(terms, key, now, observer);
        self.announce(Circuit::Of(key), cell.breaker.hold(hold, now), observer);
    }

    fn hold_whole(&self, terms: &Terms, hold: Hold, now: Instant) -> Option<Change> {
        let is_held_open = self.whole.held() == Some(State::Open);
        if matches!(terms.whole, Whole::Switch) && hold == Hold::Automatic && is_held_open {
            // A switch has no votes, so no probe could ever close it.
            self.whole.hold(Hold::Closed, now);
        }
        self.whole.hold(hold, now)
    }

    pub(crate) fn snapshot(&self, terms: &Terms, key: Option<&str>, now: Instant) -> Snapshot {
        let Some(key) = key else {
            return self.whole.snapshot(terms.of_whole(), now);
        };
        match self.cells.peek(key) {
            Some(cell) => cell.breaker.snapshot(&terms.settings, now),
            None => Breaker::new(now).snapshot(&terms.settings, now),
        }
    }

    pub(crate) fn keys(&self) -> Vec<Arc<str>> {
        self.cells.all().into_iter().map(|cell| Arc::clone(&cell.key)).collect()
    }

    pub(crate) fn observe_only(&self, only: bool) {
        self.observing.store(only, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_observing(&self) -> bool {
        self.observing.load(Ordering::Relaxed)
    }
}
