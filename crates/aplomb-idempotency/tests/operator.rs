//! What a person does about keys that no machine can decide.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aplomb_core::{Dice, Principal};
use aplomb_idempotency::operator::{AUDIT, Action, Operator, Purge, Resolution};
use aplomb_idempotency::{
    Held, IdempotencyEvent, IdempotencyLayer, Keep, MemoryStore, RecordId, Scope, Settled, State,
    Store, StoredAnswer, problems,
};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use tower::{Layer, service_fn};
use tracing::field::{Field, Visit};
use tracing::span;

use common::{Body, Counter, Heard, answer, is_replay, post, problem, send};

#[tokio::test(start_paused = true)]
async fn a_reference_leads_to_its_record_and_to_an_end_of_the_doubt() {
    let (store, runs, heard) = (Arc::new(MemoryStore::new()), Counter::default(), Heard::default());
    let layer = IdempotencyLayer::new(Arc::clone(&store)).dice(Dice::seeded(1));
    let service = layer.layer(panics_at_first(&runs));
    send(&service, post("order_1", "mug")).await;
    let refused = send(&service, post("order_1", "mug")).await;
    let body: serde_json::Value = serde_json::from_slice(refused.body()).unwrap();
    let id: RecordId = body["reference"].as_str().unwrap().parse().unwrap();

    let operator = Operator::new(Arc::clone(&store), "ada").observe(heard.observer());
    let stuck = operator.stuck(None, 10).await.unwrap();
    assert_eq!(stuck.iter().map(|record| record.identity.id()).collect::<Vec<_>>(), [id]);
    let record = operator.show(id).await.unwrap().unwrap();
    let not_applied = Resolution::NotApplied { keep: Duration::from_secs(60) };
    let resolved = operator.resolve(record.held(), not_applied.clone(), "no such order").await;
    assert_eq!(resolved.unwrap(), Settled::Done);
    assert!(operator.stuck(None, 10).await.unwrap().is_empty());
    assert_eq!(send(&service, post("order_1", "mug")).await.status(), 201);

    // What has changed since is not resolved by mistake.
    let again = operator.resolve(record.held(), not_applied, "no such order").await;
    assert_eq!(again.unwrap(), Settled::Lost);
    assert_eq!(heard.all(), [IdempotencyEvent::Resolved]);
    let audit = operator.audit(Some(id), 10).await.unwrap();
    let lines: Vec<_> = audit.iter().map(|e| (&*e.note.by, &*e.note.why, e.action)).collect();
    assert_eq!(lines, [("ada", "no such order", Action::ResolvedNotApplied)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_replayed_as_the_operator_found_it() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Counter::default());
    let layer = IdempotencyLayer::new(Arc::clone(&store)).dice(Dice::seeded(1));
    let service = layer.layer(panics_at_first(&runs));
    send(&service, post("k", "mug")).await;
    let operator = Operator::new(Arc::clone(&store), "ada");
    let record = operator.stuck(None, 1).await.unwrap().pop().unwrap();
    let body = Some(Bytes::from_static(b"order 7"));
    let answer = StoredAnswer::new(StatusCode::CREATED, &HeaderMap::new(), body, 64);
    let keep = Keep { answer: Duration::from_secs(60), key: Duration::ZERO };
    let applied = Resolution::Applied { answer, keep };
    let resolved = operator.resolve(record.held(), applied, "found order 7").await.unwrap();
    assert_eq!(resolved, Settled::Done);
    let retry = send(&service, post("k", "mug")).await;
    assert_eq!((&retry.body()[..], is_replay(&retry)), (&b"order 7"[..], true));
    assert_eq!(runs.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_callers_answers_are_erased_however_many_they_are() {
    let (store, heard) = (Arc::new(MemoryStore::new()), Heard::default());
    let layer = IdempotencyLayer::new(Arc::clone(&store)).dice(Dice::seeded(1));
    let service = layer.layer(service_fn(|_: Request<Body>| async { answer(201, "made") }));
    for number in 0..250 {
        send(&service, post(&format!("k{number}"), "mug")).await;
    }
    let operator = Operator::new(Arc::clone(&store), "ada").observe(heard.observer());
    let shop = Scope::Principal(Principal::new("shop"));
    let purge = Purge::Of(shop.clone());
    assert_eq!(operator.purge(&purge, "asked to").await.unwrap(), 250);
    assert_eq!(operator.purge(&purge, "asked to").await.unwrap(), 0);
    assert_eq!(heard.all(), [IdempotencyEvent::Purged], "nothing erased is nothing to say");
    let gone = send(&service, post("k7", "mug")).await;
    assert_eq!(problem(&gone), problems::KEY_RETIRED);

    // In pages, each after the last of the one before.
    let first = operator.of(shop.clone(), None, 200).await.unwrap();
    let last = first.last().map(|record| record.identity.id());
    let second = operator.of(shop, last, 200).await.unwrap();
    assert_eq!((first.len(), second.len()), (200, 50));
    assert!(second.iter().all(|record| matches!(record.state, State::Tombstone { .. })));
}

#[test]
fn an_audit_event_names_who_why_and_what_but_no_key_and_no_answer() {
    let said = Said::default();
    let subscriber = Listener(said.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let store = Arc::new(MemoryStore::new());
            let begin = aplomb_testkit::store::begin("a-secret-key");
            let held = aplomb_testkit::store::claim(&store, &begin).await;
            assert_eq!(store.mark_unknown(held).await.unwrap(), Settled::Done);
            let operator = Operator::new(store, "ada");
            resolve_and_purge(&operator, held).await;
        });
    });
    let said = said.0.lock().unwrap().clone();
    assert_eq!(said.len(), 2, "{said:?}");
    for line in &said {
        assert!(line.contains("by=ada") && line.contains("why="), "{line}");
        assert!(!line.contains("secret"), "{line}");
    }
    assert!(said[0].contains("resolved_applied") && said[1].contains("purged"), "{said:?}");
}

async fn resolve_and_purge(operator: &Operator<Arc<MemoryStore>>, held: Held) {
    let body = Some(Bytes::from_static(b"a secret answer"));
    let answer = StoredAnswer::new(StatusCode::CREATED, &HeaderMap::new(), body, 64);
    let applied = Resolution::Applied { answer, keep: aplomb_testkit::store::KEEP };
    assert_eq!(operator.resolve(held, applied, "found it").await.unwrap(), Settled::Done);
    let erased = operator.purge(&Purge::Key(held.id), "asked to").await;
    assert_eq!(erased.unwrap(), 1);
}

fn panics_at_first(
    runs: &Counter,
) -> impl tower::Service<
    Request<Body>,
    Response = http::Response<Body>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send
+ use<> {
    let runs = runs.clone();
    service_fn(move |_: Request<Body>| {
        let run = runs.add();
        async move {
            assert!(run > 1, "a bug that was mended meanwhile");
            answer(201, "made")
        }
    })
}

/// The fields of the audit's events, a line each.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

struct Listener(Said);

impl tracing::Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == AUDIT
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}
