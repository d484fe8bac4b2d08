//! The keys of `--set` and of scenario files.

use aplomb_core::Attempts;

use crate::error::{WrongKey, nearest};
use crate::model::{
    Discipline, Distribution, Fault, Funding, Kind, Model, Ownership, Schedule, Shed, Start,
};
use crate::value::{fraction, number, share, time, written};

/// One setting of a model.
#[derive(Debug)]
#[non_exhaustive]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What it means.
    pub means: &'static str,
    read: fn(&mut Model, &str) -> Option<()>,
    write: fn(&Model) -> String,
}

/// Every key there is.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    KEYS.iter()
}

impl Model {
    /// Changes one setting.
    ///
    /// ```
    /// let mut model = aplomb_lab::Model::default();
    /// model.set("base", "20ms")?;
    /// let wrong = model.set("clinets", "5").unwrap_err();
    /// assert!(wrong.to_string().contains("nearest is `clients`"));
    /// # Ok::<(), aplomb_lab::WrongKey>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When there is no such key, or when it does not take the value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), WrongKey> {
        let Some(known) = KEYS.iter().find(|known| known.name == key) else {
            return Err(WrongKey::Unknown {
                key: key.to_owned(),
                nearest: nearest(key, KEYS.iter().map(|known| known.name)),
            });
        };
        (known.read)(self, value.trim()).ok_or_else(|| WrongKey::Value {
            key: known.name,
            value: value.to_owned(),
            takes: known.takes,
        })
    }

    /// A setting as [`set`](Self::set) reads it.
    pub fn get(&self, key: &str) -> Option<String> {
        let known = KEYS.iter().find(|known| known.name == key)?;
        Some((known.write)(self))
    }
}

macro_rules! keys {
    ($($name:ident, $takes:literal, $means:literal, $read:expr, $write:expr;)*) => {
        [$(Key {
            name: stringify!($name),
            takes: $takes,
            means: $means,
            read: |model, text| { model.$name = $read(text)?; Some(()) },
            write: |model| $write(model.$name),
        }),*]
    };
}

static KEYS: [Key; 36] = keys![
    clients, "a whole number from 1 to 10000000", "how many clients call", |t| small(t, 1, 10_000_000), text;
    arrivals_per_second, "a number from 0.001 to 100000000", "calls begun a second, by all clients together", |t| fraction(t, 0.001, 1e8), text;
    start, "open or together", "calls begin at random times (open), or one a client at time 0 (together)", |t| word(t, &STARTS), |v| name(&v, &STARTS);
    arrivals_end, "a time, or none", "when calls stop beginning; none: at the horizon", |t| optional(t, time), |v| option(v, written);
    horizon, "a time above 0", "when the run ends", |t| time(t).filter(|&t| t > 0), written;
    attempts, "a whole number from 1 to 1000000, or unlimited", "sends of a call, the first included", attempts, |v: Attempts| if v == Attempts::UNLIMITED { "unlimited".to_owned() } else { text(v.get()) };
    attempt_timeout, "a time above 0, or none", "the caller's patience with one attempt", |t| optional(t, |t| time(t).filter(|&t| t > 0)), |v| option(v, written);
    total, "a time above 0, or none", "no attempt starts that could not finish within it", |t| optional(t, |t| time(t).filter(|&t| t > 0)), |v| option(v, written);
    backoff, "none, exponential, full, equal or decorrelated", "the waits before retries; none: no wait", |t| word(t, &SCHEDULES), |v| name(&v, &SCHEDULES);
    base, "a time", "the first retry waits at most this long (decorrelated: three times as long)", time, written;
    cap, "a time", "no retry waits longer than this", time, written;
    budget, "none, per-call, per-success, tower or aplomb", "what pays for retries", |t| word(t, &FUNDINGS), |v| name(&v, &FUNDINGS);
    ratio, "a share from 0 to 1", "retries earned by each call that earns", share, text;
    budget_cap, "a whole number from 0 to 1000", "the most retries a client's budget holds (not tower's)", |t| small(t, 0, 1000), text;
    budget_initial, "a whole number from 0 to 1000, or none", "the retries it holds at the start; none: its cap", |t| optional(t, |t| small(t, 0, 1000)), |v| option(v, text);
    budget_floor, "a whole number from 0 to 100000", "retries a second that tower's budget grants unearned", |t| small(t, 0, 100_000), text;
    timer_tick, "a time", "a caller's timers fire at whole multiples of it (tokio's: 1ms)", time, written;
    service, "workers or row", "what answers: workers behind a queue, or one row under optimistic locking", |t| word(t, &KINDS), |v| name(&v, &KINDS);
    layers, "a whole number from 1 to 8", "services that stand in a chain, each with its own retries", |t| number(t, 1, 8).and_then(|n| u8::try_from(n).ok()), text;
    ownership, "every or lowest", "who retries in a chain: every service, or none above one whose own retries came to their end", |t| word(t, &OWNERSHIPS), |v| name(&v, &OWNERSHIPS);
    servers, "a whole number from 1 to 1000000, or unlimited", "workers of the last service", |t| unlimited(t, |t| small(t, 1, 1_000_000)), limit;
    service_time, "a time", "how long a worker takes, on average", time, written;
    service_distribution, "exponential or constant", "how that time is spread", |t| word(t, &DISTRIBUTIONS), |v| name(&v, &DISTRIBUTIONS);
    network_delay, "a time", "from caller to service, or back", time, written;
    network_deviation, "a time", "the delay's standard deviation, normally distributed (for service=row)", time, written;
    queue_limit, "a whole number, or unlimited", "requests that may wait; more are refused", |t| unlimited(t, |t| number(t, 0, u64::MAX)), limit;
    queue_wait_limit, "a time, or none", "requests that waited longer are refused when their turn comes", |t| optional(t, time), |v| option(v, written);
    discipline, "fifo or lifo", "who is served next", |t| word(t, &DISCIPLINES), |v| name(&v, &DISCIPLINES);
    shed, "none, deadline or cancel", "work dropped when its turn comes: none, what the caller's timeout ended, what the caller said it gave up", |t| word(t, &SHEDS), |v| name(&v, &SHEDS);
    fault, "none, error, blackhole, pause or slow", "what goes wrong", |t| word(t, &FAULTS), |v| name(&v, &FAULTS);
    fault_start, "a time", "when it begins", time, written;
    fault_seconds, "a time", "how long it lasts", time, written;
    fault_factor, "a number from 1 to 1000000", "how many times longer work takes (slow)", |t| fraction(t, 1.0, 1e6), text;
    fault_ratio, "a share from 0 to 1", "of the requests (error, blackhole)", share, text;
    seeds, "a whole number from 1 to 100000", "how many runs, with seeds one apart", |t| small(t, 1, 100_000), text;
    seed, "a whole number", "the first run's seed", |t| number(t, 0, u64::MAX), text;
];

