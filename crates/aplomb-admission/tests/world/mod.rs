//! Clients and a server under virtual time, with the gate that ships and the clients' own rules.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use aplomb_admission::{Arrival, Gate, Job, Limit, Rejection, Terms, Ticket, problems};
use aplomb_core::time::{self, Instant};
use aplomb_core::{
    Call, Classify, Deadline, Failure, FailureKind, HttpClassifier, OperationClass, Rng,
};
use aplomb_retry::{Again, BodyIs, Budget, Progress, Rules, Sent};
use bytes::Bytes;
use http::{HeaderMap, Method, Response};

/// What is simulated.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) clients: usize,
    pub(crate) calls_per_second: f64,
    /// Of a server with so many workers, each of which takes so long on average.
    pub(crate) workers: u32,
    pub(crate) service: Duration,
    /// Without it the server queues without bound.
    pub(crate) admission: Option<Terms>,
    pub(crate) rules: Rules,
    /// Whether each client has a retry budget of its own, full at the start.
    pub(crate) budgets: bool,
    pub(crate) attempt_timeout: Duration,
    /// Of a hundred calls so many are reservations; the others are `rest`.
    pub(crate) reservations: u64,
    pub(crate) rest: OperationClass,
    pub(crate) seconds: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) calls: u64,
    pub(crate) sends: u64,
    /// Answers in time, after the first [`WARM_UP`] of the run, in parts of the capacity.
    pub(crate) goodput: f64,
    /// The same of reservations alone, in parts of their calls.
    pub(crate) reservations: f64,
    pub(crate) most_waiting: usize,
}

impl Report {
    #[expect(clippy::cast_precision_loss, reason = "a few million at most")]
    pub(crate) fn sends_per_call(&self) -> f64 {
        self.sends as f64 / self.calls as f64
    }
}

/// Until the run is as it will be.
pub(crate) const WARM_UP: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Call,
    Send { call: usize },
    Finish { send: usize },
    GiveUp { send: usize },
    TimeOut { send: usize },
}

struct CallState {
    client: usize,
    class: OperationClass,
    reserves: bool,
    progress: Progress,
    sent: Option<Sent>,
    begun: Duration,
}

struct SendState {
    call: usize,
    ticket: Option<Ticket>,
    open: bool,
}

struct World {
    setup: Setup,
    rng: Rng,
    start: Instant,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    scheduled: u64,
    budgets: Vec<Budget>,
    calls: Vec<CallState>,
    sends: Vec<SendState>,
    gate: Gate<usize>,
    unbounded: VecDeque<usize>,
    busy: u32,
    report: Report,
    in_time: u64,
    reservations: (u64, u64),
}

pub(crate) fn run(setup: Setup, seed: u64) -> Report {
    let budgets = if setup.budgets { setup.clients } else { 0 };
    let mut world = World {
        setup,
        rng: Rng::seeded(seed),
        start: time::now(),
        now: Duration::ZERO,
        events: BinaryHeap::new(),
        scheduled: 0,
        budgets: (0..budgets).map(|_| Budget::percent(20)).collect(),
        calls: Vec::new(),
        sends: Vec::new(),
        gate: Gate::new(Limit::new(setup.workers)),
        unbounded: VecDeque::new(),
        busy: 0,
        report: Report::default(),
        in_time: 0,
        reservations: (0, 0),
    };
    world.schedule(Duration::ZERO, Event::Call);
    while let Some(Reverse((at, _, event))) = world.events.pop() {
        if at >= Duration::from_secs(setup.seconds) {
            break;
        }
        world.now = at;
        world.happen(event);
    }
    world.sum_up()
}

