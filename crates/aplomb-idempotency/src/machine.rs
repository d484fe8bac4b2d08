//! The rules that every store follows.
//!
//! A store reads the record and its own clock, asks one of these functions, and writes what it is
//! told, all of it in one step that nobody else can come between.

use std::time::Duration;

use crate::operator::Resolution;
use crate::record::{Begin, Begun, Fence, Keep, Lapsed, Record, Started, State, Timestamp};
use crate::{Settled, StoredAnswer};

/// What a store must do about a [`Begin`].
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "stores must handle every verdict")]
pub enum Verdict {
    /// Draw a fence, write the [`record`] of a [`started`] claim, answer [`Begun::Claimed`].
    Claim(Turn),
    /// Write this state, answer [`Begun::Unknown`].
    Doubt(State),
    /// Write nothing, answer this.
    Answer(Begun),
}

/// Which claim of a key is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what a claim is told about those before it")]
pub struct Turn {
    /// Its number among the claims of this key, from 1.
    pub attempt: u32,
    /// Whether the one before it ended with its lease.
    pub after_lapse: bool,
}

impl Turn {
    const FIRST: Self = Self { attempt: 1, after_lapse: false };

    const fn after(attempt: u32, after_lapse: bool) -> Self {
        Self { attempt: attempt.saturating_add(1), after_lapse }
    }
}

/// Judges a request for a key whose record is `existing`, at the store's own `now`.
///
/// ```
/// use std::time::Duration;
/// use aplomb_core::Principal;
/// use aplomb_idempotency::machine::{self, Expiry, Step, Turn, Verdict};
/// use aplomb_idempotency::record::{
///     Begin, Begun, Fence, Keep, Lapsed, Record, Started, State, Ticket, Timestamp,
/// };
/// use aplomb_idempotency::{Fingerprint, Identity, Key, Scope, StoredAnswer};
/// use http::{HeaderMap, Method, StatusCode, Uri};
///
/// let (uri, none, hour) = (Uri::from_static("/orders"), HeaderMap::new(), Duration::from_secs(3600));
/// let begin = Begin {
///     identity: Identity::new(
///         Scope::Principal(Principal::new("shop")),
///         Method::POST,
///         "/orders",
///         Key::try_from("order_123")?,
///     ),
///     fingerprint: Fingerprint::of(&Method::POST, &uri, &none, &[], b"one mug"),
///     lease: Duration::from_secs(10),
///     lapsed: Lapsed::Unknown,
///     ticket: Ticket::unique(),
/// };
/// let now = Timestamp::from_millis(0);
///
/// // A key that nobody used is claimed, under a number that the store draws.
/// let Verdict::Claim(turn) = machine::judge(None, &begin, now) else { panic!() };
/// assert_eq!(turn, Turn { attempt: 1, after_lapse: false });
/// let fence = Fence::new(1).unwrap();
/// let claim: Started = machine::started(&begin, fence, turn, now);
/// let held = State::Started(claim);
///
/// // Somebody else finds it in flight until its lease ends; the holder may renew it.
/// let other = Begin { ticket: Ticket::unique(), ..begin.clone() };
/// let record = Record::new(begin.identity.clone(), begin.fingerprint, now, held.clone());
/// assert_eq!(machine::judge(Some(&record), &other, now), Verdict::Answer(Begun::InFlight));
/// assert!(matches!(machine::renew(Some(&held), fence, hour, now), Step::To(_)));
///
/// // It ends with an answer, with nothing, or with nobody knowing.
/// let answer = StoredAnswer::new(StatusCode::CREATED, &none, None, 1024);
/// let keep = Keep { answer: hour, key: 2 * hour };
/// let Step::To(done) = machine::complete(Some(&held), fence, answer, keep, now) else { panic!() };
/// assert!(matches!(machine::abandon(Some(&held), fence, hour, now), Step::To(_)));
/// assert!(matches!(machine::mark_unknown(Some(&held), fence, now), Step::To(_)));
///
/// // Time alone, or an operator, makes a tombstone of an answer.
/// assert!(matches!(machine::expire(&done, now.plus(hour)), Expiry::To(State::Tombstone { .. })));
/// assert!(matches!(machine::purge(&done), Some(State::Tombstone { .. })));
/// # Ok::<(), aplomb_idempotency::MalformedKey>(())
/// ```
pub fn judge(existing: Option<&Record>, begin: &Begin, now: Timestamp) -> Verdict {
    let Some(record) = existing else {
        return Verdict::Claim(Turn::FIRST);
    };
    if record.state.expires().is_some_and(|expires| expires <= now) {
        return Verdict::Claim(Turn::FIRST);
    }
    match &record.state {
        State::Released { attempt, .. } => Verdict::Claim(Turn::after(*attempt, false)),
        State::Tombstone { .. } => Verdict::Answer(Begun::Gone),
        State::Completed { expires, .. } if *expires <= now => Verdict::Answer(Begun::Gone),
        _ if !record.fingerprint.matches(&begin.fingerprint) => Verdict::Answer(Begun::Mismatch),
        State::Completed { answer, .. } => Verdict::Answer(Begun::Replay(answer.clone())),
        State::Unknown { .. } => Verdict::Answer(Begun::Unknown),
        State::Started(started) => judge_started(*started, begin, now),
    }
}

