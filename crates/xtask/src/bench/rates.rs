//! The benches that measure rates: each one program, one table, one section of the page.

use std::process::{Command, Stdio};

use super::measure::built;
use super::page::{self, Section};
use super::sheet::Sheet;
use crate::report::Report;
use crate::steps::{Line, Step};

/// A bench that prints a [`Sheet`].
pub(super) struct Rates {
    /// The program of `aplomb-bench`.
    program: &'static str,
    /// What it asks of the crate beyond the layers.
    features: &'static [&'static str],
    section: Section,
    /// How the figures came about.
    introduction: &'static str,
    /// What the profile shows of what is missed: words of the row's first two cells, the reason.
    why: &'static [(&'static str, &'static str)],
}

impl Rates {
    /// Builds it, runs it, prints its table, writes it down.
    pub(super) fn run(&self, report: &mut Report) {
        let build = ["build", "--release", "--package", "aplomb-bench", "--bin", self.program];
        let features: Vec<_> = self.features.iter().flat_map(|name| ["--features", name]).collect();
        let line = Line::cargo(&[&build[..], &features].concat());
        report.run(&Step::new(format!("build {}", self.program), [line]));
        report.work(self.program, || self.tell().err().into_iter().collect());
    }

    fn tell(&self) -> Result<(), String> {
        let sheet = Sheet::parse(&printed(self.program)?)?;
        println!("{sheet}");
        write(self.section, self.introduction, &sheet, self.why)
    }
}

/// Writes a sheet down, with the reasons for what it misses.
pub(super) fn write(
    section: Section,
    introduction: &str,
    sheet: &Sheet,
    why: &[(&str, &str)],
) -> Result<(), String> {
    let misses = sheet.misses(why);
    let misses = if misses.is_empty() { misses } else { format!("\nMissed:\n\n{misses}") };
    page::write(section, &format!("{introduction}\n\n{sheet}{misses}"))
}

/// What a bench prints; its progress goes where ours goes.
fn printed(program: &str) -> Result<String, String> {
    let child = Command::new(built(program)).stdout(Stdio::piped()).spawn();
    let output = child.and_then(std::process::Child::wait_with_output);
    let output = output.map_err(|error| format!("{program} did not start: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(printed) } else { Err(format!("{program} failed")) }
}

pub(super) const THREADS: Rates = Rates {
    program: "threads",
    features: &["rates"],
    section: Section::Threads,
    introduction: "\
How many calls two threads make through clones of one closed breaker, against one thread alone. The
bare row is what this machine gives two threads that share nothing. The median of interleaved rounds, in
about half a minute. Made by `cargo xtask bench threads`.",
    why: &[(
        "aplomb",
        "each call counts the clones' common `Arc` up and down, a cache line that both threads write; \
         an `Arc` of each clone's own would cost an allocation with every clone",
    )],
};

pub(super) const KEYS: Rates = Rates {
    program: "keys",
    features: &["rates"],
    section: Section::Keys,
    introduction: "\
A keyed call on a route whose store in memory holds so many answered keys already, beside the same on an
empty one, one caller. The store's default bound is 100,000 records; this one is built with
`MemoryStore::bounded` for more. The median of interleaved rounds, in about half a minute. Made by
`cargo xtask bench keys`.",
    why: &[
        (
            "replay 1000000",
            "a look-up in a map of a million records touches memory that no cache holds, where the \
             small map's five hundred keys were written a moment ago",
        ),
        (
            "first call 1000000",
            "an insert into a map and a queue of a million records touches memory that no cache holds",
        ),
    ],
};

pub(super) const HTTP: Rates = Rates {
    program: "http",
    features: &["rates"],
    section: Section::Http,
    introduction: "\
GETs of 1 KiB over loopback HTTP, the server a process of its own: hyper-util's client bare, then with the
whole stack of a policy around it (deadlines, retry with its budget, backoff, in-flight limit, breaker),
then with retry and timeout of tower, then with retry, breaker and time limit of tower-resilience. The
share is the median of interleaved rounds' own shares, in about a minute. Made by `cargo xtask bench http`.",
    why: &[(
        "aplomb",
        "client and server have one core each, so what the stack adds on the client's is seen in \
         full: about a microsecond beside the forty of an exchange",
    )],
};

pub(super) const STORES: Rates = Rates {
    program: "stores",
    features: &["rates"],
    section: Section::Stores,
    introduction: "\
A first call is `begin` and `complete` of a new key with an answer of 1 KiB, a replay the `begin` of an
answered one. Each store beside what its database gives a client that has the same to lose: on Redis one
shared connection with its commands in a row, on SQLite transactions of 64 callers at once, on Postgres a
pool of ten connections. Disks differ by a factor of twenty, so do moments of one: the shares mean something,
as medians of interleaved rounds' own shares. About three minutes, with servers of its own. Made by
`cargo xtask bench stores`.",
    why: &[
        (
            "Redis begin",
            "the server spends 42 µs on the script that writes a claim, 1.8 on a bare `SET` (its own \
             `commandstats`): 19 on the members of the indexes and the fence in sorted sets, two on \
             the record, the rest on running a script; a server that has a core to itself and a \
             client that is slower than it hide most of that",
        ),
        (
            "Redis replay",
            "the server spends 4.6 µs on the script that reads an answer, 0.13 on a bare `GET` (its \
             own `commandstats`); reading first would take a new key, which most are, a round trip \
             more",
        ),
        (
            "Postgres first",
            "where commits are not waited for, the server spends 0.2 ms on each of its statements, \
             0.05 on the bare ones: four indexes instead of one, a lock that is held while the fence \
             is drawn, a row checked as a whole; slow disks hide it, and ten connections on two \
             cores do not",
        ),
        (
            "Postgres replay",
            "one statement does for a new key and for a known one, and takes 0.085 ms where a bare \
             `SELECT` takes 0.036: it opens the insert's indexes before it knows; reading first \
             would take a new key, which most are, a round trip more",
        ),
        (
            "SQLite first",
            "a call commits twice, and reads in between whether its key is known, so a commit is \
             shared by a third of the callers, not by all",
        ),
        (
            "SQLite replay",
            "four connections read, and a replay decodes a whole record where the bare read looks \
             at none of its columns",
        ),
    ],
};
