//! What an operator sees and does.

use std::time::Duration;

use aplomb_core::Principal;
use aplomb_idempotency::operator::{Action, Listing, Note, Purge, Resolution, Which};
use aplomb_idempotency::{Begin, Begun, Held, Identity, Scope, Settled, State, Store};

use super::say::{KEEP, LONG, answer, begin, claim, complete, state};

pub(super) async fn what_is_stuck_is_listed_in_pages<S: Store>(store: &S) {
    let mut stuck = Vec::new();
    for key in ["a", "b", "c"] {
        let held = claim(store, &begin(key)).await;
        assert_eq!(store.mark_unknown(held).await.unwrap(), Settled::Done);
        stuck.push(held.id);
    }
    let lapsed = Begin { lease: Duration::ZERO, ..begin("lapsed") };
    stuck.push(claim(store, &lapsed).await.id);
    stuck.sort_unstable();
    claim(store, &begin("running")).await;
    let done = claim(store, &begin("done")).await;
    assert_eq!(complete(store, done, "done").await, Settled::Done);

    let first = list(store, Which::Stuck, None, 3).await;
    assert_eq!(first, stuck[..3]);
    assert_eq!(list(store, Which::Stuck, first.last().copied(), 3).await, stuck[3..]);
    assert_eq!(list(store, Which::Stuck, stuck.last().copied(), 3).await, []);
}

pub(super) async fn a_callers_records_are_listed_and_nobody_elses<S: Store>(store: &S) {
    let own = claim(store, &begin("k")).await;
    let other = Begin { identity: of("other", "k"), ..begin("k") };
    claim(store, &other).await;
    let shop = Scope::Principal(Principal::new("shop"));
    assert_eq!(list(store, Which::Of(shop), None, 10).await, [own.id]);
    let global = Scope::Global("shop".into());
    assert_eq!(list(store, Which::Of(global), None, 10).await, [], "a global scope of that name");
}

pub(super) async fn a_doubt_is_resolved_once_and_audited<S: Store>(store: &S) {
    let held = doubt(store, "done").await;
    let applied = Resolution::Applied { answer: answer("found"), keep: KEEP };
    let note = Note::new("ada", "found order 7");
    assert_eq!(store.resolve(held, &applied, &note).await.unwrap(), Settled::Done);
    assert_eq!(store.resolve(held, &applied, &note).await.unwrap(), Settled::Done, "repeated");
    assert_eq!(store.begin(&begin("done")).await.unwrap(), Begun::Replay(answer("found")));
    let not_applied = Resolution::NotApplied { keep: LONG };
    let second = store.resolve(held, &not_applied, &note).await.unwrap();
    assert_eq!(second, Settled::Lost, "what is resolved stays so");

    let audit = store.audit(Some(held.id), 10).await.unwrap();
    let [entry] = &audit[..] else { panic!("one line for one change, not {audit:?}") };
    assert_eq!((entry.action, &entry.note), (Action::ResolvedApplied, &note));
    assert_eq!((entry.id, entry.fence), (held.id, held.fence));
}

pub(super) async fn what_was_not_applied_runs_again_and_its_zombie_changes_nothing<S: Store>(
    store: &S,
) {
    let held = doubt(store, "k").await;
    let note = Note::new("ada", "no such order");
    let not_applied = Resolution::NotApplied { keep: LONG };
    assert_eq!(store.resolve(held, &not_applied, &note).await.unwrap(), Settled::Done);
    assert_eq!(complete(store, held, "zombie").await, Settled::Lost);
    let Begun::Claimed(started) = store.begin(&begin("k")).await.unwrap() else {
        panic!("the key is free")
    };
    assert_eq!((started.attempt, started.after_lapse), (2, false));
    assert!(started.fence > held.fence);
    let late = store.resolve(held, &not_applied, &note).await.unwrap();
    assert_eq!(late, Settled::Lost, "an operator's page may be old");
}

pub(super) async fn a_claim_is_resolved_after_its_lease_and_not_before<S: Store>(store: &S) {
    let running = claim(store, &begin("running")).await;
    let note = Note::new("ada", "its process is gone");
    let not_applied = Resolution::NotApplied { keep: LONG };
    assert_eq!(store.resolve(running, &not_applied, &note).await.unwrap(), Settled::Lost);
    let lapsed = claim(store, &Begin { lease: Duration::ZERO, ..begin("lapsed") }).await;
    assert_eq!(store.resolve(lapsed, &not_applied, &note).await.unwrap(), Settled::Done);
    assert!(matches!(state(store, lapsed).await, Some(State::Released { .. })));
    let absent = Held { id: of("nobody", "k").id(), ..lapsed };
    assert_eq!(store.resolve(absent, &not_applied, &note).await.unwrap(), Settled::Lost);
}

pub(super) async fn a_callers_answers_are_erased_and_its_keys_stay_used<S: Store>(store: &S) {
    let mut done = Vec::new();
    for key in ["a", "b", "c"] {
        let held = claim(store, &begin(key)).await;
        assert_eq!(complete(store, held, "personal").await, Settled::Done);
        done.push(held);
    }
    let running = claim(store, &begin("running")).await;
    let other = Begin { identity: of("other", "k"), ..begin("k") };
    let others = claim(store, &other).await;
    assert_eq!(complete(store, others, "kept").await, Settled::Done);

    let shop = Purge::Of(Scope::Principal(Principal::new("shop")));
    let note = Note::new("ada", "asked to be forgotten");
    assert_eq!(store.purge(&shop, &note, 2).await.unwrap(), 2, "at most what was asked");
    assert_eq!(store.purge(&shop, &note, 10).await.unwrap(), 1);
    assert_eq!(store.purge(&shop, &note, 10).await.unwrap(), 0);
    for held in done {
        assert!(matches!(state(store, held).await, Some(State::Tombstone { .. })));
        let audit = store.audit(Some(held.id), 10).await.unwrap();
        assert_eq!(audit.iter().map(|entry| entry.action).collect::<Vec<_>>(), [Action::Purged]);
    }
    assert_eq!(store.begin(&begin("a")).await.unwrap(), Begun::Gone);
    assert!(
        matches!(state(store, running).await, Some(State::Started(_))),
        "a claim is not purged"
    );
    assert_eq!(store.begin(&other).await.unwrap(), Begun::Replay(answer("kept")));
    assert_eq!(store.purge(&Purge::Key(others.id), &note, 10).await.unwrap(), 1);
    assert_eq!(store.audit(None, 2).await.unwrap().len(), 2, "at most what was asked");
    assert_eq!(store.audit(None, 10).await.unwrap()[0].id, others.id, "newest first");
}

async fn doubt<S: Store>(store: &S, key: &str) -> Held {
    let held = claim(store, &begin(key)).await;
    assert_eq!(store.mark_unknown(held).await.unwrap(), Settled::Done);
    held
}

async fn list<S: Store>(
    store: &S,
    which: Which,
    after: Option<aplomb_idempotency::RecordId>,
    most: usize,
) -> Vec<aplomb_idempotency::RecordId> {
    let records = store.list(&Listing { which, after, most }).await.unwrap();
    records.iter().map(|record| record.identity.id()).collect()
}

fn of(caller: &str, key: &str) -> Identity {
    let Identity { method, route, key, .. } = begin(key).identity;
    Identity::new(Scope::Principal(Principal::new(caller)), method, route, key)
}
