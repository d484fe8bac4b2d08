//! The keys of `--set` and of scenario files.

use aplomb_core::Attempts;

use crate::error::{WrongKey, nearest};
use crate::model::Model;
use crate::units::SECOND;
use crate::value::{fraction, number, share, time, written};
use crate::words::Word;

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

static KEYS: [Key; 52] = keys![
    clients, "a whole number from 1 to 10000000", "how many clients call", |t| small(t, 1, 10_000_000), text;
    arrivals_per_second, "a number from 0.001 to 100000000", "calls begun a second, by all clients together", |t| fraction(t, 0.001, 1e8), text;
    start, "open or together", "calls begin at random times (open), or one a client at time 0 (together)", Word::read, word;
    arrivals_end, "a time, or none", "when calls stop beginning; none: at the horizon", |t| optional(t, time), |v| option(v, written);
    horizon, "a time above 0", "when the run ends", |t| time(t).filter(|&t| t > 0), written;
    attempts, "a whole number from 1 to 1000000, or unlimited", "sends of a call, the first included", attempts, |v: Attempts| if v == Attempts::UNLIMITED { "unlimited".to_owned() } else { text(v.get()) };
    attempt_timeout, "a time above 0, or none", "the caller's patience with one attempt", |t| optional(t, |t| time(t).filter(|&t| t > 0)), |v| option(v, written);
    total, "a time above 0, or none", "no attempt starts that could not finish within it", |t| optional(t, |t| time(t).filter(|&t| t > 0)), |v| option(v, written);
    backoff, "none, exponential, full, equal or decorrelated", "the waits before retries; none: no wait", Word::read, word;
    base, "a time", "the first retry waits at most this long (decorrelated: three times as long)", time, written;
    cap, "a time", "no retry waits longer than this", time, written;
    heed, "spread, exactly or no", "what a Retry-After does to a caller: it comes back spread over at least a quarter more, at that moment, or as its own backoff says", Word::read, word;
    budget, "none, per-call, per-success, tower, grpc, aws, finagle or aplomb", "what pays for retries", Word::read, word;
    ratio, "a share from 0 to 1", "retries earned by each call that earns (grpc: its token ratio; not aws)", share, text;
    budget_cap, "a whole number from 0 to 1000", "the most retries a client's budget holds (grpc: its tokens, of which half are spent; not tower, aws, finagle)", |t| small(t, 0, 1000), text;
    budget_initial, "a whole number from 0 to 1000, or none", "the retries it holds at the start; none: its cap", |t| optional(t, |t| small(t, 0, 1000)), |v| option(v, text);
    budget_floor, "a whole number from 0 to 100000", "retries a second that tower's and finagle's budgets grant unearned", |t| small(t, 0, 100_000), text;
    timer_tick, "a time", "a caller's timers fire at whole multiples of it (tokio's: 1ms)", time, written;
    hedge_after, "a time above 0, or none", "an attempt without an answer by then is sent a second time, and the first answer counts", |t| optional(t, |t| time(t).filter(|&t| t > 0)), |v| option(v, written);
    hedge_ratio, "a share from 0 to 1", "second sends earned by each call", share, text;
    breaker, "none, together or per-shard", "a client's circuits: none, one for the dependency, one for each of its shards", Word::read, word;
    breaker_ratio, "a share from 0 to 1", "a circuit opens when so many of the calls in its window failed", share, text;
    breaker_calls, "a whole number from 1 to 1000000", "before so many calls are in the window its ratio counts for nothing", |t| small(t, 1, 1_000_000), text;
    breaker_window, "a time from 10ms to 10h", "how far back it looks", |t| time(t).filter(|t| (SECOND / 100..=36_000 * SECOND).contains(t)), written;
    breaker_row, "a whole number from 1 to 1000000", "it opens as well when so many calls in a row failed", |t| small(t, 1, 1_000_000), text;
    breaker_open, "a time", "its first open time; doubles while probes fail", time, written;
    breaker_cap, "a time", "the longest open time", time, written;
    breaker_jitter, "exponential, full, equal or decorrelated", "how open times are spread (exponential: not at all)", Word::read, word;
    when_paused, "wait or fail", "what a call does that finds its circuit open: wait for it, if its time allows, or fail at once", Word::read, word;
    service, "workers or row", "what answers: workers behind a queue, or one row under optimistic locking", Word::read, word;
    layers, "a whole number from 1 to 8", "services that stand in a chain, each with its own retries", |t| number(t, 1, 8).and_then(|n| u8::try_from(n).ok()), text;
    shards, "a whole number from 1 to 1024", "parts of the last service, each with its own workers and queue; a call belongs to one of them", |t| small(t, 1, 1024), text;
    ownership, "every or lowest", "who retries in a chain: every service, or none above one whose own retries came to their end", Word::read, word;
    servers, "a whole number from 1 to 1000000, or unlimited", "workers of the last service, of each of its shards", |t| unlimited(t, |t| small(t, 1, 1_000_000)), limit;
    service_time, "a time", "how long a worker takes, on average", time, written;
    service_distribution, "exponential or constant", "how that time is spread", Word::read, word;
    network_delay, "a time", "from caller to service, or back", time, written;
    network_deviation, "a time", "the delay's standard deviation, normally distributed (for service=row)", time, written;
    queue_limit, "a whole number, or unlimited", "requests that may wait; more are refused", |t| unlimited(t, |t| number(t, 0, u64::MAX)), limit;
    queue_wait_limit, "a time, or none", "requests that waited longer are refused when their turn comes", |t| optional(t, time), |v| option(v, written);
    discipline, "fifo, lifo or adaptive", "who is served next; adaptive: the newest once the queue has stood for 100 ms, else the oldest", Word::read, word;
    shed, "none, deadline or cancel", "work dropped when its turn comes: none, what the caller's timeout ended, what the caller said it gave up", Word::read, word;
    admission, "none or aplomb", "who guards the server: nobody, or aplomb's admission (queue_limit and queue_wait_limit are its bounds)", Word::read, word;
    keys, "none or replay", "what it knows of the past: nothing, or each call by its key, so that work that is done is answered and not done again", Word::read, word;
    fault, "none, error, blackhole, lost, pause, slow, capacity, surge, dead-shard or restart", "what goes wrong", Word::read, word;
    fault_start, "a time", "when it begins", time, written;
    fault_seconds, "a time", "how long it lasts", time, written;
    fault_factor, "a number from 1 to 1000000", "how many times longer work takes (slow; restart: when it is back, easing to 1), or how many times more calls begin (surge)", |t| fraction(t, 1.0, 1e6), text;
    fault_ratio, "a share from 0 to 1", "of the requests (error, blackhole, dead-shard), of the answers (lost), of the workers (capacity)", share, text;
    retry_after, "a time, or none", "what errors say about coming back (error, dead-shard)", |t| optional(t, time), |v| option(v, written);
    seeds, "a whole number from 1 to 100000", "how many runs, with seeds one apart", |t| small(t, 1, 100_000), text;
    seed, "a whole number", "the first run's seed", |t| number(t, 0, u64::MAX), text;
];

fn small(text: &str, least: u64, most: u64) -> Option<u32> {
    u32::try_from(number(text, least, most)?).ok()
}

fn word(value: impl Word) -> String {
    value.word().to_owned()
}

fn attempts(text: &str) -> Option<Attempts> {
    match text {
        "unlimited" => Some(Attempts::UNLIMITED),
        _ => small(text, 1, 1_000_000).map(Attempts::new),
    }
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
            &[("breaker", "together"), ("breaker_open", "0")],
            &[("breaker_open", "2m")],
            &[("fault", "dead-shard"), ("fault_seconds", "1")],
            &[("fault", "capacity"), ("fault_seconds", "1"), ("servers", "unlimited")],
            &[("fault", "surge"), ("fault_seconds", "1"), ("start", "together")],
            &[("hedge_after", "1ms"), ("layers", "2")],
            &[("admission", "aplomb"), ("discipline", "lifo")],
            &[("admission", "aplomb"), ("servers", "unlimited")],
            &[("keys", "replay"), ("layers", "2")],
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
