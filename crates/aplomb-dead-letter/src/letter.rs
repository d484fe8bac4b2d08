use std::fmt;

use crate::{Cause, KeptRequest, LastFailure, LetterId, Timestamp};

/// A request that finally failed, with what whoever sends it again must know.
#[derive(Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "stores write and read each part of it")]
pub struct Letter {
    /// The name of its work.
    pub id: LetterId,
    /// The request, without secrets.
    pub request: KeptRequest,
    /// Its key: every send of this work carries it.
    pub key: Box<str>,
    /// Why it was written.
    pub cause: Cause,
    /// How often the request was sent, retries and redrives included.
    pub attempts: u32,
    /// How often its job was taken up.
    pub rounds: u32,
    /// How it failed last.
    pub last_failure: LastFailure,
    /// When it failed first, on the worker's calendar.
    pub first_failed_at: Timestamp,
    /// When it failed last.
    pub last_failed_at: Timestamp,
    /// When it may be sent again at the earliest: what the server asked for, else at once.
    pub not_before: Timestamp,
    /// When its job's horizon ends or ended; `None` when it had no queue to wait in.
    pub horizon: Option<Timestamp>,
}

/// Keys made from business data say too much in a log.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter")
            .field("id", &self.id)
            .field("request", &self.request)
            .field("cause", &self.cause)
            .field("attempts", &self.attempts)
            .field("last_failure", &self.last_failure)
            .finish_non_exhaustive()
    }
}

/// A letter as a sink keeps it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "stores write and read each part of it")]
pub struct Record {
    /// The letter.
    pub letter: Letter,
    /// Where it stands.
    pub state: State,
    /// How often it was redriven.
    pub redrives: u32,
    /// The number of its last redrive, 0 before the first. It is greater than that of any earlier
    /// one in the sink, so that a redriver who was stopped and wakes late changes nothing.
    pub fence: u64,
    /// When it was stored, on the sink's clock.
    pub stored_at: Timestamp,
}

impl Record {
    /// Whether nothing is left to be done about it.
    pub const fn is_ended(&self) -> bool {
        self.state.ended_at().is_some()
    }
}

/// Where a letter stands. All times are the sink's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "stores must handle every state")]
pub enum State {
    /// It waits for somebody to redrive or to discard it.
    Stored,
    /// Somebody sends it again.
    Redriving {
        /// Until when nobody else may.
        until: Timestamp,
    },
    /// It arrived.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// Somebody decided that it need not arrive.
    Discarded {
        /// When.
        at: Timestamp,
    },
}

impl State {
    /// When it ended, if it did.
    pub const fn ended_at(&self) -> Option<Timestamp> {
        match self {
            Self::Stored | Self::Redriving { .. } => None,
            Self::Delivered { at } | Self::Discarded { at } => Some(*at),
        }
    }

    /// Until when somebody sends it, if somebody does.
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Redriving { until } => Some(*until),
            Self::Stored | Self::Delivered { .. } | Self::Discarded { .. } => None,
        }
    }

    /// Its word in columns and labels.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Redriving { .. } => "redriving",
            Self::Delivered { .. } => "delivered",
            Self::Discarded { .. } => "discarded",
        }
    }

    /// The state of that word, with the time that belongs to it.
    pub const fn from_word(word: &str, time: Option<Timestamp>) -> Option<Self> {
        match (word.as_bytes(), time) {
            (b"stored", _) => Some(Self::Stored),
            (b"redriving", Some(until)) => Some(Self::Redriving { until }),
            (b"delivered", Some(at)) => Some(Self::Delivered { at }),
            (b"discarded", Some(at)) => Some(Self::Discarded { at }),
            _ => None,
        }
    }
}
