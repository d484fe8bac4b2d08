use std::cell::Cell;
use std::num::NonZeroU64;
use std::time::Duration;

use uuid::Uuid;

/// The number of a claim. A later claim of any key in the store has a greater one.
///
/// Pass it on to systems that can refuse a smaller number than they have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(NonZeroU64);

impl Fence {
    /// The fence of this number; `None` for 0 and for what a signed column cannot hold.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) if number.get() <= i64::MAX as u64 => Some(Self(number)),
            _ => None,
        }
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// A moment on a store's own clock, in milliseconds since 1970.
///
/// Clocks of machines differ, so only a store's clock is compared with its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// So many milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This much later, at the end of time at most.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(millis(time)))
    }
}

/// A duration in whole milliseconds, as stores bind it.
///
/// ```
/// use std::time::Duration;
/// use aplomb_idempotency::record::{Timestamp, millis};
///
/// let later = Timestamp::from_millis(0).plus(Duration::from_secs(2));
/// assert_eq!(later.as_millis(), millis(Duration::from_secs(2)));
/// ```
pub fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

thread_local! {
    static NEXT: Cell<u128> = Cell::new(Uuid::new_v4().as_u128());
}

/// Names one call of `begin`, so that a call whose answer was lost can be repeated: the same
/// ticket is given the same claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(Uuid);

impl Ticket {
    /// A ticket that no other call has. It is not rolled with the layer's dice: two processes with
    /// the same seed must not share a claim.
    ///
    /// A thread asks the system for 122 random bits once, and counts on from there.
    pub fn unique() -> Self {
        NEXT.with(|next| {
            let ticket = next.get();
            next.set(ticket.wrapping_add(1));
            Self(Uuid::from_u128(ticket))
        })
    }

    /// The ticket of these bytes, as a store wrote them.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}
