use std::fmt;

use crate::{Call, Safety};

/// What kind of operation a request is part of: risk to correctness by urgency of its user.
///
/// Put it into the request's extensions, or let method and key tell it.
///
/// ```
/// use aplomb_core::{Call, OperationClass};
///
/// let headers = http::HeaderMap::new();
/// let look = Call::of(&http::Method::GET, &headers);
/// assert_eq!(OperationClass::of(look), OperationClass::Read);
/// assert_eq!(OperationClass::KeyedWrite.as_str(), "keyed-write");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OperationClass {
    /// Reads what may be read again: product availability.
    Read,
    /// Writes once per key: an inventory reservation.
    KeyedWrite,
    /// Writes without a key; another layer owns its retries: an order confirmation.
    Confirm,
    /// Nobody waits for it: a shipment.
    Deferred,
    /// May be dropped: analytics.
    BestEffort,
}

impl OperationClass {
    /// The class of a request that names none, by its method and key.
    #[inline]
    pub const fn of(call: Call) -> Self {
        match (call.safety, call.keyed) {
            (Safety::Idempotent, _) => Self::Read,
            (Safety::Unsafe, true) => Self::KeyedWrite,
            (Safety::Unsafe, false) => Self::Confirm,
        }
    }

    /// Every class.
    pub const ALL: &[Self] =
        &[Self::Read, Self::KeyedWrite, Self::Confirm, Self::Deferred, Self::BestEffort];

    /// A word for labels and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::KeyedWrite => "keyed-write",
            Self::Confirm => "confirm",
            Self::Deferred => "deferred",
            Self::BestEffort => "best-effort",
        }
    }
}

impl fmt::Display for OperationClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
