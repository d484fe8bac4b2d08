//! The rules of letters, as pure functions. Every sink steps its records by them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::operator::{Action, AuditEntry, Note};
use crate::{LastFailure, Letter, Record, State, Timestamp};

/// What is to be done to a letter.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "stores must carry out each of them")]
pub enum Step {
    /// Somebody wants to send it.
    Claim {
        /// Who and why.
        note: Note,
        /// For how long nobody else may.
        lease: Duration,
        /// How often a letter may be redriven in all.
        redrives_max: u32,
    },
    /// Whoever claimed it says what became of it.
    Settle {
        /// Who and why.
        note: Note,
        /// The claim.
        fence: u64,
        /// What became of it.
        redrive: Ended,
    },
    /// Somebody decides that it need not arrive.
    Discard {
        /// Who and why.
        note: Note,
    },
    /// Its work was done from the queue that it came from.
    Retract {
        /// Who says so.
        note: Note,
    },
}

impl Step {
    /// Whether a new fence is to be drawn for it, while the record is held.
    pub const fn draws_fence(&self) -> bool {
        matches!(self, Self::Claim { .. })
    }
}

/// How a redrive ended.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it arrived, it failed or it was not sent")]
pub enum Ended {
    /// It arrived.
    Delivered,
    /// It failed.
    Failed {
        /// How.
        failure: LastFailure,
        /// How often it was sent.
        attempts: u32,
        /// How long it is to be left alone.
        wait: Duration,
    },
    /// It was not sent: it does not count as a redrive.
    Released {
        /// Why not.
        why: Box<str>,
    },
}

/// A record after a step, with what the audit says of it. Without an entry nothing has changed.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "what a store writes")]
pub struct Change {
    /// The record as it is now.
    pub record: Record,
    /// What to add to the audit; `None` when the step had been taken before.
    pub entry: Option<AuditEntry>,
}

/// What storing a letter means beside the record that is already there.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "stores must do each of them")]
pub enum Filing {
    /// It is new.
    New(Record),
    /// Its work had been discarded and was asked for again.
    Reopened(Change),
    /// It lies there already, or its work was done since.
    There,
}

/// Stores a letter at the sink's `now`.
///
/// The same work has the same id, so a letter that comes twice is one letter: after a lost answer,
/// and after a crash between storing it and removing its task. One that was delivered since stays
/// delivered; one that was discarded is stored once more, since losing it would be worse.
///
/// ```
/// use std::time::Duration;
/// use aplomb_core::{Failure, FailureKind, Outcome};
/// use aplomb_dead_letter::machine::{self, Change, Ended, Filing, Step};
/// use aplomb_dead_letter::{
///     Action, Cause, KeptRequest, LastFailure, Letter, LetterId, Note, Record, State, Timestamp, key_of,
/// };
///
/// let request = http::Request::post("http://ships/shipments").header("idempotency-key", "\"s_1\"");
/// let (parts, ()) = request.body(()).unwrap().into_parts();
/// let key = key_of(&parts.headers).unwrap();
/// let timeout = Outcome::Failure(Failure::new(FailureKind::Timeout));
/// let now = Timestamp::from_millis(0);
/// let letter = Letter {
///     id: LetterId::of(&parts.method, &parts.uri, &key),
///     request: KeptRequest::of(&parts, bytes::Bytes::new(), &[]),
///     key: key.into(),
///     cause: Cause::Exhausted,
///     attempts: 3,
///     rounds: 1,
///     last_failure: LastFailure::new(timeout, Err(&std::fmt::Error)),
///     first_failed_at: now,
///     last_failed_at: now,
///     not_before: now,
///     horizon: None,
/// };
///
/// // A letter that is new, then claimed for a redrive, then delivered.
/// let Filing::New(record) = machine::store(None, &letter, now) else { panic!() };
/// let claim = Step::Claim {
///     note: Note::new("ada", "it is mended"),
///     lease: Duration::from_secs(30),
///     redrives_max: 5,
/// };
/// let Change { record, .. } = machine::apply(&record, &claim, 1, now).unwrap();
/// assert!(matches!(record.state, State::Redriving { .. }));
/// let settle =
///     Step::Settle { note: Note::new("ada", "it is mended"), fence: 1, redrive: Ended::Delivered };
/// let Change { record, entry } = machine::apply(&record, &settle, 2, now).unwrap();
/// assert!(Record::is_ended(&record));
/// assert_eq!(entry.map(|line| line.action), Some(Action::Delivered));
/// ```
pub fn store(existing: Option<&Record>, letter: &Letter, now: Timestamp) -> Filing {
    let Some(existing) = existing else {
        let (letter, state) = (letter.clone(), State::Stored);
        return Filing::New(Record { letter, state, redrives: 0, fence: 0, stored_at: now });
    };
    let State::Discarded { .. } = existing.state else { return Filing::There };
    let mut record = existing.clone();
    (record.letter, record.state, record.stored_at) = (letter.clone(), State::Stored, now);
    let note = Note::new("aplomb-dead-letter", "its work failed finally once more");
    let entry = entry(&record, note, Action::Reopened, now, &letter.last_failure.to_string());
    Filing::Reopened(Change { record, entry: Some(entry) })
}

