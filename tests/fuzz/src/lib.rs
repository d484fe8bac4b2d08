//! Hostile input for everything of ours that reads it: one function a parser, bytes in, nothing out.
//!
//! A target panics where a law does not hold; that it returns at all is the first law. The same
//! functions are replayed over a corpus as ordinary tests, driven with random bytes by this crate's
//! program, driven by coverage under cargo-fuzz (`cargo xtask fuzz`).

mod bytes;
mod drive;
mod headers;
mod kept;
mod machines;
mod policies;

pub use drive::drive;

/// Something that reads what anybody may send.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a name and a function")]
pub struct Target {
    /// Its name, which is that of its corpus.
    pub name: &'static str,
    /// Reads these bytes, whatever they are.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "idempotency_key", run: headers::idempotency_key },
    Target { name: "retry_after", run: headers::retry_after },
    Target { name: "deadline", run: headers::deadline },
    Target { name: "answer", run: headers::answer },
    Target { name: "policy", run: policies::policy },
    Target { name: "stored_answer", run: kept::stored_answer },
    Target { name: "reference", run: kept::reference },
    Target { name: "claims", run: machines::claims },
    Target { name: "budget", run: machines::budget },
    Target { name: "breaker", run: machines::breaker },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}
