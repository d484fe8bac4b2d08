//! The gate beside a model that is too simple to be wrong.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use aplomb_admission::{Arrival, Gate, Job, Limit, RejectReason, Terms, Ticket};
use aplomb_core::time::{self, Instant};
use aplomb_core::{Deadline, OperationClass};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// So many milliseconds pass.
    Pass(u64),
    /// A call arrives: class, whether it is a re-attempt, how many milliseconds its caller waits.
    Arrive(usize, bool, Option<u64>),
    /// The call that began first is over.
    Finish,
    /// Somebody who waits hangs up.
    HangUp(usize),
    /// The limit is changed.
    Limit(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let patience = prop_oneof![3 => Just(None), 1 => (0_u64..60).prop_map(Some)];
    let arrive = (0..OperationClass::ALL.len(), any::<bool>(), patience);
    let step = prop_oneof![
        4 => (1_u64..12).prop_map(Step::Pass),
        10 => arrive.prop_map(|(class, again, patience)| Step::Arrive(class, again, patience)),
        5 => Just(Step::Finish),
        1 => any::<usize>().prop_map(Step::HangUp),
        1 => (1_u32..5).prop_map(Step::Limit),
    ];
    proptest::collection::vec(step, 1..300)
}

/// What became of a call, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Runs,
    Rejected(RejectReason),
}

/// One who waits, as the model knows it.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    number: usize,
    /// Class and re-attempt, the most important first.
    rank: (usize, bool),
    until: u64,
    ends_as: RejectReason,
}

/// A list and two numbers.
struct Model {
    terms: Terms,
    limit: usize,
    running: usize,
    waiting: Vec<Waiting>,
    stands_since: Option<u64>,
    now: u64,
    fates: Vec<(usize, Fate)>,
}

impl Model {
    fn overloaded(&self) -> bool {
        self.stands_since.is_some_and(|since| self.now - since >= self.longest_wait())
    }

    fn longest_wait(&self) -> u64 {
        u64::try_from(self.terms.longest_wait.as_millis()).unwrap()
    }

    fn arrive(&mut self, number: usize, rank: (usize, bool), patience: Option<u64>) {
        if patience.is_some_and(|left| left < 1) {
            return self.reject(number, RejectReason::Expired);
        }
        if self.waiting.is_empty() && self.running < self.limit {
            self.running += 1;
            return self.fates.push((number, Fate::Runs));
        }
        let best = self.waiting.iter().map(|waiting| waiting.rank).min();
        if self.overloaded() && best < Some(rank) {
            return self.reject(number, sheds(rank, best.unwrap()));
        }
        // The last millisecond of its deadline is for the work.
        let last = patience.map_or(u64::MAX, |left| left - 1);
        let (wait, ends_as) = match last {
            last if last < self.longest_wait() => (last, RejectReason::Expired),
            _ => (self.longest_wait(), RejectReason::WaitedTooLong),
        };
        if wait == 0 {
            return self.reject(number, RejectReason::Expired);
        }
        if self.waiting.len() == self.terms.waiters_max {
            let worst = self.waiting.iter().map(|waiting| waiting.rank).max().unwrap();
            if worst < rank || worst == rank && !self.overloaded() {
                return self.reject(number, RejectReason::QueueFull);
            }
            let oldest = self.waiting.iter().position(|waiting| waiting.rank == worst).unwrap();
            let oldest = self.waiting.remove(oldest);
            let equal = worst == rank;
            let reason = if equal { RejectReason::QueueFull } else { sheds(worst, rank) };
            self.reject(oldest.number, reason);
        }
        self.waiting.push(Waiting { number, rank, until: self.now + wait, ends_as });
        self.settle();
    }

    fn fill(&mut self) {
        while self.running < self.limit && !self.waiting.is_empty() {
            let next = if self.overloaded() {
                let best = self.waiting.iter().map(|waiting| waiting.rank).min().unwrap();
                self.waiting.iter().rposition(|waiting| waiting.rank == best).unwrap()
            } else {
                0
            };
            let next = self.waiting.remove(next);
            if next.until <= self.now {
                self.reject(next.number, next.ends_as);
            } else {
                self.running += 1;
                self.fates.push((next.number, Fate::Runs));
            }
            self.settle();
        }
    }

