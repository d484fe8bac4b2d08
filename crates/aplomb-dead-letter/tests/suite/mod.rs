//! What every sink owes its callers, as checks. A sink is made anew for each.
#![allow(clippy::unwrap_used, reason = "a test may")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Failure, FailureKind, Outcome, Reason};
use aplomb_dead_letter::machine::{Ended, Step};
use aplomb_dead_letter::{
    Action, Cause, KeptRequest, LastFailure, Letter, LetterId, Listing, Note, Record, Refused,
    Sink, State, StepError, Stored, Timestamp, Which,
};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};

/// Every check, each on a sink of its own.
pub(crate) async fn check<K: Sink, F: Future<Output = K>>(make: impl Fn() -> F) {
    a_letter_comes_back_as_it_was_stored(make().await).await;
    a_letter_that_is_stored_twice_is_one(make().await).await;
    of_many_who_press_at_once_one_is_given_the_claim(Arc::new(make().await)).await;
    a_redrive_that_failed_leaves_the_letter_stored_again(make().await).await;
    a_redrive_that_was_not_sent_does_not_count(make().await).await;
    what_has_ended_is_refused_precisely(make().await).await;
    a_letter_is_left_alone_as_long_as_asked(make().await).await;
    a_letter_is_redriven_so_often_and_no_more(make().await).await;
    a_redriver_that_wakes_late_changes_nothing(make().await).await;
    what_arrived_has_arrived_whatever_was_decided(make().await).await;
    what_was_done_from_its_queue_is_delivered(make().await).await;
    what_was_discarded_is_stored_when_it_fails_again(make().await).await;
    letters_are_listed_page_by_page(make().await).await;
    what_has_ended_is_forgotten_in_time(make().await).await;
}

async fn a_letter_comes_back_as_it_was_stored(sink: impl Sink) {
    for letter in [letter("a"), bare("b")] {
        assert_eq!(sink.store(&letter).await.unwrap(), Stored::New);
        let record = sink.get(letter.id).await.unwrap().unwrap();
        assert_eq!((&record.letter, record.state), (&letter, State::Stored));
        assert_eq!((record.redrives, record.fence), (0, 0));
    }
    assert_eq!(sink.get(letter("c").id).await.unwrap(), None);
}

async fn a_letter_that_is_stored_twice_is_one(sink: impl Sink) {
    assert_eq!(sink.store(&letter("a")).await.unwrap(), Stored::New);
    assert_eq!(sink.store(&letter("a")).await.unwrap(), Stored::There);
    assert_eq!(all(&sink).await.len(), 1);
}

