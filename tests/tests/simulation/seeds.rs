use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::{env, panic, thread};

use crate::run::{Run, run};
use crate::services::ON_PURPOSE;
use crate::world::held;

/// Runs these seeds, on all of the machine's cores when there are many.
///
/// A seed that breaks a law is told with the command that repeats it.
pub(crate) fn hold(seeds: Range<u64>) {
    quieten();
    let count = seeds.end - seeds.start;
    let (next, found) = (AtomicU64::new(seeds.start), Mutex::new(Found::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let run = run(seed);
            if env::var_os(TRACE).is_some() {
                println!("{}", run.trace);
            }
            held(&found).add(seed, run);
        }
    };
    let workers = if env::var_os(ASKED_FOR).is_some() { workers(count) } else { 1 };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    held(&found).tell(count);
}

/// The seeds that the environment asks for, as `first..end`.
pub(crate) fn asked_for() -> Option<Range<u64>> {
    let asked = env::var(ASKED_FOR).ok()?;
    let (first, end) = asked.split_once("..").expect("seeds are asked for as `first..end`");
    let number = |text: &str| text.parse().expect("a seed is a number");
    Some(number(first)..number(end))
}

/// Handlers panic on purpose, hundreds of times; each would print where.
fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_meant = info
                .payload()
                .downcast_ref::<String>()
                .is_some_and(|said| said.starts_with(ON_PURPOSE));
            if !is_meant {
                usual(info);
            }
        }));
    });
}

fn workers(count: u64) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    cores.min(usize::try_from(count).unwrap_or(usize::MAX))
}

#[derive(Default)]
struct Found {
    broken: BTreeMap<u64, Vec<String>>,
    seen: BTreeMap<&'static str, u64>,
}

impl Found {
    fn add(&mut self, seed: u64, run: Run) {
        if !run.broken.is_empty() {
            self.broken.insert(seed, run.broken);
        }
        for (what, times) in run.seen {
            *self.seen.entry(what).or_default() += times;
        }
    }

    fn tell(&self, count: u64) {
        println!("{count} seeds, {} broke a law; what came up:", self.broken.len());
        for (what, times) in &self.seen {
            println!("{times:>8} × {what}");
        }
        let broken = self.broken.iter().map(|(seed, broken)| {
            format!("cargo xtask simulate --seed {seed}\n    {}", broken.join("\n    "))
        });
        let broken: Vec<String> = broken.collect();
        assert!(broken.is_empty(), "laws are broken; each again by:\n{}", broken.join("\n"));
        if count >= ENOUGH {
            let missing = TROUBLES.iter().filter(|what| !self.seen.contains_key(*what));
            let missing: Vec<_> = missing.collect();
            assert!(missing.is_empty(), "in {count} seeds these never came up: {missing:?}");
        }
    }
}

/// Seeds to run, for the test that is asked by the environment.
pub(crate) const ASKED_FOR: &str = "APLOMB_SEEDS";
/// Prints what happened in each seed.
pub(crate) const TRACE: &str = "APLOMB_TRACE";
/// In so many seeds every kind of trouble comes up.
const ENOUGH: u64 = 50;
const TROUBLES: [&str; 17] = [
    "a circuit opened",
    "a commit was not heard",
    "a customer hung up",
    "a handler failed",
    "a handler panicked",
    "a handler was slow",
    "a host died",
    "a host lost sight of its records",
    "a lease ended",
    "a link was cut",
    "a link was cut one way",
    "a zombie was fenced out",
    "died after the commit",
    "died before the commit",
    "messages were kept back",
    "the store was out of reach",
    "the store's answer was lost",
];
