//! Every interleaving of two or three threads on one circuit. Run by `cargo xtask loom`.

#![cfg(aplomb_loom)]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;

use aplomb_circuit_breaker::{Breaker, Change, Ended, Permit, Settings, State, Trip};
use aplomb_core::time::{self, Duration, Instant};
use aplomb_core::{Dice, Failure, FailureKind, Outcome};
use loom::thread;

#[test]
fn of_calls_that_arrive_together_one_is_the_probe() {
    // Three threads have too many interleavings; those with two preemptions are most of what goes wrong.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let at = At::open();
        let arrive = |at: &At| at.breaker.admit(&at.settings, at.later).is_ok();
        let others: Vec<_> = (0..2).map(|_| at.clone().run(arrive)).collect();
        let mine = arrive(&at);
        let theirs = others.into_iter().map(|other| other.join().unwrap());
        assert_eq!(theirs.filter(|through| *through).count() + usize::from(mine), 1);
    });
}

#[test]
fn calls_that_fail_together_open_it_once() {
    loom::model(|| {
        let at = At::closed(2);
        let (one, two) = (at.permit(at.now), at.permit(at.now));
        let other = at.clone().run(move |at| at.fail(one, at.now).is_some());
        let mine = at.fail(two, at.now).is_some();
        assert!(other.join().unwrap() ^ mine, "one of them, and not both");
        assert_eq!(at.breaker.state(), State::Open);
    });
}

#[test]
fn a_success_between_two_failures_ends_the_run_or_comes_too_late() {
    loom::model(|| {
        let at = At::closed(2);
        let (one, two, fine) = (at.permit(at.now), at.permit(at.now), at.permit(at.now));
        at.fail(one, at.now);
        let other = at.clone().run(move |at| at.succeed(fine, at.now));
        let opened = at.fail(two, at.now).is_some();
        other.join().unwrap();
        let snapshot = at.breaker.snapshot(&at.settings, at.now);
        assert_eq!(opened, snapshot.state == State::Open);
        assert!(opened || snapshot.calls == 3, "{snapshot:?}");
    });
}

#[test]
fn no_vote_is_lost_in_the_window() {
    loom::model(|| {
        let at = At::closed(9);
        let (one, two) = (at.permit(at.now), at.permit(at.now));
        let other = at.clone().run(move |at| at.succeed(one, at.now));
        at.succeed(two, at.now);
        other.join().unwrap();
        assert_eq!(at.breaker.snapshot(&at.settings, at.now).calls, 2);
    });
}

#[test]
fn the_place_of_a_probe_that_is_dropped_is_taken_once() {
    loom::model(|| {
        let at = At::open();
        let probe = at.permit(at.later);
        let other = at.clone().run(|at| at.breaker.admit(&at.settings, at.later).is_ok());
        let dropped =
            at.breaker.settle(&at.settings, probe, at.later, Ended::Dropped, &Dice::seeded(1));
        assert_eq!(dropped, None);
        let mine = at.breaker.admit(&at.settings, at.later).is_ok();
        assert!(other.join().unwrap() ^ mine, "one of them, and not both");
    });
}

#[test]
fn a_lease_that_is_over_is_taken_over_once() {
    loom::model(|| {
        let at = At::open();
        let _hangs = at.permit(at.later);
        let much_later = at.later + at.settings.lease;
        let arrive = move |at: &At| at.breaker.admit(&at.settings, much_later).is_ok();
        let other = at.clone().run(arrive);
        let mine = arrive(&at);
        assert!(other.join().unwrap() ^ mine, "one of them, and not both");
    });
}

#[test]
fn a_probe_that_fails_while_another_call_arrives_leaves_it_open() {
    loom::model(|| {
        let at = At::open();
        let probe = at.permit(at.later);
        let other = at.clone().run(|at| at.breaker.admit(&at.settings, at.later).is_ok());
        assert_eq!(at.fail(probe, at.later).map(|change| change.to), Some(State::Open));
        assert!(!other.join().unwrap());
    });
}

#[test]
fn what_was_sent_before_it_opened_changes_nothing_after_it_closed() {
    loom::model(|| {
        let at = At::closed(1);
        let (late, trips) = (at.permit(at.now), at.permit(at.now));
        at.fail(trips, at.now);
        let probe = at.permit(at.later);
        let other = at.clone().run(move |at| at.fail(late, at.later));
        at.succeed(probe, at.later);
        assert_eq!(other.join().unwrap(), None);
        assert_eq!(at.breaker.state(), State::HalfOpen);
    });
}

/// A circuit that opens after so many failures in a row.
#[derive(Clone)]
struct At {
    breaker: Arc<Breaker>,
    settings: Settings,
    now: Instant,
    later: Instant,
}

impl At {
    fn closed(failures: u32) -> Self {
        let now = time::now();
        let mut settings = Settings::default();
        settings.trip = Trip::default().failures_in_a_row(failures);
        let later = now + Duration::from_secs(2);
        Self { breaker: Arc::new(Breaker::new(now)), settings, now, later }
    }

    /// Open until a moment before `later`.
    fn open() -> Self {
        let at = Self::closed(1);
        at.fail(at.permit(at.now), at.now);
        at
    }

    fn run<T: 'static>(self, work: impl FnOnce(&Self) -> T + 'static) -> thread::JoinHandle<T> {
        thread::spawn(move || work(&self))
    }

    fn permit(&self, now: Instant) -> Permit {
        self.breaker.admit(&self.settings, now).unwrap().0
    }

    fn fail(&self, permit: Permit, now: Instant) -> Option<Change> {
        let failure = Ended::With(Outcome::Failure(Failure::new(FailureKind::Transient)));
        self.breaker.settle(&self.settings, permit, now, failure, &Dice::seeded(1))
    }

    fn succeed(&self, permit: Permit, now: Instant) {
        let success = Ended::With(Outcome::Success);
        self.breaker.settle(&self.settings, permit, now, success, &Dice::seeded(1));
    }
}
