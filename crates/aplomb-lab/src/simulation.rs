//! The loop: takes the next event, lets the caller or the server act on it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aplomb_core::time::{self, Instant};
use aplomb_retry::Rules;

use crate::budget::{Buckets, Budgets};
use crate::call::Calls;
use crate::chance::exponential;
use crate::circuits::Circuits;
use crate::client::Clients;
use crate::door::Door;
use crate::measure::Measures;
use crate::model::{Model, nanos};
use crate::queue::{Event, Kind, Queue};
use crate::server::Server;
use crate::units::{SECOND, float, index, whole};
use crate::watch::Watch;
use crate::words::{Fault, Start};

/// Lets somebody outside follow a run, and end it.
#[derive(Debug, Default)]
pub struct Control {
    stop: AtomicBool,
    reached: AtomicU64,
}

impl Control {
    /// Ends the run at its next look, after at most 65,536 events.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// How much virtual time has passed in all runs, in nanoseconds.
    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::Relaxed)
    }

    fn passed(&self, time: u64) {
        self.reached.fetch_add(time, Ordering::Relaxed);
    }
}

/// Runs a model once.
///
/// The same model and seed give the same measures, on any machine. Call [`Model::check`] first:
/// of settings that contradict each other the outcome means nothing.
///
/// ```
/// use aplomb_lab::{Control, Histogram, Measures, Scenario, Second, Step, Watch, What, simulate};
///
/// #[derive(Default)]
/// struct Retries(u64);
/// impl Watch for Retries {
///     fn step(&mut self, step: Step) {
///         self.0 += u64::from(matches!(step.what, What::Retry(_)));
///     }
/// }
///
/// let mut one = Scenario::named("fleet-size")?;
/// one.keep(&["aplomb"])?;
/// one.set("clients", "10")?;
/// let model = one.cases()?.remove(0).model;
/// let mut retries = Retries::default();
/// let measures: Measures = simulate(&model, 7, &mut retries, &Control::default());
/// let latency: &Histogram = &measures.latency;
/// let first: &Second = &measures.seconds[0];
/// println!("{} calls in the first second, {:?} ns at p99", first.calls, latency.quantile(0.99));
/// assert!(retries.0 > 0);
/// # Ok::<(), aplomb_lab::BadScenario>(())
/// ```
pub fn simulate(model: &Model, seed: u64, watch: &mut impl Watch, control: &Control) -> Measures {
    let mut simulation = Simulation::new(model, seed, watch);
    simulation.schedule_first();
    simulation.run(control);
    simulation.conclude()
}

/// A run under way. What callers do stands in `caller.rs`, what servers do in `serving.rs` and
/// `door.rs`, what goes wrong in `faults.rs`.
pub(crate) struct Simulation<'a, W> {
    pub(crate) model: &'a Model,
    pub(crate) now: u64,
    pub(crate) queue: Queue,
    pub(crate) clients: Clients,
    pub(crate) calls: Calls,
    pub(crate) budgets: Budgets,
    pub(crate) hedges: Buckets,
    pub(crate) circuits: Circuits,
    pub(crate) rules: Rules,
    pub(crate) servers: Vec<Server>,
    pub(crate) door: Door,
    /// Work that was scheduled before this event is lost.
    pub(crate) lost_before: u64,
    /// The row's version, one more for every write.
    pub(crate) version: u32,
    pub(crate) measures: Measures,
    pub(crate) watch: &'a mut W,
    pub(crate) mean_gap: u64,
    pub(crate) get: aplomb_core::Call,
    origin: Instant,
    next_sample: u64,
}

impl<'a, W: Watch> Simulation<'a, W> {
    fn new(model: &'a Model, seed: u64, watch: &'a mut W) -> Self {
        let rate = match model.start {
            Start::Open => whole(model.arrivals_per_second),
            Start::Together => model.clients.into(),
        };
        let owners = u64::from(model.clients) + u64::from(model.layers) - 1;
        let gap = f64::from(model.clients) / model.arrivals_per_second * float(SECOND);
        // Machines are told instants, which cannot be made from nothing; which one is the origin
        // changes nothing.
        let origin = time::now();
        let peak = match model.fault {
            Fault::Surge => whole(float(rate) * model.fault_factor),
            _ => rate,
        };
        Self {
            model,
            now: 0,
            queue: Queue::new(
                peak.max(1).saturating_mul(EVENTS_PER_CALL),
                rate + u64::from(model.clients),
                model.horizon,
            ),
            clients: Clients::new(model, seed),
            calls: Calls::default(),
            budgets: Budgets::new(model, owners),
            hedges: Buckets::of_hedges(model),
            circuits: Circuits::new(model, seed, origin),
            rules: model.rules(),
            servers: (0..model.shards).map(|_| Server::new(model)).collect(),
            door: Door::new(model),
            lost_before: 0,
            version: 0,
            measures: Measures::new(model.horizon),
            watch,
            mean_gap: whole(gap.round()),
            get: aplomb_core::Call::of(&http::Method::GET, &http::HeaderMap::new()),
            origin,
            next_sample: SECOND,
        }
    }

