//! What a store keeps of a key, and the questions put to it.

mod units;

use std::time::Duration;

use crate::{Fingerprint, Identity, StoredAnswer};

pub use units::{Fence, Ticket, Timestamp, millis};

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

    /// The claim that made its state, as a store names it.
    pub fn held(&self) -> Held {
        Held { id: self.identity.id(), fence: self.state.fence() }
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
        /// Until when it is replayed.
        expires: Timestamp,
        /// Until when the key is refused after that, never before `expires`.
        retired_until: Timestamp,
    },
    /// Whether the handler had its effect is not known. Stays until a person resolves it.
    Unknown {
        /// The claim whose outcome is not known.
        fence: Fence,
        /// Which claim of this key it was.
        attempt: u32,
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
            Self::Completed { retired_until: expires, .. }
            | Self::Released { expires, .. }
            | Self::Tombstone { expires, .. } => Some(*expires),
        }
    }

    /// When a sweep has something to do about it: what [`machine::expire`](crate::machine::expire)
    /// says from then on is not to keep it.
    pub fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Started(started) => started.due(),
            Self::Unknown { .. } => None,
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
    /// What it means when its lease ends.
    pub lapsed: Lapsed,
    /// Whether it took the key from a claim whose lease had ended, and which may have had its
    /// effect as far as the store knows.
    pub after_lapse: bool,
}

impl Started {
    /// Whether its lease has ended at `now`. It may be renewed or completed nevertheless, as long
    /// as nobody took the key.
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        self.lease_until <= now
    }

    /// When a sweep gives up waiting for its holder, or for a caller that asks again.
    pub fn due(&self) -> Option<Timestamp> {
        match self.lapsed {
            Lapsed::Recover => None,
            Lapsed::Unknown | Lapsed::RunAgain | Lapsed::AtLeastOnce => {
                Some(self.lease_until.plus(LAPSED_KEPT))
            }
        }
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
#[expect(clippy::exhaustive_enums, reason = "stores must write every policy")]
pub enum Lapsed {
    /// The handler may have had its effect: the outcome is unknown.
    #[default]
    Unknown,
    /// The handler records its answer in the transaction of its effect, so there was no effect:
    /// it runs again.
    RunAgain,
    /// The key is given to a claim that asks what became of the effect before it does anything.
    Recover,
    /// The handler runs again, and its effect may happen more than once: the route asked for it.
    AtLeastOnce,
}

impl Lapsed {
    /// Its word in a store's column and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::RunAgain => "run_again",
            Self::Recover => "recover",
            Self::AtLeastOnce => "at_least_once",
        }
    }

    /// The policy of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Unknown, Self::RunAgain, Self::Recover, Self::AtLeastOnce];
        all.into_iter().find(|lapsed| lapsed.as_str() == word)
    }
}

/// How long an outcome is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "for the answer and for the key")]
pub struct Keep {
    /// For how long the answer is replayed.
    pub answer: Duration,
    /// For how long after that the key is refused instead of running again.
    pub key: Duration,
}

impl Keep {
    /// When an answer that is recorded `now` expires, and until when its key is refused.
    pub fn from(self, now: Timestamp) -> (Timestamp, Timestamp) {
        let expires = now.plus(self.answer);
        (expires, expires.plus(self.key))
    }
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
///
/// ```
/// use aplomb_idempotency::record::Held;
/// use aplomb_idempotency::{MemoryStore, Settled, Store, StoreError};
///
/// /// Says that nothing came of it, so that the key may be used again.
/// async fn give_back(store: &MemoryStore, held: Held) -> Result<Settled, StoreError> {
///     store.abandon(held, std::time::Duration::from_secs(60)).await
/// }
/// # let _ = give_back;
/// ```
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

/// How long a sweep leaves a claim alone whose lease has ended: its process may only have been
/// stopped for a while, and its caller be about to ask again.
pub const LAPSED_KEPT: Duration = Duration::from_secs(3600);
