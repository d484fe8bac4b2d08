use aplomb_backoff::Backoff;
use aplomb_core::time::Duration;
use aplomb_core::{Attempts, Ratio};
use aplomb_retry::Rules;

use crate::error::Impossible;
use crate::units::SECOND;

/// Everything that a run depends on but its seed. Times are in nanoseconds.
///
/// Made by [`Model::default`] and changed by [`Model::set`], with the keys of the command line.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Model {
    pub(crate) clients: u32,
    pub(crate) arrivals_per_second: f64,
    pub(crate) start: Start,
    pub(crate) arrivals_end: Option<u64>,
    pub(crate) horizon: u64,

    pub(crate) attempts: Attempts,
    pub(crate) attempt_timeout: Option<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) backoff: Schedule,
    pub(crate) base: u64,
    pub(crate) cap: u64,
    pub(crate) budget: Funding,
    pub(crate) ratio: Ratio,
    pub(crate) budget_cap: u32,
    pub(crate) budget_initial: Option<u32>,
    pub(crate) budget_floor: u32,
    pub(crate) timer_tick: u64,

    pub(crate) service: Kind,
    pub(crate) layers: u8,
    pub(crate) servers: Option<u32>,
    pub(crate) service_time: u64,
    pub(crate) service_distribution: Distribution,
    pub(crate) network_delay: u64,
    pub(crate) network_deviation: u64,
    pub(crate) queue_limit: Option<u64>,
    pub(crate) queue_wait_limit: Option<u64>,
    pub(crate) discipline: Discipline,
    pub(crate) shed: Shed,
    pub(crate) ownership: Ownership,

    pub(crate) fault: Fault,
    pub(crate) fault_start: u64,
    pub(crate) fault_seconds: u64,
    pub(crate) fault_factor: f64,
    pub(crate) fault_ratio: Ratio,

    pub(crate) seeds: u32,
    pub(crate) seed: u64,
}

/// How calls begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Each client calls at random times, whatever became of its other calls.
    Open,
    /// Every client makes one call, all at time 0.
    Together,
}

/// How long a caller waits before it tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    None,
    Exponential,
    Full,
    Equal,
    Decorrelated,
}

/// What pays for retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Funding {
    /// Nothing needs to.
    None,
    /// A bucket that every call fills.
    PerCall,
    /// A bucket that first tries that succeed fill.
    PerSuccess,
    /// The budget of the crate `tower`.
    Tower,
    /// Ours.
    Aplomb,
}

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Workers behind a queue.
    Workers,
    /// One row under optimistic locking: an attempt reads it, then writes it.
    Row,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distribution {
    Exponential,
    Constant,
}

/// Who is served next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discipline {
    Fifo,
    Lifo,
}

/// Which work is dropped when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    None,
    /// What its caller's timeout says nobody waits for.
    Deadline,
    /// What its caller said it gave up.
    Cancel,
}

/// Who retries in a chain of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Every service, whatever the one below it did.
    Every,
    /// A service whose own retries came to their end tells its caller not to try again.
    Lowest,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Requests are answered with an error at once.
    Error,
    /// Requests are lost.
    Blackhole,
    /// Nothing moves at the server.
    Pause,
    /// Work that begins takes longer.
    Slow,
}

impl Default for Model {
    /// The scenario `free`: 100 clients, a healthy server, no retries, no fault.
    fn default() -> Self {
        Self {
            clients: 100,
            arrivals_per_second: 1000.0,
            start: Start::Open,
            arrivals_end: None,
            horizon: 60 * SECOND,
            attempts: Attempts::ONE,
            attempt_timeout: None,
            total: None,
            backoff: Schedule::Full,
            base: SECOND / 20,
            cap: 5 * SECOND,
            budget: Funding::None,
            ratio: Ratio::percent(20),
            budget_cap: 10,
            budget_initial: None,
            budget_floor: 10,
            timer_tick: 0,
            service: Kind::Workers,
            layers: 1,
            servers: Some(50),
            service_time: SECOND / 25,
            service_distribution: Distribution::Exponential,
            network_delay: SECOND / 1000,
            network_deviation: 0,
            queue_limit: None,
            queue_wait_limit: None,
            discipline: Discipline::Fifo,
            shed: Shed::None,
            ownership: Ownership::Every,
            fault: Fault::None,
            fault_start: 0,
            fault_seconds: 0,
            fault_factor: 1.0,
            fault_ratio: Ratio::ONE,
            seeds: 5,
            seed: 1,
        }
    }
}