    fn schedule_first(&mut self) {
        self.schedule_fault();
        for client in 0..self.model.clients {
            match self.model.start {
                Start::Together => self.queue.push(0, Kind::Arrive, client, 0),
                Start::Open => self.schedule_arrival(client),
            }
        }
    }

    pub(crate) fn schedule_arrival(&mut self, client: u32) {
        let gap = exponential(&mut self.clients.of(client).arrivals, self.mean_gap);
        let at = self.ticked(self.model.after_gap(self.now, gap));
        if at < self.model.arrivals_end() {
            self.queue.push(at, Kind::Arrive, client, 0);
        }
    }

    fn run(&mut self, control: &Control) {
        let mut told = 0;
        while let Some(event) = self.queue.pop() {
            debug_assert!(self.now <= event.at, "time runs forward");
            if event.at >= self.next_sample {
                self.sample(event.at);
            }
            self.now = event.at;
            self.measures.events += 1;
            self.handle(event);
            if self.measures.events % LOOK_EVERY == 0 {
                control.passed(self.now - told);
                told = self.now;
                if control.is_stopped() {
                    self.measures.reached = self.now;
                    return;
                }
            }
        }
        self.sample(self.model.horizon);
        control.passed(self.model.horizon - told);
        self.measures.reached = self.model.horizon;
    }

    fn handle(&mut self, event: Event) {
        let Event { of, generation, .. } = event;
        match event.kind() {
            Kind::Arrive => self.arrive(of),
            Kind::Reach => self.reach(of, generation),
            Kind::Finish => self.finish(&event),
            Kind::Answer => self.answer(of, generation),
            kind @ (Kind::Refuse | Kind::Stop | Kind::Later | Kind::Busy | Kind::Unreached) => {
                self.refused(of, generation, kind);
            }
            Kind::Timeout => self.time_out(of, generation),
            Kind::Wake => self.wake(of),
            Kind::Turn => self.turn(of),
            Kind::Write => self.write(of, generation),
            Kind::Hedge => self.hedge(of, generation),
            Kind::GiveUp => self.give_up(of, generation),
        }
    }

    /// Asks some clients how much they hold, and how their circuits are, for every second that ends
    /// before `at`.
    fn sample(&mut self, at: u64) {
        let step = self.model.clients.div_ceil(SAMPLES);
        let (mut held, mut open) = (0.0, 0);
        for client in (0..self.model.clients).step_by(index(step.into())) {
            held += self.budgets.balance(client);
            open += u64::from(!self.circuits.are_none() && self.circuits.is_any_open(client));
        }
        let asked = float(self.model.clients.div_ceil(step).into());
        while self.next_sample <= at {
            let row = self.measures.at(self.next_sample - 1);
            (row.held, row.open) = (held / asked, float(open) / asked);
            self.next_sample += SECOND;
        }
    }

    fn conclude(mut self) -> Measures {
        self.measures.unfinished = self
            .measures
            .seconds
            .iter()
            .map(|row| row.calls - row.calls_succeeded - row.calls_failed)
            .sum();
        self.measures
    }

    /// Now, as the machines know it.
    pub(crate) fn instant(&self) -> Instant {
        self.origin + nanos(self.now)
    }

    /// When a caller's timer set to `at` fires.
    pub(crate) fn ticked(&self, at: u64) -> u64 {
        match self.model.timer_tick {
            0 => at,
            tick => at.checked_next_multiple_of(tick).unwrap_or(u64::MAX),
        }
    }
}

/// An arrival, a request, a completion, an answer, a timeout; and one for retries.
pub(crate) const EVENTS_PER_CALL: u64 = 6;
const LOOK_EVERY: u64 = 1 << 16;
/// So many clients speak for all.
const SAMPLES: u32 = 256;
