//! What a run would need, told before it starts.

use std::fmt;

use aplomb_core::Attempts;

use crate::budget::Budgets;
use crate::call::{Call, Work};
use crate::circuits::Circuits;
use crate::client::{Client, Rare};
use crate::measure::Second;
use crate::model::Model;
use crate::queue::Event;
use crate::scenario::Case;
use crate::server::Job;
use crate::units::{float, seconds, whole};
use crate::words::{Fault, Kind, Schedule, Start};

/// Bounds on what runs need, in the worst case of every retry being sent.
///
/// ```
/// use aplomb_lab::{Case, Estimate, Scenario, TooLarge};
///
/// let cases: Vec<Case> = Scenario::named("article")?.cases()?;
/// let estimate = Estimate::of(&cases);
/// let fits: Result<(), TooLarge> = estimate.within(1e12, 64e9);
/// assert!(fits.is_ok() && estimate.within(1.0, 1.0).is_err());
/// # Ok::<(), aplomb_lab::BadScenario>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// Events handled, by all runs together.
    pub events: f64,
    /// Memory, by the largest run, in bytes.
    pub bytes: f64,
}

impl Estimate {
    /// For all cases and seeds.
    pub fn of(cases: &[Case]) -> Self {
        cases.iter().fold(Self::default(), |sum, case| {
            let one = Self::of_run(&case.model);
            Self {
                events: sum.events + one.events * f64::from(case.model.seeds),
                bytes: sum.bytes.max(one.bytes),
            }
        })
    }

    /// For one run of a model.
    pub fn of_run(model: &Model) -> Self {
        let clients = f64::from(model.clients);
        let calls = match model.start {
            Start::Together => clients,
            Start::Open => model.arrivals_per_second * seconds(open_for(model)),
        };
        let attempts = attempts(model) * if model.hedge_after.is_some() { 2.0 } else { 1.0 };
        let layers = i32::from(model.layers);
        // At each service of a chain every attempt of the one above is a call.
        let sends: f64 = (1..=layers).map(|layer| libm::pow(attempts, layer.into())).sum();
        let bottom = libm::pow(attempts, layers.into());

        let each =
            size(size_of::<Client>() + size_of::<Rare>() + 2 * size_of::<Event>() + HEDGE_BUCKET)
                + float(Budgets::bytes(model) + Circuits::bytes(model));
        let running = running(model, calls) * f64::from(layers);
        let under_way = size(size_of::<Call>() + size_of::<Work>() + 4 * size_of::<Event>());
        let jobs = waiting(model, calls, bottom);
        // A call's work is kept once, however many of its sends wait.
        let waiting =
            jobs * size(2 * size_of::<Job>()) + jobs.min(calls) * size(2 * size_of::<Work>());
        let rows = seconds(model.horizon) * size(size_of::<Second>());
        Self {
            events: calls * (1.0 + EVENTS_PER_SEND * sends),
            bytes: clients * each + running * under_way + waiting + rows,
        }
    }

    /// Whether it stays within bounds.
    ///
    /// # Errors
    ///
    /// What it would need, and what to do.
    pub fn within(&self, events_max: f64, bytes_max: f64) -> Result<(), TooLarge> {
        let fits = self.events <= events_max && self.bytes <= bytes_max;
        let too_large = TooLarge { estimate: *self, events_max, bytes_max };
        if fits { Ok(()) } else { Err(too_large) }
    }
}

/// Runs that would need more than they may.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TooLarge {
    estimate: Estimate,
    events_max: f64,
    bytes_max: f64,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Estimate { events, bytes } = self.estimate;
        let minutes = events / EVENTS_PER_SECOND / 60.0;
        write!(
            f,
            "too large: up to {:.1} million events (about {minutes:.0} minutes on one core) and {:.2} GiB a run, more than the {:.1} million events or the {:.2} GiB allowed; \
             take fewer clients, calls, seconds, attempts or seeds, or allow more with --max-events and --max-memory",
            events / 1e6,
            bytes / GIB,
            self.events_max / 1e6,
            self.bytes_max / GIB,
        )
    }
}

impl std::error::Error for TooLarge {}

/// Sends of a call at most.
fn attempts(model: &Model) -> f64 {
    if model.attempts != Attempts::UNLIMITED {
        return f64::from(model.attempts.get());
    }
    if model.service == Kind::Row {
        // One of the writes that meet at the row always holds.
        return f64::from(model.clients);
    }
    let wait = match model.backoff {
        Schedule::None => 0,
        _ => model.base / 2,
    };
    float(model.horizon / (2 * model.network_delay + wait).max(1))
}