impl Model {
    /// Whether the settings fit together.
    ///
    /// # Errors
    ///
    /// The first pair that does not, and why.
    pub fn check(&self) -> Result<(), Impossible> {
        let round_trip = 2 * self.network_delay;
        let rules: [(bool, &[&'static str], &'static str); 9] = [
            (
                self.attempt_timeout.is_some_and(|time| time < round_trip),
                &["attempt_timeout", "network_delay"],
                "an attempt ends before any answer can arrive; give it at least two network delays",
            ),
            (
                self.arrivals_end.is_some_and(|end| end > self.horizon),
                &["arrivals_end", "horizon"],
                "calls would begin after the end; raise the horizon",
            ),
            (
                self.fault != Fault::None && self.fault_start >= self.horizon,
                &["fault_start", "horizon"],
                "the fault would begin after the end; raise the horizon",
            ),
            (
                self.fault != Fault::None && self.fault_seconds == 0,
                &["fault", "fault_seconds"],
                "a fault needs a length; set fault_seconds",
            ),
            (
                self.budget_initial.is_some_and(|initial| initial > self.budget_cap),
                &["budget_initial", "budget_cap"],
                "a budget cannot start above its cap; raise budget_cap",
            ),
            (
                self.base > self.cap,
                &["base", "cap"],
                "the first delay is over the longest; raise cap",
            ),
            (
                self.service == Kind::Row && (self.layers > 1 || self.attempt_timeout.is_some()),
                &["service", "layers", "attempt_timeout"],
                "a row is called directly and answers always; leave layers at 1 and attempt_timeout at none",
            ),
            (
                self.service == Kind::Row && self.fault != Fault::None,
                &["service", "fault"],
                "a row fails by contention alone; leave fault at none",
            ),
            (
                self.attempts == Attempts::UNLIMITED
                    && self.network_delay == 0
                    && (self.base == 0 || self.backoff == Schedule::None),
                &["attempts", "network_delay", "backoff"],
                "retries without end or delay would stop the clock; set network_delay or a backoff",
            ),
        ];
        match rules.into_iter().find(|(wrong, ..)| *wrong) {
            Some((_, keys, why)) => Err(Impossible::new(self, keys, why)),
            None => Ok(()),
        }
    }

    /// How many policies' runs there are: one a seed.
    pub fn seeds(&self) -> u32 {
        self.seeds
    }

    /// The first seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// When the run ends, in nanoseconds.
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    pub(crate) fn arrivals_end(&self) -> u64 {
        self.arrivals_end.unwrap_or(self.horizon).min(self.horizon)
    }

    pub(crate) fn fault_end(&self) -> u64 {
        self.fault_start.saturating_add(self.fault_seconds)
    }

    /// The retry machine's rules, as the model's keys set them.
    pub(crate) fn rules(&self) -> Rules {
        let (base, cap) = (nanos(self.base), nanos(self.cap));
        let mut rules = Rules::default();
        rules.attempts = self.attempts;
        rules.total = self.total.map(nanos);
        rules.backoff = match self.backoff {
            Schedule::None => Backoff::exponential(Duration::ZERO, Duration::ZERO),
            Schedule::Exponential => Backoff::exponential(base, cap),
            Schedule::Full => Backoff::full(base, cap),
            Schedule::Equal => Backoff::equal(base, cap),
            Schedule::Decorrelated => Backoff::decorrelated(base, cap),
        };
        rules
    }

    /// Whether the fault is on.
    pub(crate) fn is_faulty(&self, now: u64) -> bool {
        self.fault_start <= now && now < self.fault_end()
    }

    /// The longest wait before a retry.
    pub(crate) fn longest_wait(&self) -> u64 {
        match self.backoff {
            Schedule::None => 0,
            _ => self.cap,
        }
    }
}

/// Virtual time as the machines know it.
pub(crate) const fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}
