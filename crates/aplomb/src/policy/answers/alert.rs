use std::fmt;

/// A metric that somebody is told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alert(&'static str);

impl Alert {
    /// Calls whose retries ran out.
    pub const RETRIES_EXHAUSTED: Self = Self("retry_exhausted_total");
    /// How calls ended: at the first try, rescued, degraded, failed.
    pub const CALLS: Self = Self("dependency_calls_total");
    /// Answers from a fallback.
    pub const FALLBACKS: Self = Self("fallback_used_total");
    /// Letters kept for redrive.
    pub const DEAD_LETTERS: Self = Self("dead_letter_messages_total");

    /// Every metric that an alert can watch.
    pub const ALL: &[Self] = &[
        Self("retry_attempts_total"),
        Self::RETRIES_EXHAUSTED,
        Self("retry_denied_total"),
        Self("retry_budget_balance"),
        Self("dependency_timeout_total"),
        Self::CALLS,
        Self("circuit_breaker_open_total"),
        Self("circuit_breaker_state"),
        Self("circuit_breaker_rejected_total"),
        Self::FALLBACKS,
        Self("idempotency_key_reused_total"),
        Self("idempotency_conflicts_total"),
        Self::DEAD_LETTERS,
        Self("admission_rejected_total"),
    ];

    /// The metric of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|alert| alert.0 == name)
    }

    /// The metric's name, without any prefix.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