/// How long calls begin, a surge counted as so much longer.
fn open_for(model: &Model) -> u64 {
    let plain = model.arrivals_end();
    let surge = model.fault_seconds.min(plain.saturating_sub(model.fault_start));
    let more = whole(float(surge) * (model.fault_factor - 1.0));
    if model.fault == Fault::Surge { plain.saturating_add(more) } else { plain }
}

/// Calls under way at once at most.
fn running(model: &Model, calls: f64) -> f64 {
    let (Start::Open, Some(timeout)) = (model.start, model.attempt_timeout) else {
        return calls;
    };
    let attempts = whole(attempts(model));
    let waits = model.longest_wait().saturating_mul(attempts.saturating_sub(1));
    let life = timeout.saturating_mul(attempts).saturating_add(waits);
    let surge = if model.fault == Fault::Surge { model.fault_factor } else { 1.0 };
    calls.min(model.arrivals_per_second * surge * seconds(life))
}

/// Requests in the server's queue at most: what arrives in the fault, and after it what arrives
/// faster than it is served.
fn waiting(model: &Model, calls: f64, bottom: f64) -> f64 {
    let Some(servers) = model.servers else {
        return 0.0;
    };
    let all = calls * bottom;
    let offered = all / seconds(model.arrivals_end()).max(1.0);
    let capacity =
        f64::from(servers) * f64::from(model.shards) / seconds(model.service_time).max(1e-9);
    let surplus = (offered - capacity).max(0.0) * seconds(model.horizon);
    // A server that was restarted is slow for as long again.
    let bad = model.fault_seconds.saturating_mul(if model.fault == Fault::Restart { 2 } else { 1 });
    let fault = offered * seconds(bad.min(model.horizon));
    let room = model.queue_limit.map_or(f64::INFINITY, float) * f64::from(model.shards);
    all.min(surplus + fault + offered).min(room)
}

fn size(bytes: usize) -> f64 {
    float(bytes as u64)
}

/// A request, a completion, an answer, a timeout and a waking.
const EVENTS_PER_SEND: f64 = 5.0;
/// What the kernel is held to on one core.
const EVENTS_PER_SECOND: f64 = 5e6;
const HEDGE_BUCKET: usize = 4;
const GIB: f64 = 1_073_741_824.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Control, simulate};

    #[test]
    fn a_run_never_handles_more_events_than_estimated() {
        for (budget, fault) in [("none", "error"), ("aplomb", "slow"), ("none", "pause")] {
            let mut model = Model::default();
            for (key, value) in [
                ("budget", budget),
                ("fault", fault),
                ("fault_factor", "5"),
                ("fault_seconds", "5"),
                ("attempts", "3"),
                ("attempt_timeout", "500ms"),
                ("horizon", "20"),
            ] {
                model.set(key, value).unwrap();
            }
            let estimate = Estimate::of_run(&model);
            let events = float(simulate(&model, 1, &mut (), &Control::default()).events);
            assert!(events <= estimate.events * 1.02, "{events} of {}", estimate.events);
            assert!(events >= estimate.events / 10.0, "the bound is not absurd");
        }
    }

    #[test]
    fn too_large_a_run_says_what_it_needs_and_what_to_do() {
        let mut model = Model::default();
        model.set("arrivals_per_second", "100000000").unwrap();
        model.set("horizon", "10h").unwrap();
        let error = Estimate::of_run(&model).within(1e10, 4.0 * GIB).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("million events") && message.contains("--max-memory"),
            "{message}"
        );
    }

    #[test]
    fn a_million_clients_fit_four_gib() {
        let mut model = Model::default();
        for (key, value) in [
            ("clients", "1000000"),
            ("arrivals_per_second", "100000"),
            ("servers", "5000"),
            ("attempts", "3"),
            ("attempt_timeout", "500ms"),
            ("budget", "tower"),
            ("fault", "slow"),
            ("fault_factor", "5"),
            ("fault_start", "30"),
            ("fault_seconds", "30"),
            ("horizon", "300"),
        ] {
            model.set(key, value).unwrap();
        }
        let bytes = Estimate::of_run(&model).bytes;
        assert!(bytes < 4.0 * GIB, "{} GiB", bytes / GIB);
    }
}
