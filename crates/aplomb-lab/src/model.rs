use aplomb_backoff::Backoff;
use aplomb_circuit_breaker::{Settings, Trip};
use aplomb_core::time::Duration;
use aplomb_core::{Attempts, Ratio};
use aplomb_retry::Rules;

use crate::units::{SECOND, float, whole};
use crate::words::{
    Circuit, Discipline, Distribution, Fault, Funding, Guard, Heed, Kind, Memory, Ownership,
    Paused, Schedule, Shed, Start,
};

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
    pub(crate) heed: Heed,
    pub(crate) budget: Funding,
    pub(crate) ratio: Ratio,
    pub(crate) budget_cap: u32,
    pub(crate) budget_initial: Option<u32>,
    pub(crate) budget_floor: u32,
    pub(crate) timer_tick: u64,

    pub(crate) hedge_after: Option<u64>,
    pub(crate) hedge_ratio: Ratio,

    pub(crate) breaker: Circuit,
    pub(crate) breaker_ratio: Ratio,
    pub(crate) breaker_calls: u32,
    pub(crate) breaker_window: u64,
    pub(crate) breaker_row: u32,
    pub(crate) breaker_open: u64,
    pub(crate) breaker_cap: u64,
    pub(crate) breaker_jitter: Schedule,
    pub(crate) when_paused: Paused,

    pub(crate) service: Kind,
    pub(crate) layers: u8,
    pub(crate) shards: u32,
    pub(crate) servers: Option<u32>,
    pub(crate) service_time: u64,
    pub(crate) service_distribution: Distribution,
    pub(crate) network_delay: u64,
    pub(crate) network_deviation: u64,
    pub(crate) queue_limit: Option<u64>,
    pub(crate) queue_wait_limit: Option<u64>,
    pub(crate) discipline: Discipline,
    pub(crate) shed: Shed,
    pub(crate) admission: Guard,
    pub(crate) keys: Memory,
    pub(crate) ownership: Ownership,

    pub(crate) fault: Fault,
    pub(crate) fault_start: u64,
    pub(crate) fault_seconds: u64,
    pub(crate) fault_factor: f64,
    pub(crate) fault_ratio: Ratio,
    pub(crate) retry_after: Option<u64>,

    pub(crate) seeds: u32,
    pub(crate) seed: u64,
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
            heed: Heed::Spread,
            budget: Funding::None,
            ratio: Ratio::percent(20),
            budget_cap: 10,
            budget_initial: None,
            budget_floor: 10,
            timer_tick: 0,
            hedge_after: None,
            hedge_ratio: Ratio::percent(5),
            breaker: Circuit::None,
            breaker_ratio: Ratio::percent(50),
            breaker_calls: 20,
            breaker_window: 10 * SECOND,
            breaker_row: 10,
            breaker_open: SECOND,
            breaker_cap: 10 * SECOND,
            breaker_jitter: Schedule::Equal,
            when_paused: Paused::Wait,
            service: Kind::Workers,
            layers: 1,
            shards: 1,
            servers: Some(50),
            service_time: SECOND / 25,
            service_distribution: Distribution::Exponential,
            network_delay: SECOND / 1000,
            network_deviation: 0,
            queue_limit: None,
            queue_wait_limit: None,
            discipline: Discipline::Fifo,
            shed: Shed::None,
            admission: Guard::None,
            keys: Memory::None,
            ownership: Ownership::Every,
            fault: Fault::None,
            fault_start: 0,
            fault_seconds: 0,
            fault_factor: 1.0,
            fault_ratio: Ratio::ONE,
            retry_after: None,
            seeds: 5,
            seed: 1,
        }
    }
}

impl Model {
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

    /// Requests that the last service can serve in a second, in good health; nothing when it is
    /// never short of workers.
    pub fn capacity_per_second(&self) -> Option<f64> {
        let workers = f64::from(self.servers?) * f64::from(self.shards);
        (self.service == Kind::Workers && self.service_time > 0)
            .then(|| workers * float(SECOND) / float(self.service_time))
    }