const STARTS: [(&str, Start); 2] = [("open", Start::Open), ("together", Start::Together)];
const SCHEDULES: [(&str, Schedule); 5] = [
    ("none", Schedule::None),
    ("exponential", Schedule::Exponential),
    ("full", Schedule::Full),
    ("equal", Schedule::Equal),
    ("decorrelated", Schedule::Decorrelated),
];
const FUNDINGS: [(&str, Funding); 5] = [
    ("none", Funding::None),
    ("per-call", Funding::PerCall),
    ("per-success", Funding::PerSuccess),
    ("tower", Funding::Tower),
    ("aplomb", Funding::Aplomb),
];
const KINDS: [(&str, Kind); 2] = [("workers", Kind::Workers), ("row", Kind::Row)];
const DISTRIBUTIONS: [(&str, Distribution); 2] =
    [("exponential", Distribution::Exponential), ("constant", Distribution::Constant)];
const DISCIPLINES: [(&str, Discipline); 2] =
    [("fifo", Discipline::Fifo), ("lifo", Discipline::Lifo)];
const OWNERSHIPS: [(&str, Ownership); 2] =
    [("every", Ownership::Every), ("lowest", Ownership::Lowest)];
const SHEDS: [(&str, Shed); 3] =
    [("none", Shed::None), ("deadline", Shed::Deadline), ("cancel", Shed::Cancel)];
const FAULTS: [(&str, Fault); 5] = [
    ("none", Fault::None),
    ("error", Fault::Error),
    ("blackhole", Fault::Blackhole),
    ("pause", Fault::Pause),
    ("slow", Fault::Slow),
];

fn small(text: &str, least: u64, most: u64) -> Option<u32> {
    u32::try_from(number(text, least, most)?).ok()
}

fn attempts(text: &str) -> Option<Attempts> {
    match text {
        "unlimited" => Some(Attempts::UNLIMITED),
        _ => small(text, 1, 1_000_000).map(Attempts::new),
    }
}

fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    let known = words.iter().find(|(name, _)| *name == text)?;
    Some(known.1)
}

fn name<T: PartialEq>(value: &T, words: &[(&str, T)]) -> String {
    let known = words.iter().find(|(_, known)| known == value);
    known.map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// What `read` reads, or nothing for `none`.
#[expect(clippy::option_option, reason = "unreadable, or read to be none")]
fn optional<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        "none" => Some(None),
        _ => read(text).map(Some),
    }
}

fn option<T>(value: Option<T>, write: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "none".to_owned(), write)
}

/// The same for a bound.
#[expect(clippy::option_option, reason = "unreadable, or read to be none")]
fn unlimited<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        "unlimited" | "none" => Some(None),
        _ => read(text).map(Some),
    }
}

fn limit(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "unlimited".to_owned(), |value| value.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "settings are small values")]
fn text(value: impl ToString) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_reads_back_what_it_writes() {
        for key in keys() {
            let mut model = Model::default();
            let written = model.get(key.name).unwrap();
            model.set(key.name, &written).unwrap();
            assert_eq!(model, Model::default(), "{}", key.name);
        }
    }

    #[test]
    fn no_key_takes_nonsense() {
        for key in keys() {
            let wrong = Model::default().set(key.name, "gibberish").unwrap_err();
            let message = wrong.to_string();
            assert!(message.contains(key.name) && message.contains(key.takes), "{message}");
        }
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused_with_the_reason() {
        for settings in [
            &[("attempt_timeout", "1ms"), ("network_delay", "1s")][..],
            &[("arrivals_end", "2h")],
            &[("fault", "error"), ("fault_seconds", "0")],
            &[("fault", "error"), ("fault_seconds", "1"), ("fault_start", "2h")],
            &[("budget_initial", "11")],
            &[("cap", "1ms")],
            &[("service", "row"), ("layers", "2")],
            &[("service", "row"), ("fault", "error"), ("fault_seconds", "1")],
            &[("attempts", "unlimited"), ("network_delay", "0"), ("backoff", "none")],
        ] {
            let mut model = Model::default();
            for (key, value) in settings {
                model.set(key, value).unwrap();
            }
            let why = model.check().unwrap_err().to_string();
            assert!(why.contains(settings[0].0), "{why}");
        }
        Model::default().check().unwrap();
    }
}