    fn expire(&mut self) {
        let now = self.now;
        let (over, left): (Vec<_>, _) = self.waiting.iter().partition(|one| one.until <= now);
        self.waiting = left;
        for waiting in over {
            self.reject(waiting.number, waiting.ends_as);
        }
        self.settle();
    }

    fn settle(&mut self) {
        let now = self.now;
        let stands = (!self.waiting.is_empty()).then(|| self.stands_since.unwrap_or(now));
        self.stands_since = stands;
    }

    fn reject(&mut self, number: usize, reason: RejectReason) {
        self.fates.push((number, Fate::Rejected(reason)));
    }
}

fn sheds(rank: (usize, bool), better: (usize, bool)) -> RejectReason {
    if rank.0 == better.0 { RejectReason::Reattempt } else { RejectReason::Class }
}

/// The order in which classes are served under overload.
const ORDER: [OperationClass; 5] = [
    OperationClass::KeyedWrite,
    OperationClass::Confirm,
    OperationClass::Read,
    OperationClass::Deferred,
    OperationClass::BestEffort,
];

/// The real gate, driven as a shell drives it.
struct Real {
    gate: Gate<usize>,
    terms: Terms,
    tickets: Vec<(usize, Ticket)>,
    arrived: Vec<u64>,
    fates: Vec<(usize, Fate)>,
}

impl Real {
    fn arrive(&mut self, number: usize, job: Job, now: Instant) {
        let late = job.deadline.is_some_and(|deadline| self.terms.is_hopeless(deadline, now));
        let fate = if late {
            Some(Fate::Rejected(RejectReason::Expired))
        } else if self.gate.enter() {
            Some(Fate::Runs)
        } else {
            match self.gate.arrive(job, &self.terms, now, number) {
                Arrival::Admitted => Some(Fate::Runs),
                Arrival::Rejected(rejection) => Some(Fate::Rejected(rejection.reason)),
                Arrival::Waits { ticket, displaced } => {
                    if let Some((other, rejection)) = displaced {
                        self.tell(other, Fate::Rejected(rejection.reason));
                    }
                    self.tickets.push((number, ticket));
                    None
                }
            }
        };
        self.fates.extend(fate.map(|fate| (number, fate)));
    }

    fn call_next(&mut self, now: Instant) {
        while let Some((number, verdict)) = self.gate.next(&self.terms, now) {
            if let Ok(wait) = verdict {
                assert!(wait < self.terms.longest_wait, "it waited {wait:?} and runs");
            }
            let rejected =
                |rejection: aplomb_admission::Rejection| Fate::Rejected(rejection.reason);
            self.tell(number, verdict.map_or_else(rejected, |_| Fate::Runs));
        }
    }

    fn expire(&mut self, now: Instant) {
        for (number, ticket) in self.tickets.clone() {
            if ticket.until() > now {
                continue;
            }
            let (told, rejection) = self.gate.give_up(ticket, &self.terms, now).unwrap();
            assert_eq!(told, number);
            assert!(rejection.wait <= self.terms.longest_wait);
            self.tell(number, Fate::Rejected(rejection.reason));
        }
    }