async fn of_many_who_press_at_once_one_is_given_the_claim<K: Sink>(sink: Arc<K>) {
    let id = stored(&sink, "a").await;
    let presses = (0..20).map(|_| {
        let sink = Arc::clone(&sink);
        tokio::spawn(async move { sink.step(id, &claim(LONG)).await })
    });
    let mut claimed = 0;
    for pressed in join_all(presses).await {
        match pressed.unwrap() {
            Ok(record) => {
                assert!(matches!(record.state, State::Redriving { .. }));
                claimed += 1;
            }
            Err(StepError::Refused(Refused::Redriving { .. })) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(claimed, 1);
    let audit = sink.audit(Some(id), 100).await.unwrap();
    assert_eq!(audit.iter().map(|entry| entry.action).collect::<Vec<_>>(), [Action::Redriven]);
}

async fn a_redrive_that_failed_leaves_the_letter_stored_again(sink: impl Sink) {
    let id = stored(&sink, "a").await;
    let claimed = sink.step(id, &claim(LONG)).await.unwrap();
    assert!(claimed.fence > 0 && claimed.redrives == 1);
    let settle = failed(claimed.fence, Duration::ZERO);
    let record = sink.step(id, &settle).await.unwrap();
    assert_eq!((record.state, record.letter.attempts), (State::Stored, 4 + 2));
    assert_eq!(record.letter.last_failure.kind, Some(FailureKind::Timeout));
    // A settlement whose answer was lost is repeated as it was.
    assert_eq!(sink.step(id, &settle).await.unwrap(), record);
    assert_eq!(sink.get(id).await.unwrap(), Some(record));

    let audit = sink.audit(None, 100).await.unwrap();
    let told: Vec<_> = audit.iter().map(|entry| (entry.action, entry.fence)).collect();
    assert_eq!(told, [(Action::Failed, claimed.fence), (Action::Redriven, claimed.fence)]);
    assert!(audit[0].outcome.contains("timeout"), "{}", audit[0].outcome);
    assert_eq!((&*audit[0].note.by, &*audit[0].note.why), ("erin", "the warehouse is back"));
}

async fn a_redrive_that_was_not_sent_does_not_count(sink: impl Sink) {
    let id = stored(&sink, "a").await;
    let fence = sink.step(id, &claim(LONG)).await.unwrap().fence;
    let released = Ended::Released { why: "not ready".into() };
    let record = sink.step(id, &settle(fence, released)).await.unwrap();
    assert_eq!((record.state, record.redrives), (State::Stored, 0));
}

async fn what_has_ended_is_refused_precisely(sink: impl Sink) {
    let unknown = letter("z").id;
    for step in [claim(LONG), discard(), settle(1, Ended::Delivered)] {
        assert_eq!(refused(&sink, unknown, step).await, Refused::Unknown);
    }
    let id = stored(&sink, "a").await;
    let fence = sink.step(id, &claim(LONG)).await.unwrap().fence;
    assert!(matches!(refused(&sink, id, discard()).await, Refused::Redriving { .. }));
    let record = sink.step(id, &settle(fence, Ended::Delivered)).await.unwrap();
    assert!(record.is_ended());
    assert_eq!(sink.step(id, &settle(fence, Ended::Delivered)).await.unwrap(), record);
    for step in [claim(LONG), discard(), failed(fence, Duration::ZERO)] {
        assert!(matches!(refused(&sink, id, step).await, Refused::Delivered { .. }));
    }
    let id = stored(&sink, "b").await;
    sink.step(id, &discard()).await.unwrap();
    for step in [claim(LONG), discard()] {
        assert!(matches!(refused(&sink, id, step).await, Refused::Discarded { .. }));
    }
}

async fn a_letter_is_left_alone_as_long_as_asked(sink: impl Sink) {
    let id = stored(&sink, "a").await;
    let fence = sink.step(id, &claim(LONG)).await.unwrap().fence;
    sink.step(id, &failed(fence, LONG)).await.unwrap();
    assert!(matches!(refused(&sink, id, claim(LONG)).await, Refused::TooEarly { .. }));
    sink.step(id, &discard()).await.unwrap();
}

async fn a_letter_is_redriven_so_often_and_no_more(sink: impl Sink) {
    let id = stored(&sink, "a").await;
    for _ in 0..REDRIVES_MAX {
        let fence = sink.step(id, &claim(LONG)).await.unwrap().fence;
        sink.step(id, &failed(fence, Duration::ZERO)).await.unwrap();
    }
    let redrives = REDRIVES_MAX;
    assert_eq!(refused(&sink, id, claim(LONG)).await, Refused::TooOften { redrives });
}

async fn a_redriver_that_wakes_late_changes_nothing(sink: impl Sink) {
    let id = stored(&sink, "a").await;
    let late = sink.step(id, &claim(Duration::ZERO)).await.unwrap().fence;
    let newer = sink.step(id, &claim(LONG)).await.unwrap().fence;
    assert!(newer > late);
    for ended in [Ended::Delivered, Ended::Released { why: "".into() }] {
        assert_eq!(refused(&sink, id, settle(late, ended)).await, Refused::Lost);
    }
    assert_eq!(refused(&sink, id, failed(late, Duration::ZERO)).await, Refused::Lost);
    sink.step(id, &settle(newer, Ended::Delivered)).await.unwrap();
}

async fn what_arrived_has_arrived_whatever_was_decided(sink: impl Sink) {
    let id = stored(&sink, "a").await;
    let fence = sink.step(id, &claim(Duration::ZERO)).await.unwrap().fence;
    sink.step(id, &discard()).await.unwrap();
    let record = sink.step(id, &settle(fence, Ended::Delivered)).await.unwrap();
    assert!(matches!(record.state, State::Delivered { .. }));
}

async fn what_was_done_from_its_queue_is_delivered(sink: impl Sink) {
    let retract = Step::Retract { note: note() };
    assert_eq!(refused(&sink, letter("z").id, retract.clone()).await, Refused::Unknown);
    let id = stored(&sink, "a").await;
    let fence = sink.step(id, &claim(LONG)).await.unwrap().fence;
    let record = sink.step(id, &retract).await.unwrap();
    assert!(matches!(record.state, State::Delivered { .. }));
    let again = failed(fence, Duration::ZERO);
    assert!(matches!(refused(&sink, id, again).await, Refused::Delivered { .. }));
    assert_eq!(sink.store(&letter("a")).await.unwrap(), Stored::There);
    assert!(sink.get(id).await.unwrap().unwrap().is_ended());
}

async fn what_was_discarded_is_stored_when_it_fails_again(sink: impl Sink) {
    let id = stored(&sink, "a").await;
    sink.step(id, &discard()).await.unwrap();
    let mut later = letter("a");
    later.attempts = 9;
    assert_eq!(sink.store(&later).await.unwrap(), Stored::New);
    let record = sink.get(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.letter.attempts), (State::Stored, 9));
    let audit = sink.audit(Some(id), 1).await.unwrap();
    assert_eq!(audit[0].action, Action::Reopened);
}

async fn letters_are_listed_page_by_page(sink: impl Sink) {
    let mut ids = BTreeSet::new();
    for key in ["a", "b", "c", "d", "e"] {
        ids.insert(stored(&sink, key).await);
    }
    let ended = stored(&sink, "ended").await;
    sink.step(ended, &discard()).await.unwrap();

    let (mut listing, mut seen) = (Listing::dead(2), Vec::new());
    loop {
        let page = sink.list(&listing).await.unwrap();
        listing.after = page.last().map(|record| record.letter.id).or(listing.after);
        seen.extend(page.iter().map(|record| record.letter.id));
        if page.len() < 2 {
            break;
        }
    }
    assert_eq!(seen, ids.into_iter().collect::<Vec<_>>());
    let listing = Listing { which: Which::Ended, ..Listing::dead(10) };
    let page = sink.list(&listing).await.unwrap();
    assert_eq!(page.iter().map(|record| record.letter.id).collect::<Vec<_>>(), [ended]);
    assert_eq!(all(&sink).await.len(), 6);
}

async fn what_has_ended_is_forgotten_in_time(sink: impl Sink) {
    let (dead, ended) = (stored(&sink, "a").await, stored(&sink, "b").await);
    let fence = sink.step(ended, &claim(LONG)).await.unwrap().fence;
    sink.step(ended, &settle(fence, Ended::Delivered)).await.unwrap();
    assert_eq!(sink.sweep(LONG, 10).await.unwrap(), 0);
    assert_eq!(sink.sweep(Duration::ZERO, 10).await.unwrap(), 1);
    assert_eq!(sink.get(ended).await.unwrap(), None);
    assert!(sink.get(dead).await.unwrap().is_some());
    assert_eq!(sink.audit(Some(ended), 10).await.unwrap().len(), 2, "the audit stays");

    // A letter of the same work is another one: the old redrive cannot settle it.
    assert_eq!(stored(&sink, "b").await, ended);
    let newer = sink.step(ended, &claim(LONG)).await.unwrap().fence;
    assert!(newer > fence);
    assert_eq!(refused(&sink, ended, settle(fence, Ended::Delivered)).await, Refused::Lost);
}

pub(crate) fn letter(key: &str) -> Letter {
    let request = Request::post("http://warehouse:7002/shipments?express=1")
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .header("accept", &b"caf\xe9"[..]);
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let request = KeptRequest::of(&parts, Bytes::from_static(b"{\"a\": \xff\0}"), &[]);
    let outcome = Outcome::Failure(Failure::new(FailureKind::Throttled));
    let failure = LastFailure::new(outcome, Ok(StatusCode::SERVICE_UNAVAILABLE));
    Letter {
        id: LetterId::of(&request.method, &request.uri, key),
        request,
        key: key.into(),
        cause: Cause::Exhausted,
        attempts: 4,
        rounds: 3,
        last_failure: failure.reason(Some(Reason::Budget)),
        first_failed_at: Timestamp::from_millis(1_000),
        last_failed_at: Timestamp::from_millis(9_000),
        not_before: Timestamp::from_millis(9_500),
        horizon: Some(Timestamp::from_millis(8_000)),
    }
}

/// A letter without anything that a letter may lack.
fn bare(key: &str) -> Letter {
    let error = std::io::Error::other("no route");
    let mut letter = letter(key);
    letter.request.body = Bytes::new();
    letter.cause = Cause::Refused;
    letter.last_failure = LastFailure::new(Outcome::Neutral, Err(&error));
    letter.horizon = None;
    letter
}

pub(crate) async fn stored(sink: &impl Sink, key: &str) -> LetterId {
    let letter = letter(key);
    sink.store(&letter).await.unwrap();
    letter.id
}

pub(crate) async fn all(sink: &impl Sink) -> Vec<Record> {
    sink.list(&Listing { which: Which::All, ..Listing::dead(1_000) }).await.unwrap()
}

pub(crate) fn claim(lease: Duration) -> Step {
    Step::Claim { note: note(), lease, redrives_max: REDRIVES_MAX }
}

pub(crate) fn settle(fence: u64, redrive: Ended) -> Step {
    Step::Settle { note: note(), fence, redrive }
}

fn failed(fence: u64, wait: Duration) -> Step {
    let outcome = Outcome::Failure(Failure::new(FailureKind::Timeout));
    let failure = LastFailure::new(outcome, Ok(StatusCode::GATEWAY_TIMEOUT));
    settle(fence, Ended::Failed { failure, attempts: 2, wait })
}

pub(crate) fn discard() -> Step {
    Step::Discard { note: note() }
}

pub(crate) async fn refused(sink: &impl Sink, id: LetterId, step: Step) -> Refused {
    match sink.step(id, &step).await {
        Err(StepError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn note() -> Note {
    Note::new("erin", "the warehouse is back")
}

/// Longer than any test.
pub(crate) const LONG: Duration = Duration::from_secs(3_600);
const REDRIVES_MAX: u32 = 3;