/// Takes a step at the sink's `now`. `fence` is a new one if the step [draws](Step::draws_fence)
/// one.
///
/// # Errors
///
/// Why it must not be taken; then nothing is to be written.
pub fn apply(record: &Record, step: &Step, fence: u64, now: Timestamp) -> Result<Change, Refused> {
    match step {
        Step::Claim { note, lease, redrives_max } => {
            may_claim(record, *redrives_max, now)?;
            let mut record = record.clone();
            record.state = State::Redriving { until: now.plus(*lease) };
            record.redrives = record.redrives.saturating_add(1);
            record.fence = fence;
            Ok(Change {
                entry: Some(entry(&record, note.clone(), Action::Redriven, now, "")),
                record,
            })
        }
        Step::Settle { note, fence, redrive } => settle(record, *fence, redrive, note, now),
        Step::Discard { note } => discard(record, note, now),
        Step::Retract { note } => Ok(match record.state {
            State::Delivered { .. } => Change { record: record.clone(), entry: None },
            _ => delivered(record, note, "from its queue", now),
        }),
    }
}

fn may_claim(record: &Record, redrives_max: u32, now: Timestamp) -> Result<(), Refused> {
    is_idle(record, now)?;
    let not_before = record.letter.not_before;
    if now < not_before {
        return Err(Refused::TooEarly { not_before });
    }
    if record.redrives >= redrives_max {
        return Err(Refused::TooOften { redrives: record.redrives });
    }
    Ok(())
}

/// A letter whose redriver has held it for longer than its lease is anybody's.
fn is_idle(record: &Record, now: Timestamp) -> Result<(), Refused> {
    match record.state {
        State::Redriving { until } if now < until => Err(Refused::Redriving { until }),
        State::Stored | State::Redriving { .. } => Ok(()),
        State::Delivered { at } => Err(Refused::Delivered { at }),
        State::Discarded { at } => Err(Refused::Discarded { at }),
    }
}

/// What is checked is the fence, never the lease's clock: a redrive that took longer than its lease,
/// and that nobody overtook, has a true outcome.
fn settle(
    record: &Record,
    fence: u64,
    redrive: &Ended,
    note: &Note,
    now: Timestamp,
) -> Result<Change, Refused> {
    if record.fence != fence {
        return Err(Refused::Lost);
    }
    let same = || Ok(Change { record: record.clone(), entry: None });
    match (redrive, record.state) {
        (Ended::Delivered, State::Delivered { .. }) => same(),
        // It arrived, whatever was decided meanwhile.
        (Ended::Delivered, _) => Ok(delivered(record, note, "", now)),
        (_, State::Stored) => same(),
        (_, State::Delivered { at }) => Err(Refused::Delivered { at }),
        (_, State::Discarded { at }) => Err(Refused::Discarded { at }),
        (Ended::Failed { failure, attempts, wait }, State::Redriving { .. }) => {
            let mut record = record.clone();
            let letter = &mut record.letter;
            letter.last_failure = failure.clone();
            letter.attempts = letter.attempts.saturating_add(*attempts);
            letter.last_failed_at = now;
            letter.not_before = now.plus(*wait);
            record.state = State::Stored;
            let outcome = failure.to_string();
            let entry = entry(&record, note.clone(), Action::Failed, now, &outcome);
            Ok(Change { record, entry: Some(entry) })
        }
        (Ended::Released { why }, State::Redriving { .. }) => {
            let mut record = record.clone();
            record.state = State::Stored;
            record.redrives = record.redrives.saturating_sub(1);
            let entry = entry(&record, note.clone(), Action::Released, now, why);
            Ok(Change { record, entry: Some(entry) })
        }
    }
}

fn discard(record: &Record, note: &Note, now: Timestamp) -> Result<Change, Refused> {
    is_idle(record, now)?;
    let mut record = record.clone();
    record.state = State::Discarded { at: now };
    Ok(Change { entry: Some(entry(&record, note.clone(), Action::Discarded, now, "")), record })
}

fn delivered(record: &Record, note: &Note, outcome: &str, now: Timestamp) -> Change {
    let mut record = record.clone();
    record.state = State::Delivered { at: now };
    Change { entry: Some(entry(&record, note.clone(), Action::Delivered, now, outcome)), record }
}

fn entry(record: &Record, note: Note, action: Action, at: Timestamp, outcome: &str) -> AuditEntry {
    let (id, fence, outcome) = (record.letter.id, record.fence, outcome.into());
    AuditEntry { at, note, action, id, fence, outcome }
}

/// Why a letter cannot be redriven, settled or discarded. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// There is no letter of this id: it never was, or it ended long ago.
    Unknown,
    /// It arrived.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// It was discarded.
    Discarded {
        /// When.
        at: Timestamp,
    },
    /// Somebody else sends it.
    Redriving {
        /// Until when nobody else may.
        until: Timestamp,
    },
    /// It is to be left alone for a while.
    TooEarly {
        /// Until when.
        not_before: Timestamp,
    },
    /// It was redriven as often as allowed.
    TooOften {
        /// How often.
        redrives: u32,
    },
    /// Somebody else claimed it since.
    Lost,
}

impl Refused {
    /// A word for problems and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Delivered { .. } => "delivered",
            Self::Discarded { .. } => "discarded",
            Self::Redriving { .. } => "redriving",
            Self::TooEarly { .. } => "too_early",
            Self::TooOften { .. } => "too_often",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no dead letter of this id"),
            Self::Delivered { .. } => f.write_str("the letter was delivered already"),
            Self::Discarded { .. } => f.write_str("the letter was discarded"),
            Self::Redriving { .. } => {
                f.write_str("somebody else is redriving the letter; look at it again later")
            }
            Self::TooEarly { .. } => {
                f.write_str("the letter is to be left alone for a while; redrive it later")
            }
            Self::TooOften { redrives } => {
                write!(f, "the letter was redriven {redrives} times; discard it or raise the cap")
            }
            Self::Lost => f.write_str("somebody else claimed the letter since; look at it again"),
        }
    }
}

impl Error for Refused {}