    fn tell(&mut self, number: usize, fate: Fate) {
        let waited = self.tickets.iter().position(|(waiting, _)| *waiting == number);
        self.tickets.remove(waited.expect("only those who wait are told, and once"));
        self.fates.push((number, fate));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn the_gate_does_what_the_model_does(
        limit in 1_u32..4,
        longest_wait in 1_u64..40,
        waiters_max in 1_usize..12,
        steps in steps(),
    ) {
        let start = time::now();
        let mut terms = Terms::DEFAULT;
        terms.longest_wait = Duration::from_millis(longest_wait);
        terms.waiters_max = waiters_max;
        let mut model = Model {
            terms, limit: limit as usize, running: 0, waiting: Vec::new(), stands_since: None, now: 0,
            fates: Vec::new(),
        };
        let mut real = Real {
            gate: Gate::new(Limit::new(limit)), terms, tickets: Vec::new(), arrived: Vec::new(),
            fates: Vec::new(),
        };
        let mut hung_up = 0;
        for step in steps {
            let ran = model.running;
            match step {
                Step::Pass(millis) => for _ in 0..millis {
                    model.now += 1;
                    let now = start + Duration::from_millis(model.now);
                    model.expire();
                    real.expire(now);
                },
                Step::Arrive(class, again, patience) => {
                    let now = start + Duration::from_millis(model.now);
                    let number = real.arrived.len();
                    real.arrived.push(model.now);
                    let mut job = Job::new(ORDER[class]);
                    if again {
                        job = job.reattempt();
                    }
                    if let Some(patience) = patience {
                        job = job.deadline(Deadline::after(now, Duration::from_millis(patience)));
                    }
                    model.arrive(number, (class, again), patience);
                    real.arrive(number, job, now);
                }
                Step::Finish if model.running > 0 => {
                    let now = start + Duration::from_millis(model.now);
                    model.running -= 1;
                    model.fill();
                    let somebody_waits = real.gate.finish();
                    prop_assert_eq!(somebody_waits, !real.tickets.is_empty());
                    if somebody_waits {
                        real.call_next(now);
                    }
                }
                Step::HangUp(which) if !model.waiting.is_empty() => {
                    let gone = model.waiting.remove(which % model.waiting.len());
                    model.settle();
                    let at = real.tickets.iter().position(|(number, _)| *number == gone.number);
                    let (_, ticket) = real.tickets.remove(at.unwrap());
                    prop_assert!(real.gate.leave(ticket));
                    prop_assert!(!real.gate.leave(ticket), "it leaves once");
                    hung_up += 1;
                }
                Step::Finish | Step::HangUp(_) => {}
                Step::Limit(limit) => {
                    let now = start + Duration::from_millis(model.now);
                    model.limit = limit as usize;
                    model.fill();
                    real.gate.set_limit(Limit::new(limit));
                    real.call_next(now);
                }
            }
            let now = start + Duration::from_millis(model.now);
            let snapshot = real.gate.snapshot(&terms, now);
            prop_assert_eq!(&real.fates, &model.fates);
            prop_assert_eq!(snapshot.running as usize, model.running);
            // Over a limit that was lowered nobody is let in.
            prop_assert!(snapshot.running <= snapshot.limit.get() || model.running <= ran);
            prop_assert_eq!(snapshot.waiting, model.waiting.len());
            prop_assert_eq!(snapshot.overloaded, model.overloaded());
            // Nothing is lost, and nothing is told twice.
            prop_assert_eq!(
                real.arrived.len(), real.fates.len() + snapshot.waiting + hung_up
            );
        }
    }
}

fn reads(gate: &Gate<u32>, terms: &Terms, now: Instant, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let arrival = gate.arrive(Job::new(OperationClass::Read), terms, now, number);
        assert!(matches!(arrival, Arrival::Waits { .. }));
    }
}

#[test]
fn who_came_first_is_served_first_while_it_is_calm() {
    let (gate, terms, now) = (Gate::new(Limit::new(1)), Terms::DEFAULT, time::now());
    assert!(gate.enter());
    reads(&gate, &terms, now, 1..4);
    let served: Vec<_> = (0..3)
        .map(|_| {
            assert!(gate.finish());
            let (number, verdict) = gate.next(&terms, now + Duration::from_millis(99)).unwrap();
            assert_eq!(verdict, Ok(Duration::from_millis(99)));
            number
        })
        .collect();
    assert_eq!(served, [1, 2, 3]);
}