fn judge_started(started: Started, begin: &Begin, now: Timestamp) -> Verdict {
    if started.ticket == begin.ticket {
        return Verdict::Answer(Begun::Claimed(started));
    }
    if !started.has_lapsed(now) {
        return Verdict::Answer(Begun::InFlight);
    }
    match (begin.lapsed, started.lapsed) {
        // The route was declared transactional after that claim, whose effect may have happened.
        (Lapsed::RunAgain, Lapsed::Unknown | Lapsed::Recover) | (Lapsed::Unknown, _) => {
            Verdict::Doubt(doubt(started, now))
        }
        (Lapsed::RunAgain | Lapsed::Recover | Lapsed::AtLeastOnce, _) => {
            Verdict::Claim(Turn::after(started.attempt, true))
        }
    }
}

/// The claim to write after [`Verdict::Claim`].
pub fn started(begin: &Begin, fence: Fence, turn: Turn, now: Timestamp) -> Started {
    Started {
        fence,
        attempt: turn.attempt,
        lease_until: now.plus(begin.lease),
        ticket: begin.ticket,
        lapsed: begin.lapsed,
        after_lapse: turn.after_lapse,
    }
}

/// The record to write with that claim. A key that is claimed again stays as old as it was.
pub fn record(
    existing: Option<&Record>,
    begin: &Begin,
    started: Started,
    now: Timestamp,
) -> Record {
    let created = match existing {
        Some(record) if started.attempt > 1 => record.created,
        _ => now,
    };
    Record {
        identity: begin.identity.clone(),
        fingerprint: begin.fingerprint,
        created,
        state: State::Started(started),
    }
}

/// What a store must do about a change that a claim's holder or an operator asks for.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "stores must handle every step")]
pub enum Step {
    /// Write this state, answer [`Settled::Done`].
    To(State),
    /// Write nothing, answer this.
    Stay(Settled),
}

/// Holds the key for `lease` from `now`.
///
/// A lease that ended is renewed as long as nobody took the key: what counts is the fence.
pub fn renew(state: Option<&State>, fence: Fence, lease: Duration, now: Timestamp) -> Step {
    from_started(state, fence, |started| {
        State::Started(Started { lease_until: now.plus(lease), ..started })
    })
}

/// Records the outcome, to be kept for `keep`.
pub fn complete(
    state: Option<&State>,
    fence: Fence,
    answer: StoredAnswer,
    keep: Keep,
    now: Timestamp,
) -> Step {
    if matches!(state, Some(State::Completed { fence: by, .. }) if *by == fence) {
        return Step::Stay(Settled::Done);
    }
    from_started(state, fence, |_| completed(fence, answer, keep, now))
}