    pub(crate) fn arrivals_end(&self) -> u64 {
        self.arrivals_end.unwrap_or(self.horizon).min(self.horizon)
    }

    pub(crate) fn fault_end(&self) -> u64 {
        self.fault_start.saturating_add(self.fault_seconds)
    }

    /// The retry machine's rules, as the model's keys set them.
    pub(crate) fn rules(&self) -> Rules {
        let mut rules = Rules::default();
        rules.attempts = self.attempts;
        rules.total = self.total.map(nanos);
        if self.when_paused == Paused::Fail {
            rules.longest_pause = Duration::ZERO;
        }
        rules.backoff = schedule(self.backoff, self.base, self.cap);
        rules
    }

    /// The breaker's terms, as the model's keys set them.
    pub(crate) fn circuit(&self) -> Settings {
        let mut settings = Settings::default();
        settings.trip = Trip::failure_ratio(self.breaker_ratio)
            .at_least(self.breaker_calls)
            .over(nanos(self.breaker_window))
            .failures_in_a_row(self.breaker_row);
        settings.open_for = schedule(self.breaker_jitter, self.breaker_open, self.breaker_cap);
        settings
    }

    /// Whether the fault is on.
    pub(crate) fn is_faulty(&self, now: u64) -> bool {
        self.fault_start <= now && now < self.fault_end()
    }

    /// When the gap ends that begins `from`; in a surge the same calls come closer together.
    pub(crate) fn after_gap(&self, from: u64, gap: u64) -> u64 {
        if self.fault != Fault::Surge {
            return from.saturating_add(gap);
        }
        let (mut at, mut left) = (from, gap);
        let calm = self.fault_start.saturating_sub(at);
        if left <= calm {
            return at + left;
        }
        (at, left) = (at.max(self.fault_start), left - calm);
        let rest = self.fault_end().saturating_sub(at);
        let surged = whole(float(rest) * self.fault_factor);
        if left <= surged {
            return at + whole(float(left) / self.fault_factor);
        }
        at.saturating_add(rest).saturating_add(left - surged)
    }

    /// The longest wait before a retry.
    pub(crate) fn longest_wait(&self) -> u64 {
        let own = match self.backoff {
            Schedule::None => 0,
            _ => self.cap,
        };
        let asked = self.retry_after.map_or(0, |wait| wait.saturating_add(wait / 4));
        let open = match self.breaker {
            Circuit::None => 0,
            _ => self.breaker_cap.saturating_add(self.breaker_cap / 4),
        };
        own.saturating_add(asked).saturating_add(open)
    }
}

fn schedule(schedule: Schedule, base: u64, cap: u64) -> Backoff {
    let (base, cap) = (nanos(base), nanos(cap));
    match schedule {
        Schedule::None => Backoff::exponential(Duration::ZERO, Duration::ZERO),
        Schedule::Exponential => Backoff::exponential(base, cap),
        Schedule::Full => Backoff::full(base, cap),
        Schedule::Equal => Backoff::equal(base, cap),
        Schedule::Decorrelated => Backoff::decorrelated(base, cap),
    }
}

/// Virtual time as the machines know it.
pub(crate) const fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surge_brings_calls_closer_together_while_it_lasts() {
        let mut model = Model::default();
        for (key, value) in [
            ("fault", "surge"),
            ("fault_start", "10"),
            ("fault_seconds", "10"),
            ("fault_factor", "4"),
        ] {
            model.set(key, value).unwrap();
        }
        for (from, gap, until) in
            [(0, 10, 10), (0, 14, 11), (12, 8, 14), (18, 10, 22), (19, 4, 20), (25, 5, 30)]
        {
            let at = model.after_gap(from * SECOND, gap * SECOND);
            assert_eq!(at, until * SECOND, "{gap} from {from} on");
        }
    }
}