#[test]
fn the_newest_is_served_first_under_overload_until_the_queue_is_empty() {
    let (gate, terms, start) = (Gate::new(Limit::new(1)), Terms::DEFAULT, time::now());
    let at = |millis| start + Duration::from_millis(millis);
    let next = |now| {
        assert!(gate.finish());
        gate.next(&terms, now).map(|(number, verdict)| (number, verdict.is_ok()))
    };
    assert!(gate.enter());
    reads(&gate, &terms, at(0), 1..2);
    reads(&gate, &terms, at(50), 2..5);
    assert!(gate.snapshot(&terms, at(100)).overloaded);
    assert_eq!(next(at(100)), Some((4, true)));
    assert_eq!(next(at(101)), Some((3, true)));
    assert_eq!(next(at(102)), Some((2, true)));
    // The oldest would have had the place now, and is late.
    assert!(gate.finish());
    let (number, verdict) = gate.next(&terms, at(103)).unwrap();
    assert_eq!((number, verdict.unwrap_err().reason), (1, RejectReason::WaitedTooLong));
    assert!(!gate.snapshot(&terms, at(103)).overloaded);
    assert!(gate.enter());
    reads(&gate, &terms, at(104), 5..7);
    assert_eq!(next(at(105)), Some((5, true)));
}

#[test]
fn a_reservation_displaces_analytics_from_a_full_queue() {
    let (gate, mut terms, now) = (Gate::new(Limit::new(1)), Terms::DEFAULT, time::now());
    terms.waiters_max = 2;
    assert!(gate.enter());
    for (number, class) in [(1, OperationClass::BestEffort), (2, OperationClass::Read)] {
        assert!(matches!(gate.arrive(Job::new(class), &terms, now, number), Arrival::Waits { .. }));
    }
    let reservation = Job::new(OperationClass::KeyedWrite);
    let Arrival::Waits { displaced, .. } = gate.arrive(reservation, &terms, now, 3) else {
        panic!()
    };
    let (number, rejection) = displaced.unwrap();
    assert_eq!((number, rejection.reason), (1, RejectReason::Class));

    let analytics = Job::new(OperationClass::BestEffort);
    let Arrival::Rejected(rejection) = gate.arrive(analytics, &terms, now, 4) else { panic!() };
    assert_eq!(rejection.reason, RejectReason::QueueFull);
}

#[test]
fn a_queue_whose_only_place_changes_hands_still_stands() {
    let (gate, mut terms, start) = (Gate::new(Limit::new(1)), Terms::DEFAULT, time::now());
    terms.waiters_max = 1;
    assert!(gate.enter());
    reads(&gate, &terms, start, 1..2);
    let (later, reservation) = (start + Duration::from_millis(50), OperationClass::KeyedWrite);
    let arrival = gate.arrive(Job::new(reservation), &terms, later, 2);
    assert!(matches!(arrival, Arrival::Waits { displaced: Some((1, _)), .. }));
    assert!(gate.snapshot(&terms, start + Duration::from_millis(100)).overloaded);
}

#[test]
fn a_reattempt_is_shed_before_first_attempts_under_overload() {
    let (gate, terms, start) = (Gate::new(Limit::new(1)), Terms::DEFAULT, time::now());
    let later = start + Duration::from_millis(100);
    assert!(gate.enter());
    reads(&gate, &terms, start, 1..3);
    let again = Job::new(OperationClass::Read).reattempt();
    let Arrival::Rejected(rejection) = gate.arrive(again, &terms, later, 3) else { panic!() };
    assert_eq!((rejection.reason, rejection.may_retry), (RejectReason::Reattempt, false));
    reads(&gate, &terms, later, 4..5);
    // While it is calm it waits like any other.
    let calm = gate.arrive(again, &terms, start, 5);
    assert!(matches!(calm, Arrival::Waits { .. }));
}

#[test]
fn where_nobody_may_wait_all_are_rejected_and_a_free_place_is_still_taken() {
    let (gate, mut terms, now) = (Gate::new(Limit::new(1)), Terms::DEFAULT, time::now());
    for (wait, waiters) in [(Duration::from_millis(100), 0), (Duration::ZERO, 10)] {
        (terms.longest_wait, terms.waiters_max) = (wait, waiters);
        assert!(gate.enter());
        let job = Job::new(OperationClass::KeyedWrite);
        let Arrival::Rejected(rejection) = gate.arrive(job, &terms, now, ()) else { panic!() };
        assert_eq!(rejection.reason, RejectReason::QueueFull);
        assert!(!gate.finish(), "nobody waits");
    }
}