impl World {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Call => self.begin_call(),
            Event::Send { call } => self.send(call),
            Event::Finish { send } => self.finish(send),
            Event::GiveUp { send } => self.give_up(send),
            Event::TimeOut { send } => self.time_out(send),
        }
    }

    fn begin_call(&mut self) {
        let gap = self.exponential(Duration::from_secs_f64(1.0 / self.setup.calls_per_second));
        self.schedule(gap, Event::Call);
        let client = usize::try_from(self.rng.below(self.setup.clients as u64)).unwrap();
        let reserves = self.rng.below(100) < self.setup.reservations;
        let class = if reserves { OperationClass::KeyedWrite } else { self.setup.rest };
        let call = Call::of(&Method::GET, &HeaderMap::new());
        let progress = self.setup.rules.begin(call, None, self.instant());
        self.report.calls += 1;
        self.reservations.0 += u64::from(reserves && self.now >= WARM_UP);
        let begun = self.now;
        self.calls.push(CallState { client, class, reserves, progress, sent: None, begun });
        self.send(self.calls.len() - 1);
    }

    fn send(&mut self, call: usize) {
        self.report.sends += 1;
        let send = self.sends.len();
        self.sends.push(SendState { call, ticket: None, open: true });
        self.schedule(self.setup.attempt_timeout, Event::TimeOut { send });
        match self.setup.admission {
            None if self.busy < self.setup.workers => self.work(send),
            None => self.unbounded.push_back(send),
            Some(terms) => self.admit(send, &terms),
        }
    }

    fn admit(&mut self, send: usize, terms: &Terms) {
        if self.gate.enter() {
            return self.work(send);
        }
        let CallState { class, progress, .. } = &self.calls[self.sends[send].call];
        let deadline = Deadline::after(self.instant(), self.setup.attempt_timeout);
        let mut job = Job::new(*class).deadline(deadline);
        job.is_reattempt = !progress.attempt().is_first();
        match self.gate.arrive(job, terms, self.instant(), send) {
            Arrival::Admitted => self.work(send),
            Arrival::Rejected(rejection) => self.reject(send, &rejection),
            Arrival::Waits { ticket, displaced } => {
                self.sends[send].ticket = Some(ticket);
                let until = ticket.until() - self.instant();
                self.schedule(until, Event::GiveUp { send });
                if let Some((other, rejection)) = displaced {
                    self.reject(other, &rejection);
                }
            }
        }
    }

    fn work(&mut self, send: usize) {
        self.busy += 1;
        assert!(self.busy <= self.setup.workers, "more run than may");
        let service = self.exponential(self.setup.service);
        self.schedule(service, Event::Finish { send });
    }

    fn finish(&mut self, send: usize) {
        self.busy -= 1;
        match self.setup.admission {
            None => {
                let waiting = self.unbounded.len();
                self.report.most_waiting = self.report.most_waiting.max(waiting);
                if let Some(next) = self.unbounded.pop_front() {
                    self.work(next);
                }
            }
            Some(terms) => self.call_next(&terms),
        }
        // An answer that nobody waits for any more is no answer.
        if !std::mem::take(&mut self.sends[send].open) {
            return;
        }
        let call = &mut self.calls[self.sends[send].call];
        self.in_time += u64::from(self.now >= WARM_UP);
        self.reservations.1 += u64::from(call.reserves && call.begun >= WARM_UP);
        match (call.sent.take(), self.budgets.get(call.client)) {
            (Some(sent), _) => sent.succeeded(),
            (None, Some(budget)) => budget.deposit(),
            (None, None) => {}
        }
    }

    fn call_next(&mut self, terms: &Terms) {
        if !self.gate.finish() {
            return;
        }
        let waiting = self.gate.snapshot(terms, self.instant()).waiting;
        self.report.most_waiting = self.report.most_waiting.max(waiting);
        while let Some((next, verdict)) = self.gate.next(terms, self.instant()) {
            self.sends[next].ticket = None;
            match verdict {
                Ok(_) => self.work(next),
                Err(rejection) => self.reject(next, &rejection),
            }
        }
    }

    fn give_up(&mut self, send: usize) {
        let (Some(terms), Some(ticket)) = (self.setup.admission, self.sends[send].ticket.take())
        else {
            return;
        };
        if let Some((send, rejection)) = self.gate.give_up(ticket, &terms, self.instant()) {
            self.reject(send, &rejection);
        }
    }

    /// The server's answer to a call that it did not take on reaches its caller.
    fn reject(&mut self, send: usize, rejection: &Rejection) {
        self.sends[send].ticket = None;
        if !std::mem::take(&mut self.sends[send].open) {
            return;
        }
        let wait = Duration::from_secs(1);
        let answer: Response<Bytes> = problems::response(rejection, wait, &mut self.rng);
        let call = Call::of(&Method::GET, &HeaderMap::new());
        let outcome = HttpClassifier.classify(call, Ok(&answer));
        self.fail(send, outcome.failure().expect("a rejection is a failure"));
    }

    /// The caller's patience with one attempt ends. The server is not told.
    fn time_out(&mut self, send: usize) {
        if std::mem::take(&mut self.sends[send].open) {
            self.fail(send, Failure::new(FailureKind::Timeout));
        }
    }

    fn fail(&mut self, send: usize, failure: Failure) {
        let now = self.instant();
        let call = self.sends[send].call;
        let CallState { client, progress, sent, .. } = &mut self.calls[call];
        if let Some(sent) = sent.take() {
            sent.failed();
        }
        let (rules, rng) = (&self.setup.rules, &mut self.rng);
        let wait = match self.budgets.get(*client) {
            None => rules.allow(progress, failure, BodyIs::Kept, now, rng).ok(),
            Some(budget) => {
                let again = rules.judge(progress, failure, BodyIs::Kept, now, rng, budget);
                again.ok().map(|Again { wait, withdrawal }| {
                    *sent = Some(withdrawal.sent());
                    wait
                })
            }
        };
        if let Some(wait) = wait {
            progress.resent();
            self.schedule(wait, Event::Send { call });
        }
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((self.now + after, self.scheduled, event)));
    }

    fn exponential(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.rng.fraction()).ln())
    }

    fn instant(&self) -> Instant {
        self.start + self.now
    }

    #[expect(clippy::cast_precision_loss, reason = "a few million at most")]
    fn sum_up(mut self) -> Report {
        let Setup { workers, service, seconds, .. } = self.setup;
        let capacity = f64::from(workers) / service.as_secs_f64();
        let measured = Duration::from_secs(seconds).saturating_sub(WARM_UP).as_secs_f64();
        self.report.goodput = self.in_time as f64 / measured / capacity;
        self.report.reservations = self.reservations.1 as f64 / self.reservations.0 as f64;
        self.report
    }
}
