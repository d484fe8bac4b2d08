use std::time::Duration;

use aplomb_core::time::Instant;

use crate::Timestamp;

/// The job behind a request, as its queue knows it: put it into the request's extensions.
///
/// A queue that remembers jobs across restarts says here what it remembers. A request without a job
/// has no queue to wait in: its horizon ends at once.
///
/// ```
/// use std::time::Duration;
/// use aplomb_core::{OperationClass, time};
/// use aplomb_dead_letter::Job;
///
/// let job = Job::new(Duration::from_secs(3600), time::now()).rounds(2);
/// let request = http::Request::post("http://ships:7002/shipments")
///     .header("idempotency-key", "order_123_shipment")
///     .extension(OperationClass::Deferred)
///     .extension(job)
///     .body(())?;
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Job {
    pub(crate) ends: Instant,
    pub(crate) rounds: u32,
    pub(crate) attempts: u32,
    pub(crate) first_failed_at: Option<Timestamp>,
}

impl Job {
    /// A job whose horizon ends `left` from `now`. A duration, because the queue's clock and this
    /// process's need not agree.
    pub fn new(left: Duration, now: Instant) -> Self {
        // An instant has an end; nobody's horizon does.
        let ends = now + left.min(CENTURY);
        Self { ends, rounds: 0, attempts: 0, first_failed_at: None }
    }

    /// How often it was taken from its queue before, counted when it is taken: a worker that was
    /// killed has taken it nevertheless.
    pub const fn rounds(mut self, rounds: u32) -> Self {
        self.rounds = rounds;
        self
    }

    /// How often its request was sent before, as far as is known.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// When it failed first.
    pub const fn first_failed_at(mut self, at: Timestamp) -> Self {
        self.first_failed_at = Some(at);
        self
    }

    /// How much is left until its horizon ends.
    pub fn left(&self, now: Instant) -> Duration {
        self.ends.saturating_duration_since(now)
    }

    /// Whether it may have a letter already: a worker may have died after it had stored one.
    pub(crate) const fn may_have_a_letter(&self) -> bool {
        self.rounds > 0
    }
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
