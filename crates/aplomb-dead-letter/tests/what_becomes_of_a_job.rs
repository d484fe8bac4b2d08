//! A job waits in its queue until its horizon ends; then there is a letter.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_core::{BoxError, Dice, OperationClass, Saturated, cause, time};
use aplomb_dead_letter::machine::Step;
use aplomb_dead_letter::{
    AuditEntry, BodyNotKept, Cause, DeadLetterEvent, DeadLetterLayer, Fate, Job, Lacks, Letter,
    LetterId, Listing, MemorySink, NotStored, Record, Rounds, Sink, SinkError, State, StepError,
    Stored, Timestamp,
};
use aplomb_retry::{Budget, RetryLayer};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Full;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use common::{Act, HOUR, Heard, Warehouse, queued, reset, send, shipment, with_job};

#[tokio::test(start_paused = true)]
async fn a_job_that_succeeds_is_done_and_nothing_is_stored() {
    let (sink, warehouse) = (Arc::new(MemorySink::new()), Warehouse::default());
    let heard = Heard::default();
    let layer = DeadLetterLayer::new(Arc::clone(&sink)).observe(heard.clone());
    let answer = send(&layer.layer(warehouse), queued("k", HOUR)).await;
    assert!(Fate::of(&answer).is_none());
    assert_eq!(answer.unwrap().status(), 201);
    assert!(sink.is_empty() && heard.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn until_the_horizon_ends_a_job_waits_in_its_queue() {
    let (sink, heard) = (Arc::new(MemorySink::new()), Heard::default());
    let layer = DeadLetterLayer::new(Arc::clone(&sink)).observe(heard.clone());
    for (act, kind) in [
        (Act::Reset, "transient"),
        (Act::Status(503), "transient"),
        (Act::Status(429), "throttled"),
        (Act::Asking(409, 1), "pending"),
        (Act::Status(401), "refused"),
    ] {
        let begun = time::now();
        let answer = send(&layer.layer(Warehouse::that([act])), queued("k", HOUR)).await;
        let Some(Fate::Reschedule(later)) = Fate::of(&answer) else { panic!("{act:?}") };
        assert_eq!(later.failure.word(), kind, "{act:?}");
        assert!(later.wait >= Duration::from_secs(30) && later.wait <= Duration::from_secs(60));
        assert_eq!(begun, time::now(), "nobody waited in a slot");
        let wait = later.wait;
        let kind = later.failure.kind;
        assert_eq!(heard.take(), [DeadLetterEvent::Rescheduled { kind, wait }]);
    }
    assert!(sink.is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_the_horizon_there_is_a_letter_that_holds_what_a_redrive_needs() {
    let sink = Arc::new(MemorySink::new());
    let heard = Heard::default();
    let layer = DeadLetterLayer::new(Arc::clone(&sink)).observe(heard.clone());
    let service = layer.layer(Warehouse::that([Act::Status(503), Act::Status(504)]));
    let job = Job::new(HOUR, time::now()).rounds(4).attempts(9);
    let job = job.first_failed_at(Timestamp::from_millis(1_000));
    let answer = send(&service, with_job("k", job)).await;
    assert!(matches!(Fate::of(&answer), Some(Fate::Reschedule(_))));

    tokio::time::advance(HOUR).await;
    let answer = send(&service, with_job("k", job)).await;
    let Some(Fate::Buried(id)) = Fate::of(&answer) else { panic!("the horizon has ended") };
    assert_eq!(answer.unwrap().status(), 504, "the answer is the one that came");

    let record = sink.get(id).await.unwrap().unwrap();
    let letter = record.letter;
    assert_eq!(record.state, State::Stored);
    assert_eq!((&*letter.key, letter.cause), ("k", Cause::Exhausted));
    assert_eq!((letter.rounds, letter.attempts), (5, 10));
    assert_eq!(letter.first_failed_at, Timestamp::from_millis(1_000));
    assert!(letter.last_failed_at > letter.first_failed_at);
    assert_eq!(letter.horizon, Some(letter.last_failed_at));
    assert_eq!(letter.last_failure.status, Some(StatusCode::GATEWAY_TIMEOUT));
    assert_eq!(letter.last_failure.to_string(), "transient: 504 Gateway Timeout");
    assert_eq!(letter.request.uri, "http://warehouse:7002/shipments");
    assert_eq!(letter.request.body, "{}");
    assert!(!letter.request.headers.contains_key("authorization"));
    let json = serde_json::to_string(&sink.list(&Listing::dead(1)).await.unwrap()).unwrap();
    assert!(!json.contains("secret"), "{json}");
    let cause = Cause::Exhausted;
    assert_eq!(heard.take().last(), Some(&DeadLetterEvent::Stored { cause }));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_a_letter_at_once() {
    for act in [Act::Status(422), Act::Status(404), Act::Status(409), Act::Status(501)] {
        let sink = Arc::new(MemorySink::new());
        let layer = DeadLetterLayer::new(Arc::clone(&sink));
        let answer = send(&layer.layer(Warehouse::that([act])), queued("k", HOUR)).await;
        let Some(Fate::Buried(id)) = Fate::of(&answer) else { panic!("{act:?}") };
        let letter = sink.get(id).await.unwrap().unwrap().letter;
        assert_eq!((letter.cause, letter.attempts), (Cause::Refused, 1), "{act:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_queue_is_a_letter_when_it_fails() {
    let sink = Arc::new(MemorySink::new());
    let layer = DeadLetterLayer::new(Arc::clone(&sink));
    let answer = send(&layer.layer(Warehouse::that([Act::Reset])), shipment("k")).await;
    let Some(Fate::Buried(id)) = Fate::of(&answer) else { panic!("{answer:?}") };
    let error = answer.unwrap_err();
    assert!(cause::<std::io::Error>(&*error).is_some(), "the error is the one that came");
    assert_eq!(sink.get(id).await.unwrap().unwrap().letter.horizon, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_deferred_or_has_no_key_passes_and_is_announced() {
    let (sink, heard) = (Arc::new(MemorySink::new()), Heard::default());
    let layer = DeadLetterLayer::new(Arc::clone(&sink)).observe(heard.clone());
    let mut undeferred = shipment("k");
    undeferred.extensions_mut().remove::<OperationClass>();
    let (mut unkeyed, mut twice) = (shipment("k"), shipment("k"));
    unkeyed.headers_mut().insert("idempotency-key", http::HeaderValue::from_static("\"\""));
    twice.headers_mut().append("idempotency-key", http::HeaderValue::from_static("l"));
    for (request, lacks) in
        [(undeferred, Lacks::Deferral), (unkeyed, Lacks::Key), (twice, Lacks::Key)]
    {
        let answer = send(&layer.layer(Warehouse::that([Act::Status(422)])), request).await;
        assert!(Fate::of(&answer).is_none());
        assert_eq!(answer.unwrap().status(), 422);
        assert_eq!(heard.take(), [DeadLetterEvent::Misused { lacks }]);
    }
    assert!(sink.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_is_left_alone_for_as_long_as_it_asks_and_a_quarter_at_most() {
    let layer = DeadLetterLayer::new(MemorySink::new())
        .schedule(Rounds::new(Duration::ZERO, Duration::ZERO))
        .dice(Dice::seeded(7));
    let service = layer.layer(Warehouse::that([Act::Asking(503, 600); 50]));
    let mut waits = Vec::new();
    for _ in 0..50 {
        let answer = send(&service, queued("k", HOUR)).await;
        let Some(Fate::Reschedule(later)) = Fate::of(&answer) else { panic!("{answer:?}") };
        waits.push(later.wait.as_secs());
    }
    assert!(waits.iter().all(|wait| (600..=750).contains(wait)), "{waits:?}");
    assert!(waits.iter().max().unwrap() - waits.iter().min().unwrap() > 50, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_not_to_be_sent_before_the_server_allows() {
    let sink = Arc::new(MemorySink::new());
    let layer = DeadLetterLayer::new(Arc::clone(&sink));
    let service = layer.layer(Warehouse::that([Act::Asking(503, 600)]));
    let answer = send(&service, shipment("k")).await;
    let Some(Fate::Buried(id)) = Fate::of(&answer) else { panic!("{answer:?}") };
    let letter = sink.get(id).await.unwrap().unwrap().letter;
    assert_eq!(letter.not_before.since(letter.last_failed_at), Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn what_the_retries_inside_gave_up_for_is_in_the_letter() {
    let sink = Arc::new(MemorySink::new());
    let retry = RetryLayer::new(Budget::percent(20)).honours_keys().max_attempts(2);
    let unanswered = Warehouse::default();
    unanswered.usually(Act::Reset);
    let service = ServiceBuilder::new()
        .layer(DeadLetterLayer::new(Arc::clone(&sink)))
        .layer(retry)
        .map_response(|answer: Response<()>| answer.map(|()| Full::<Bytes>::default()))
        .service(unanswered.clone());
    let answer = service.oneshot(shipment("k")).await;
    let Some(Fate::Buried(id)) = Fate::of(&answer) else { panic!("{answer:?}") };
    let letter = sink.get(id).await.unwrap().unwrap().letter;
    assert_eq!((letter.attempts, unanswered.sends("k")), (2, 2));
    assert_eq!(letter.last_failure.reason, Some(aplomb_core::Reason::Attempts));
}

#[tokio::test(start_paused = true)]
async fn what_our_own_limit_held_back_waits() {
    let layer = DeadLetterLayer::new(MemorySink::new());
    let service = layer.layer(service_fn(|_: common::Parcel| async {
        Err::<Response<()>, BoxError>(Saturated::new(Duration::from_secs(1)).into())
    }));
    let answer = send(&service, queued("k", HOUR)).await;
    let Some(Fate::Reschedule(later)) = Fate::of(&answer) else { panic!("{answer:?}") };
    assert_eq!(later.failure.word(), "held_back");
}

#[tokio::test(start_paused = true)]
async fn when_the_sink_fails_the_caller_sees_it_and_keeps_the_request() {
    let heard = Heard::default();
    let layer = DeadLetterLayer::new(MemorySink::bounded(0, 0)).observe(heard.clone());
    let answer = send(&layer.layer(Warehouse::that([Act::Status(422)])), queued("k", HOUR)).await;
    let Some(Fate::NotStored(later)) = Fate::of(&answer) else { panic!("{answer:?}") };
    assert!(later.wait >= Duration::from_secs(30));
    let error = answer.unwrap_err();
    assert!(cause::<NotStored>(&*error).is_some());
    assert!(cause::<SinkError>(&*error).unwrap().is_full());
    assert!(error.to_string().contains("422"), "{error}");
    assert_eq!(heard.take(), [DeadLetterEvent::NotStored]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_no_letter_holds_is_sent_and_stays_with_its_caller() {
    let warehouse = Warehouse::that([Act::Status(201), Act::Reset]);
    let service = DeadLetterLayer::new(MemorySink::new()).body_cap(1).layer(warehouse.clone());
    assert_eq!(send(&service, shipment("k")).await.unwrap().status(), 201);
    let answer = send(&service, shipment("k")).await;
    assert!(matches!(Fate::of(&answer), Some(Fate::NotStored(_))));
    assert_eq!(cause::<BodyNotKept>(&*answer.unwrap_err()).unwrap().cap, 1);
    assert_eq!(warehouse.sends("k"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_streams_is_whole_in_its_letter_though_nobody_read_it() {
    struct Stream(u8);
    impl Body for Stream {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            self.0 += 1;
            Poll::Ready((self.0 <= 3).then(|| Ok(Frame::data(Bytes::from(vec![self.0; 2])))))
        }
    }
    let sink = Arc::new(MemorySink::new());
    let service = DeadLetterLayer::new(Arc::clone(&sink)).layer(service_fn(
        |request: Request<aplomb_core::Replayable<Stream>>| async move {
            drop(request);
            Err::<Response<()>, _>(reset())
        },
    ));
    let request = shipment("k").map(|_| aplomb_core::Replayable::new(Stream(0)));
    let answer = service.oneshot(request).await;
    let Some(Fate::Buried(id)) = Fate::of(&answer) else { panic!("{answer:?}") };
    let letter = sink.get(id).await.unwrap().unwrap().letter;
    assert_eq!(letter.request.body, [1, 1, 2, 2, 3, 3][..]);
}

#[tokio::test(start_paused = true)]
async fn a_letter_whose_answer_was_lost_is_asked_for_once_more() {
    /// Stores the first letter, and loses the answer.
    struct Forgetful(MemorySink, AtomicBool);
    impl Sink for Forgetful {
        async fn store(&self, letter: &Letter) -> Result<Stored, SinkError> {
            let stored = self.0.store(letter).await?;
            if self.1.swap(true, Ordering::Relaxed) {
                return Ok(stored);
            }
            Err(SinkError::uncertain("the connection was lost"))
        }
        async fn step(&self, id: LetterId, step: &Step) -> Result<Record, StepError> {
            self.0.step(id, step).await
        }
        async fn get(&self, id: LetterId) -> Result<Option<Record>, SinkError> {
            self.0.get(id).await
        }
        async fn list(&self, listing: &Listing) -> Result<Vec<Record>, SinkError> {
            self.0.list(listing).await
        }
        async fn audit(
            &self,
            of: Option<LetterId>,
            most: usize,
        ) -> Result<Vec<AuditEntry>, SinkError> {
            self.0.audit(of, most).await
        }
        async fn sweep(&self, keep: Duration, most: usize) -> Result<usize, SinkError> {
            self.0.sweep(keep, most).await
        }
    }
    let sink = Arc::new(Forgetful(MemorySink::new(), AtomicBool::new(false)));
    let service = DeadLetterLayer::new(Arc::clone(&sink)).layer(Warehouse::that([Act::Reset]));
    let answer = send(&service, shipment("k")).await;
    assert!(matches!(Fate::of(&answer), Some(Fate::Buried(_))));
    assert_eq!(sink.0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_done_after_its_worker_died_takes_its_letter_back() {
    let (sink, heard) = (Arc::new(MemorySink::new()), Heard::default());
    let layer = DeadLetterLayer::new(Arc::clone(&sink)).observe(heard.clone());
    let service = layer.layer(Warehouse::that([Act::Status(422), Act::Status(201)]));
    // The letter is stored; its worker dies before the job is removed, and the job is taken again.
    let answer = send(&service, queued("k", HOUR)).await;
    let Some(Fate::Buried(id)) = Fate::of(&answer) else { panic!("{answer:?}") };
    heard.take();
    let again = with_job("k", Job::new(HOUR, time::now()).rounds(1));
    let answer = send(&service, again).await;
    assert!(Fate::of(&answer).is_none() && answer.is_ok());
    let record = sink.get(id).await.unwrap().unwrap();
    assert!(matches!(record.state, State::Delivered { .. }));
    assert_eq!(heard.take(), [DeadLetterEvent::Retracted]);
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_handed_to_whoever_keeps_the_queue() {
    let heard = Heard::default();
    let layer = DeadLetterLayer::hand_over().observe(heard.clone());
    let service = layer.layer(Warehouse::that([Act::Status(422), Act::Status(201)]));
    let answer = send(&service, queued("k", HOUR)).await;
    let Some(Fate::HandedOver(letter)) = Fate::of(&answer) else { panic!("{answer:?}") };
    assert_eq!((&*letter.key, letter.cause), ("k", Cause::Refused));
    assert_eq!(heard.take(), [DeadLetterEvent::HandedOver { cause: Cause::Refused }]);
    let again = with_job("k", Job::new(HOUR, time::now()).rounds(1));
    assert_eq!(send(&service, again).await.unwrap().status(), 201);
}

#[tokio::test(start_paused = true)]
async fn headers_of_ones_own_are_kept_when_asked_for() {
    let sink = Arc::new(MemorySink::new());
    let names = ["x-tenant", "authorization"].map(http::HeaderName::from_static);
    let layer = DeadLetterLayer::new(Arc::clone(&sink)).keep_headers(names);
    let mut request = shipment("k");
    request.headers_mut().insert("x-tenant", http::HeaderValue::from_static("shop"));
    let answer = send(&layer.layer(Warehouse::that([Act::Reset])), request).await;
    let Some(Fate::Buried(id)) = Fate::of(&answer) else { panic!("{answer:?}") };
    let headers = sink.get(id).await.unwrap().unwrap().letter.request.headers;
    assert_eq!(headers["x-tenant"], "shop");
    assert!(!headers.contains_key("authorization"));
}
