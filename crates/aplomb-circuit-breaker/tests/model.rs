//! The machine against a naive model of the same rules, for any calls in any order: a list of what
//! happened, counted again whenever a call ends.

#![cfg(not(aplomb_loom))]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use aplomb_backoff::Backoff;
use aplomb_circuit_breaker::{Because, Breaker, Ended, Permit, Settings, State, Trip};
use aplomb_core::time::{self, Duration, Instant};
use aplomb_core::{Dice, Failure, FailureKind, Outcome, Pushback, Ratio};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]
    #[test]
    fn the_machine_does_what_a_naive_model_does(
        seed: u64,
        with_slow_ratio: bool,
        at_least in prop_oneof![Just(8), Just(60)],
        steps in proptest::collection::vec(step(), 0..600),
    ) {
        let mut trip = Trip::failure_ratio(Ratio::percent(50)).at_least(at_least);
        if with_slow_ratio {
            trip = trip.slow_ratio(Ratio::percent(60));
        }
        let mut settings = Settings::default();
        settings.trip = trip;
        let (dice, start) = (Dice::seeded(seed), time::now());
        let breaker = Breaker::new(start);
        let mut model = Model::new(with_slow_ratio, at_least as usize);
        let mut out: Vec<(Permit, Out)> = Vec::new();
        let mut weather = Weather::Mixed;
        for step in steps {
            let now = start + Duration::from_millis(model.now);
            match step {
                Step::Pass(millis) => model.now += millis,
                Step::Admit => match (breaker.admit(&settings, now), model.admit()) {
                    (Ok((permit, change)), Ok((of, to))) => {
                        prop_assert_eq!(change.map(|change| change.to), to);
                        out.push((permit, of));
                    }
                    (Err(retry_after), Err(())) => prop_assert!(!retry_after.is_zero()),
                    (real, naive) => prop_assert!(false, "{real:?} instead of {naive:?}"),
                },
                Step::Becomes(other) => weather = other,
                Step::Settle(which, ended) if !out.is_empty() => {
                    let ended = weather.make(ended);
                    let (permit, of) = out.swap_remove(which % out.len());
                    let change = breaker.settle(&settings, permit, now, ended, &dice);
                    let expected = model.settle(of, ended, change.map(|change| change.open_for));
                    let told = change.map(|change| (change.to, change.because));
                    prop_assert_eq!(told, expected, "after {:?} at {}", ended, model.now);
                }
                Step::Settle(..) => {}
            }
            let now = start + Duration::from_millis(model.now);
            let snapshot = breaker.snapshot(&settings, now);
            prop_assert_eq!(snapshot.state, model.state());
            prop_assert_eq!(snapshot.level, model.level);
            if let Phase::Closed { .. } = model.phase {
                prop_assert_eq!((snapshot.calls, snapshot.failed), model.counts());
                prop_assert_eq!(snapshot.failed_in_a_row, model.run);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u64),
    Becomes(Weather),
    Admit,
    Settle(usize, Ended),
}

fn step() -> impl Strategy<Value = Step> {
    let ended = prop_oneof![
        8 => Just(Ended::With(Outcome::Success)),
        1 => Just(Ended::With(Outcome::Neutral)),
        8 => failure().prop_map(|failure| Ended::With(Outcome::Failure(failure))),
        2 => Just(Ended::Dropped),
        1 => Just(Ended::Panicked),
    ];
    prop_oneof![
        1 => weather().prop_map(Step::Becomes),
        1 => (0_u64..4_000).prop_map(Step::Pass),
        1 => (0_u64..90_000).prop_map(Step::Pass),
        8 => (0_u64..60).prop_map(Step::Pass),
        16 => Just(Step::Admit),
        14 => (any::<usize>(), ended).prop_map(|(which, ended)| Step::Settle(which, ended)),
    ]
}

/// Outages and recoveries take many calls that end alike.
#[derive(Clone, Copy, Debug)]
enum Weather {
    Mixed,
    Well,
    Ill(FailureKind),
}

impl Weather {
    fn make(self, ended: Ended) -> Ended {
        match (self, ended) {
            (Self::Well, Ended::With(Outcome::Failure(_))) => Ended::With(Outcome::Success),
            (Self::Ill(kind), Ended::With(Outcome::Success)) => {
                Ended::With(Outcome::Failure(Failure::new(kind)))
            }
            (_, ended) => ended,
        }
    }
}

fn weather() -> impl Strategy<Value = Weather> {
    prop_oneof![
        1 => Just(Weather::Mixed),
        2 => Just(Weather::Well),
        1 => Just(Weather::Ill(FailureKind::Unsent)),
        1 => Just(Weather::Ill(FailureKind::Transient)),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    let kinds = [
        FailureKind::Unsent,
        FailureKind::Timeout,
        FailureKind::Transient,
        FailureKind::Throttled,
        FailureKind::Pending,
        FailureKind::Permanent,
    ];
    let pushback = prop_oneof![
        6 => Just(Pushback::None),
        1 => (0_u64..100).prop_map(|seconds| Pushback::After(Duration::from_secs(seconds))),
        1 => Just(Pushback::Stop),
    ];
    let plain = (prop::sample::select(kinds.to_vec()), pushback)
        .prop_map(|(kind, pushback)| Failure::new(kind).pushback(pushback));
    prop_oneof![8 => plain, 1 => Just(Failure::held_back())]
}

/// The rules, as one would tell them.
struct Model {
    now: u64,
    generation: u32,
    level: u32,
    with_slow_ratio: bool,
    at_least: usize,
    phase: Phase,
    run: u32,
    unsent: u32,
}

enum Phase {
    Closed { since: u64, ended: Vec<(u64, Kind)> },
    Open { until: u64 },
    HalfOpen { free: u32, succeeded: u32, failed: u32, lease: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Out {
    generation: u32,
    begun: u64,
}

#[derive(Clone, Copy)]
struct Kind {
    failed: bool,
    slow: bool,
}

impl Model {
    fn new(with_slow_ratio: bool, at_least: usize) -> Self {
        let phase = Phase::Closed { since: 0, ended: Vec::new() };
        Self {
            now: 0,
            generation: 0,
            level: 0,
            with_slow_ratio,
            at_least,
            phase,
            run: 0,
            unsent: 0,
        }
    }

    fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    fn admit(&mut self) -> Result<(Out, Option<State>), ()> {
        let mut to = None;
        match &mut self.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until } if self.now < *until => return Err(()),
            Phase::Open { .. } => {
                let lease = self.now + LEASE;
                self.become_another(Phase::HalfOpen { free: 0, succeeded: 0, failed: 0, lease });
                to = Some(State::HalfOpen);
            }
            Phase::HalfOpen { free, lease, .. } => {
                if *free > 0 {
                    *free -= 1;
                } else if self.now < *lease {
                    return Err(());
                }
                *lease = self.now + LEASE;
            }
        }
        Ok((Out { generation: self.generation, begun: self.now }, to))
    }

    fn settle(
        &mut self,
        of: Out,
        ended: Ended,
        open_for: Option<Duration>,
    ) -> Option<(State, Because)> {
        if of.generation != self.generation {
            return None;
        }
        let was_slow = self.now - of.begun >= SLOW;
        let failure = match ended {
            Ended::With(Outcome::Success) => None,
            Ended::With(Outcome::Failure(failure)) if failure.held_back => return self.no_vote(),
            Ended::With(Outcome::Failure(failure)) if failure.kind == FailureKind::Pending => {
                return self.no_vote();
            }
            Ended::With(Outcome::Failure(failure)) => Some(failure),
            Ended::Dropped if was_slow => Some(Failure::new(FailureKind::Timeout)),
            Ended::With(Outcome::Neutral) | Ended::Dropped => return self.no_vote(),
            Ended::Panicked => Some(Failure::new(FailureKind::Transient)),
        };
        let slow = self.with_slow_ratio && was_slow;
        match failure {
            None => (self.run, self.unsent) = (0, 0),
            Some(failure) => {
                self.run += 1;
                self.unsent = if failure.kind == FailureKind::Unsent { self.unsent + 1 } else { 0 };
            }
        }
        let because = self.vote(Kind { failed: failure.is_some(), slow });
        let because = because?;
        let to = match because {
            Because::Recovered => {
                self.become_another(Phase::Closed { since: self.now, ended: Vec::new() });
                State::Closed
            }
            because => {
                self.open(because, failure, open_for.unwrap());
                State::Open
            }
        };
        Some((to, because))
    }

    fn vote(&mut self, kind: Kind) -> Option<Because> {
        let too_many_in_a_row = if self.unsent >= 5 {
            Some(Because::UnsentInARow)
        } else {
            (self.run >= 10).then_some(Because::FailuresInARow)
        };
        let (now, at_least) = (self.now, self.at_least);
        match &mut self.phase {
            Phase::Closed { ended, .. } => {
                ended.push((now, kind));
                if !kind.failed && !kind.slow {
                    return None;
                }
                let in_window = || ended.iter().filter(|(at, _)| now / 1_000 - at / 1_000 < 10);
                let calls = in_window().count();
                let failed = in_window().filter(|(_, kind)| kind.failed).count();
                let slow = in_window().filter(|(_, kind)| kind.slow).count();
                let by_ratio = calls >= at_least && failed > 0 && failed * 2 >= calls;
                let by_slow = calls >= at_least && slow > 0 && slow * 10 >= calls * 6;
                let in_a_row = too_many_in_a_row.filter(|_| kind.failed);
                in_a_row
                    .or(by_ratio.then_some(Because::FailureRatio))
                    .or((self.with_slow_ratio && by_slow).then_some(Because::SlowRatio))
            }
            Phase::HalfOpen { free, succeeded, failed, .. } if kind.failed || kind.slow => {
                (*free, *failed) = (*free + 1, *failed + 1);
                let too_many = *succeeded == 0 || *failed >= *succeeded;
                (too_many || kind.failed && too_many_in_a_row.is_some())
                    .then_some(Because::ProbeFailed)
            }
            Phase::HalfOpen { free, succeeded, .. } => {
                (*free, *succeeded) = (*free + 2, *succeeded + 1);
                (*succeeded == 31).then_some(Because::Recovered)
            }
            Phase::Open { .. } => unreachable!("what was let through before it opened is late"),
        }
    }

    fn no_vote(&mut self) -> Option<(State, Because)> {
        if let Phase::HalfOpen { free, .. } = &mut self.phase {
            *free += 1;
        }
        None
    }

    fn open(&mut self, because: Because, failure: Option<Failure>, open_for: Duration) {
        self.level = match self.phase {
            Phase::Closed { since, .. } => {
                let windows = u32::try_from((self.now - since) / 10_000).unwrap();
                self.level.saturating_sub(windows)
            }
            // From then on it is ten seconds.
            _ => (self.level + 1).min(4),
        };
        let ceiling =
            Backoff::equal(Duration::from_secs(1), Duration::from_secs(10)).ceiling(self.level + 1);
        let asked = match failure.map(|failure| failure.pushback) {
            Some(Pushback::After(asked)) => asked.min(Duration::from_secs(60)),
            _ => Duration::ZERO,
        };
        assert!(open_for >= (ceiling / 2).max(asked), "{open_for:?} after {because:?}");
        assert!(open_for <= ceiling.max(asked + asked / 4), "{open_for:?} after {because:?}");
        let until = u64::try_from(open_for.as_nanos().div_ceil(1_000_000)).unwrap();
        self.become_another(Phase::Open { until: self.now + until });
    }

    fn become_another(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
        (self.run, self.unsent) = (0, 0);
    }

    fn counts(&self) -> (u64, u64) {
        let Phase::Closed { ended, .. } = &self.phase else { unreachable!() };
        let in_window = || ended.iter().filter(|(at, _)| self.now / 1_000 - at / 1_000 < 10);
        let failed = in_window().filter(|(_, kind)| kind.failed);
        (in_window().count() as u64, failed.count() as u64)
    }
}

/// So that the types above are used for what they are.
#[test]
fn the_model_starts_as_the_machine_does() {
    let start: Instant = time::now();
    let snapshot = Breaker::new(start).snapshot(&Settings::default(), start);
    assert_eq!(snapshot.state, Model::new(false, 20).state());
}

const SLOW: u64 = 1_000;
const LEASE: u64 = 10_000;
