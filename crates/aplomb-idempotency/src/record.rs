//! What a store keeps of a key, and the questions put to it.

use std::num::NonZeroU64;
use std::time::Duration;

use uuid::Uuid;

use crate::{Fingerprint, Identity, StoredAnswer};

/// Everything that is known of a key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// What the key names.
    pub identity: Identity,
    /// What it was used for.
    pub fingerprint: Fingerprint,
    /// When it was first used, on the store's clock.
    pub created: Timestamp,
    /// Where it stands.
    pub state: State,
}

impl Record {
    /// A record, as a store read it.
    pub fn new(
        identity: Identity,
        fingerprint: Fingerprint,
        created: Timestamp,
        state: State,
    ) -> Self {
        Self { identity, fingerprint, created, state }
    }
}

/// Where a key stands. The absence of a record is a state too.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "stores must handle every state")]
pub enum State {
    /// A handler runs, or ran when its process died.
    Started(Started),
    /// The outcome is known and replayed until it expires.
    Completed {
        /// The claim that completed it.
        fence: Fence,
        /// The outcome.
        answer: StoredAnswer,
        /// When it may be forgotten.
        expires: Timestamp,
    },
    /// Whether the handler had its effect is not known. Stays until a person resolves it.
    Unknown {
        /// The claim whose outcome is not known.
        fence: Fence,
        /// Since when.
        since: Timestamp,
    },
    /// The handler had no effect: the key may be used again, for another payload too.
    Released {
        /// The claim that was given up.
        fence: Fence,
        /// How many claims there were.
        attempt: u32,
        /// When it may be forgotten.
        expires: Timestamp,
    },
    /// The outcome was forgotten; that the key was used is not.
    Tombstone {
        /// The claim that completed it.
        fence: Fence,
        /// When it may be forgotten.
        expires: Timestamp,
    },
}

impl State {
    /// The claim that made this state.
    pub const fn fence(&self) -> Fence {
        match self {
            Self::Started(Started { fence, .. })
            | Self::Completed { fence, .. }
            | Self::Unknown { fence, .. }
            | Self::Released { fence, .. }
            | Self::Tombstone { fence, .. } => *fence,
        }
    }

    /// When it may be forgotten, or `None` when only a transition ends it.
    pub const fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::Started(_) | Self::Unknown { .. } => None,
            Self::Completed { expires, .. }
            | Self::Released { expires, .. }
            | Self::Tombstone { expires, .. } => Some(*expires),
        }
    }

    /// Its word in a store's column and in logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::Completed { .. } => "completed",
            Self::Unknown { .. } => "unknown",
            Self::Released { .. } => "released",
            Self::Tombstone { .. } => "tombstone",
        }
    }
}

/// A claim that holds a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what a claim is")]
pub struct Started {
    /// Its number, which no other claim of the store ever had or will have.
    pub fence: Fence,
    /// Which claim of this key it is, from 1.
    pub attempt: u32,
    /// Until when nobody else may claim the key, on the store's clock.
    pub lease_until: Timestamp,
    /// The call of `begin` that took it.
    pub ticket: Ticket,
}

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
pub fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Names one call of `begin`, so that a call whose answer was lost can be repeated: the same
/// ticket is given the same claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(Uuid);

impl Ticket {
    /// A ticket that no other call has. It is not rolled with the layer's dice: two processes with
    /// the same seed must not share a claim.
    pub fn unique() -> Self {
        Self(Uuid::now_v7())
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

/// Asks for a key.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what is asked")]
pub struct Begin {
    /// What the key names.
    pub identity: Identity,
    /// What it is used for.
    pub fingerprint: Fingerprint,
    /// How long the claim holds unless it is renewed.
    pub lease: Duration,
    /// What a claim whose lease ended means.
    pub lapsed: Lapsed,
    /// Names this call.
    pub ticket: Ticket,
}

/// What it means that a claim's lease ended before its outcome was recorded: the route's policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lapsed {
    /// The handler may have had its effect: the outcome is unknown.
    #[default]
    Unknown,
    /// The handler records its answer in the transaction of its effect, so there was no effect:
    /// it runs again.
    RunAgain,
}

/// What a store answers to [`Begin`].
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers must handle every answer")]
pub enum Begun {
    /// The key is yours: run the handler.
    Claimed(Started),
    /// The outcome is known: replay it.
    Replay(StoredAnswer),
    /// The key was used for something else.
    Mismatch,
    /// Another claim holds the key.
    InFlight,
    /// Whether an earlier claim had its effect is not known.
    Unknown,
    /// The key was used and its outcome forgotten.
    Gone,
}

/// A claim as its holder names it to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "where and which")]
pub struct Held {
    /// Where the record lies.
    pub id: crate::RecordId,
    /// Which claim it is.
    pub fence: Fence,
}

/// Whether a claim was still its holder's to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it was or it was not")]
#[must_use]
pub enum Settled {
    /// It was, and now it is changed for good. Said again to whoever repeats the same change.
    Done,
    /// It was not: nothing changed. Read the record to learn what became of the key.
    Lost,
}
