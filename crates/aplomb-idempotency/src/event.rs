/// What the layer did.
///
/// ```
/// use aplomb_idempotency::{IdempotencyEvent, IdempotencyLayer, MemoryStore};
///
/// let layer = IdempotencyLayer::new(MemoryStore::new())
///     .observe(|event: &IdempotencyEvent| println!("idempotency {}", event.as_str()));
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdempotencyEvent {
    /// A key was claimed: the handler runs.
    Claimed,
    /// A stored answer was replayed.
    Replayed,
    /// A key was used for another payload: 422.
    Mismatch,
    /// A key's handler is still running: 409.
    InFlight,
    /// It is not known whether a key's handler had its effect: 409.
    Unknown,
    /// A key's outcome was forgotten: 410.
    Gone,
    /// A request had no key, or one that cannot be read: 400.
    BadKey,
    /// A request had no principal, and the layer no global scope: 500.
    NoScope,
    /// A request's body was over the cap: 413.
    BodyTooLarge,
    /// A request's body did not arrive in time: 408.
    BodyTooSlow,
    /// The outcome was recorded.
    Completed,
    /// The outcome was recorded, without a body that was too long or a stream.
    NotRetained,
    /// Nothing happened: the key was given back.
    Released,
    /// The outcome was recorded as unknown.
    MarkedUnknown,
    /// A handler panicked.
    Panicked,
    /// Another claim took the key while the handler ran.
    LeaseLost,
    /// A handler of a transactional route answered success without having recorded it: 500.
    Unrecorded,
    /// The store failed.
    StoreFailed,
    /// A duplicate waits for the outcome of the first.
    Waiting,
    /// A `recover` hook found the effect of an earlier claim: its answer was recorded.
    Recovered,
    /// A stored answer could not be opened: 500.
    Unreadable,
    /// An operator resolved a doubt.
    Resolved,
    /// An operator erased answers.
    Purged,
}

impl IdempotencyEvent {
    /// A word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Replayed => "replayed",
            Self::Mismatch => "mismatch",
            Self::InFlight => "in_flight",
            Self::Unknown => "unknown",
            Self::Gone => "gone",
            Self::BadKey => "bad_key",
            Self::NoScope => "no_scope",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::Completed => "completed",
            Self::NotRetained => "not_retained",
            Self::Released => "released",
            Self::MarkedUnknown => "marked_unknown",
            Self::Panicked => "panicked",
            Self::LeaseLost => "lease_lost",
            Self::Unrecorded => "unrecorded",
            Self::StoreFailed => "store_failed",
            Self::Waiting => "waiting",
            Self::Recovered => "recovered",
            Self::Unreadable => "unreadable",
            Self::Resolved => "resolved",
            Self::Purged => "purged",
        }
    }
}
