use std::fmt;
use std::time::Duration;

/// What an answer means to every layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an answer counts for, against or not at all")]
pub enum Outcome {
    /// The dependency did its work.
    Success,
    /// No vote anywhere: the caller's own mistake (a 4xx), a call that was cancelled, or one that a
    /// limit of our own did not let out.
    Neutral,
    /// The dependency, or the way to it, failed.
    Failure(Failure),
}

impl Outcome {
    /// The failure, if it is one.
    pub fn failure(self) -> Option<Failure> {
        match self {
            Self::Failure(failure) => Some(failure),
            Self::Success | Self::Neutral => None,
        }
    }
}

/// A failure, with what the server said about coming back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// What the server asked for.
    pub pushback: Pushback,
    /// Whether a pooled connection went away before a byte of the request was written
    /// (GOAWAY, `REFUSED_STREAM`, closed while idle): the one failure whose first retry is free.
    pub stale_connection: bool,
    /// Whether a layer of ours held the call back (a pause, an open circuit, no time left): nothing
    /// left the process, so it says nothing about the dependency's health, and costs nothing.
    pub held_back: bool,
}

impl Failure {
    /// A failure of this kind about which the server said nothing.
    pub const fn new(kind: FailureKind) -> Self {
        Self { kind, pushback: Pushback::None, stale_connection: false, held_back: false }
    }

    /// With what the server asked for.
    #[must_use]
    pub const fn pushback(mut self, pushback: Pushback) -> Self {
        self.pushback = pushback;
        self
    }

    /// An unsent request on a pooled connection that had gone stale.
    pub const fn stale() -> Self {
        Self { stale_connection: true, ..Self::new(FailureKind::Unsent) }
    }

    /// A request that a layer of ours did not let out.
    pub const fn held_back() -> Self {
        Self { held_back: true, ..Self::new(FailureKind::Unsent) }
    }
}

/// The kinds of failure, by what they allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// Provably never reached the server: anything may be repeated.
    Unsent,
    /// No answer in time: the server may have acted.
    Timeout,
    /// A reset, 408, 425 or 5xx that may pass: the server may have acted.
    Transient,
    /// The server asked for less: 429, or 503 with a `Retry-After`.
    Throttled,
    /// A keyed request is in flight elsewhere: the same key again, later. Not the server's fault.
    Pending,
    /// Trying again cannot help: 501, 505, TLS, protocol.
    Permanent,
}

impl FailureKind {
    /// A word for labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsent => "unsent",
            Self::Timeout => "timeout",
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Pending => "pending",
            Self::Permanent => "permanent",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the server asked for when it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "nothing, a time, or never")]
pub enum Pushback {
    /// Nothing.
    #[default]
    None,
    /// Not before this much time has passed.
    After(Duration),
    /// Do not retry at all (`x-should-retry: false`, a negative gRPC pushback).
    Stop,
}