/// Gives the key back because the handler had no effect; its attempts are remembered for `keep`.
pub fn abandon(state: Option<&State>, fence: Fence, keep: Duration, now: Timestamp) -> Step {
    if matches!(state, Some(State::Released { fence: by, .. }) if *by == fence) {
        return Step::Stay(Settled::Done);
    }
    from_started(state, fence, |started| State::Released {
        fence,
        attempt: started.attempt,
        expires: now.plus(keep),
    })
}

/// Records that nobody knows whether the handler had its effect.
pub fn mark_unknown(state: Option<&State>, fence: Fence, now: Timestamp) -> Step {
    if matches!(state, Some(State::Unknown { fence: by, .. }) if *by == fence) {
        return Step::Stay(Settled::Done);
    }
    from_started(state, fence, |started| doubt(started, now))
}

/// Ends a doubt as an operator found out: of an unknown outcome, or of a claim that still says
/// started long after its lease. `fence` is that of the record the operator has seen.
pub fn resolve(
    state: Option<&State>,
    fence: Fence,
    resolution: &Resolution,
    now: Timestamp,
) -> Step {
    let (by, attempt) = match state {
        Some(State::Unknown { fence, attempt, .. }) => (*fence, *attempt),
        Some(State::Started(started)) if started.has_lapsed(now) => {
            (started.fence, started.attempt)
        }
        Some(resolved) if resolution.made(resolved, fence) => return Step::Stay(Settled::Done),
        _ => return Step::Stay(Settled::Lost),
    };
    if by != fence {
        return Step::Stay(Settled::Lost);
    }
    Step::To(match resolution {
        Resolution::Applied { answer, keep } => completed(fence, answer.clone(), *keep, now),
        Resolution::NotApplied { keep } => {
            State::Released { fence, attempt, expires: now.plus(*keep) }
        }
    })
}

/// Erases an answer. The key stays refused for as long as it would have been. `None` when there is
/// no answer to erase: claims and unknown outcomes are not purged.
pub fn purge(state: &State) -> Option<State> {
    match state {
        State::Completed { fence, retired_until, .. } => {
            Some(State::Tombstone { fence: *fence, expires: *retired_until })
        }
        _ => None,
    }
}

/// What time alone makes of a record.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "stores must handle every case")]
pub enum Expiry {
    /// Nothing yet.
    Keep,
    /// Write this state.
    To(State),
    /// Remove the record.
    Forget,
}

/// What a sweep makes of a record at `now`.
///
/// An answer that has expired leaves a tombstone; a claim that nobody came back for ends as its
/// route declared. An unknown outcome stays for its operator, a claim to recover for its caller.
pub fn expire(state: &State, now: Timestamp) -> Expiry {
    if state.due().is_none_or(|due| now < due) {
        return Expiry::Keep;
    }
    match state {
        State::Completed { retired_until, .. } if now < *retired_until => {
            purge(state).map_or(Expiry::Keep, Expiry::To)
        }
        State::Started(started) => match started.lapsed {
            Lapsed::Unknown => Expiry::To(doubt(*started, now)),
            Lapsed::RunAgain | Lapsed::AtLeastOnce => Expiry::Forget,
            Lapsed::Recover => Expiry::Keep,
        },
        State::Unknown { .. } => Expiry::Keep,
        State::Completed { .. } | State::Released { .. } | State::Tombstone { .. } => {
            Expiry::Forget
        }
    }
}

fn completed(fence: Fence, answer: StoredAnswer, keep: Keep, now: Timestamp) -> State {
    let (expires, retired_until) = keep.from(now);
    State::Completed { fence, answer, expires, retired_until }
}

fn doubt(started: Started, now: Timestamp) -> State {
    State::Unknown { fence: started.fence, attempt: started.attempt, since: now }
}

/// A change that only the claim with this fence may make, and only while it is started.
fn from_started(state: Option<&State>, fence: Fence, to: impl FnOnce(Started) -> State) -> Step {
    match state {
        Some(State::Started(started)) if started.fence == fence => Step::To(to(*started)),
        _ => Step::Stay(Settled::Lost),
    }
}
