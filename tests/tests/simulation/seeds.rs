use std::collections::BTreeMap;
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::{env, panic, thread};

use crate::run::{Run, run};
use crate::services::ON_PURPOSE;
use crate::world::held;

/// Runs these seeds, one after the other.
///
/// A seed that breaks a law is told with the command that repeats it.
pub(crate) fn hold(seeds: Range<u64>) {
    quieten();
    let count = seeds.end - seeds.start;
    let mut found = Found::default();
    for seed in seeds {
        let run = run(seed);
        if env::var_os(TRACE).is_some() {
            println!("{}{}", headline(seed), run.trace);
        }
        found.add(seed, run);
    }
    if env::var_os(FOR_ANOTHER).is_some() {
        found.hand_over();
    } else {
        found.tell(count);
    }
}

/// Runs these seeds in as many processes as the machine has cores: within one, only one runs at a
/// time.
pub(crate) fn hold_in_processes(seeds: Range<u64>) {
    let count = seeds.end - seeds.start;
    let (next, found) = (AtomicU64::new(seeds.start), Mutex::new(Found::default()));
    let work = || {
        loop {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= seeds.end {
                return;
            }
            let told = in_a_process(first..seeds.end.min(first + BATCH), false);
            held(&found).take_over(&told);
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    held(&found).tell(count);
}

/// What a process prints that runs these seeds and judges nothing.
pub(crate) fn in_a_process(seeds: Range<u64>, traces: bool) -> String {
    let mut process = Command::new(env::current_exe().expect("a test knows its program"));
    process.args(["--exact", "prints_the_seeds_that_are_asked_for", "--nocapture"]);
    process.env(ASKED_FOR, format!("{}..{}", seeds.start, seeds.end)).env(FOR_ANOTHER, "1");
    if traces {
        process.env(TRACE, "1");
    }
    let output = process.output().expect("a test can start itself");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the process of {seeds:?} died:\n{told}\n{said}");
    told
}

/// Stands above the trace of a seed.
pub(crate) fn headline(seed: u64) -> String {
    format!("seed {seed}:\n")
}

/// Whether this process runs what another asked it for.
pub(crate) fn is_for_another() -> bool {
    env::var_os(FOR_ANOTHER).is_some() || env::var_os(TRACE).is_some()
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

#[derive(Default)]
struct Found {
    broken: BTreeMap<u64, Vec<String>>,
    seen: BTreeMap<String, u64>,
}

impl Found {
    fn add(&mut self, seed: u64, run: Run) {
        if !run.broken.is_empty() {
            self.broken.insert(seed, run.broken);
        }
        for (what, times) in run.seen {
            *self.seen.entry(what.to_owned()).or_default() += times;
        }
    }

    /// For the process that asked, a line each.
    fn hand_over(&self) {
        for (what, times) in &self.seen {
            println!("{SEEN}\t{times}\t{what}");
        }
        for (seed, broken) in &self.broken {
            for law in broken {
                println!("{BROKE}\t{seed}\t{law}");
            }
        }
    }

    fn take_over(&mut self, told: &str) {
        for line in told.lines() {
            let mut parts = line.splitn(3, '\t');
            let (kind, number, text) = (parts.next(), parts.next(), parts.next());
            let (Some(kind), Some(number), Some(text)) = (kind, number, text) else { continue };
            let number: u64 = number.parse().expect("what is handed over has a number");
            if kind == BROKE {
                self.broken.entry(number).or_default().push(text.to_owned());
            } else if kind == SEEN {
                *self.seen.entry(text.to_owned()).or_default() += number;
            }
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
            let missing = TROUBLES.iter().filter(|what| !self.seen.contains_key(**what));
            let missing: Vec<_> = missing.collect();
            assert!(missing.is_empty(), "in {count} seeds these never came up: {missing:?}");
        }
    }
}

/// Seeds to run, for the test that is asked by the environment.
pub(crate) const ASKED_FOR: &str = "APLOMB_SEEDS";
/// Prints what happened in each seed.
pub(crate) const TRACE: &str = "APLOMB_TRACE";
/// Judges nothing, and hands over what it found.
const FOR_ANOTHER: &str = "APLOMB_FOR_ANOTHER";
const SEEN: &str = "seen";
const BROKE: &str = "broke";
/// So many seeds a process.
const BATCH: u64 = 20;
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
