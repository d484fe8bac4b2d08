use std::fmt;
use std::time::Duration;

/// Why a dependency's own answer was not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// The dependency is left alone for now: its circuit is open, or it asked for a pause.
    Open,
    /// The call failed, and the retry budget was empty.
    Budget,
    /// Time was up.
    Deadline,
    /// The dependency asked for less.
    Throttled,
    /// The dependency, or the way to it, failed.
    Upstream,
    /// Our own limit of calls in flight to the dependency was used up.
    Bulkhead,
}

impl Condition {
    /// Every condition.
    pub const ALL: &[Self] = &[
        Self::Open,
        Self::Budget,
        Self::Deadline,
        Self::Throttled,
        Self::Upstream,
        Self::Bulkhead,
    ];

    /// A word for labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Budget => "budget",
            Self::Deadline => "deadline",
            Self::Throttled => "throttled",
            Self::Upstream => "upstream",
            Self::Bulkhead => "bulkhead",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// In what way an answer is less than what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DegradedKind {
    /// It was true some time ago.
    Stale,
    /// Some of it is missing.
    Partial,
    /// It says that the work will be done later.
    Delayed,
    /// It stands in for an answer that nobody had.
    Approximate,
}

impl DegradedKind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Stale, Self::Partial, Self::Delayed, Self::Approximate];

    /// A word for labels and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Partial => "partial",
            Self::Delayed => "delayed",
            Self::Approximate => "approximate",
        }
    }
}

impl fmt::Display for DegradedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says that an answer is less than what was asked for: in the response's extensions, for handlers
/// that show it, layers that count it, and caches that must not keep it.
///
/// ```
/// use aplomb_core::{Condition, Degraded, DegradedKind};
///
/// let mut response = http::Response::new("limited availability");
/// let why = Degraded::new(DegradedKind::Approximate, Condition::Open, "stand-in");
/// response.extensions_mut().insert(why);
/// assert!(Degraded::of(response.extensions()).is_some_and(|it| it.reason == Condition::Open));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Degraded {
    /// In what way it is less.
    pub kind: DegradedKind,
    /// Why the answer itself was not to be had.
    pub reason: Condition,
    /// Who answered instead, in a word: `cache`, `fixed`, the name of a replica.
    pub source: &'static str,
    /// How long ago it was true, if that is known.
    pub age: Option<Duration>,
}

impl Degraded {
    /// An answer of `source`, less in the way of `kind`, given for `reason`.
    pub const fn new(kind: DegradedKind, reason: Condition, source: &'static str) -> Self {
        Self { kind, reason, source, age: None }
    }

    /// True so long ago.
    #[must_use]
    pub const fn age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// What a response says of itself, if it is degraded.
    pub fn of(extensions: &http::Extensions) -> Option<Self> {
        extensions.get().copied()
    }
}
