//! The rules that every store follows.
//!
//! A store reads the record and its own clock, asks one of these functions, and writes what it is
//! told, all of it in one step that nobody else can come between.

use std::time::Duration;

use crate::record::{Begin, Begun, Fence, Lapsed, Record, Started, State, Timestamp};
use crate::{Settled, StoredAnswer};

/// What a store must do about a [`Begin`].
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "stores must handle every verdict")]
pub enum Verdict {
    /// Draw a fence, write the [`record`] of a [`started`] claim, answer [`Begun::Claimed`].
    Claim {
        /// Which claim of this key it is.
        attempt: u32,
    },
    /// Write this state, answer [`Begun::Unknown`].
    Doubt(State),
    /// Write nothing, answer this.
    Answer(Begun),
}

/// Judges a request for a key whose record is `existing`, at the store's own `now`.
pub fn judge(existing: Option<&Record>, begin: &Begin, now: Timestamp) -> Verdict {
    let Some(record) = existing else {
        return Verdict::Claim { attempt: 1 };
    };
    if record.state.expires().is_some_and(|expires| expires <= now) {
        return Verdict::Claim { attempt: 1 };
    }
    match &record.state {
        State::Released { attempt, .. } => Verdict::Claim { attempt: attempt.saturating_add(1) },
        State::Tombstone { .. } => Verdict::Answer(Begun::Gone),
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
    if now < started.lease_until {
        return Verdict::Answer(Begun::InFlight);
    }
    match begin.lapsed {
        Lapsed::RunAgain => Verdict::Claim { attempt: started.attempt.saturating_add(1) },
        Lapsed::Unknown => Verdict::Doubt(State::Unknown { fence: started.fence, since: now }),
    }
}

/// The claim to write after [`Verdict::Claim`].
pub fn started(begin: &Begin, fence: Fence, attempt: u32, now: Timestamp) -> Started {
    Started { fence, attempt, lease_until: now.plus(begin.lease), ticket: begin.ticket }
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

/// What a store must do about a change that a claim's holder asks for.
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
    keep: Duration,
    now: Timestamp,
) -> Step {
    if matches!(state, Some(State::Completed { fence: by, .. }) if *by == fence) {
        return Step::Stay(Settled::Done);
    }
    from_started(state, fence, |_| State::Completed { fence, answer, expires: now.plus(keep) })
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
    from_started(state, fence, |_| State::Unknown { fence, since: now })
}

/// A change that only the claim with this fence may make, and only while it is started.
fn from_started(state: Option<&State>, fence: Fence, to: impl FnOnce(Started) -> State) -> Step {
    match state {
        Some(State::Started(started)) if started.fence == fence => Step::To(to(*started)),
        _ => Step::Stay(Settled::Lost),
    }
}
