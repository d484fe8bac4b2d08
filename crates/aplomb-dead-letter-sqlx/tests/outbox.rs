//! Jobs in the caller's database: none is lost, none invented, none both queued and dead.
#![allow(clippy::unwrap_used, reason = "a test may")]
mod common;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use aplomb_core::{BoxError, Failure, FailureKind, OperationClass, Outcome};
use aplomb_dead_letter::{
    Cause, DeadLetterLayer, Fate, Job, LastFailure, Letter, LetterId, Reschedule, Sink, Timestamp,
};
use aplomb_dead_letter_sqlx::{Backend, NotOutgoing, Outbox, Outgoing, Settled, Task};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};

use common::{LONG, Shop, hopeless, on_both, request, shipment};

on_both!(
    a_job_is_written_with_its_order_or_not_at_all,
    the_same_work_is_queued_once,
    a_job_comes_back_as_it_was_written_without_secrets,
    a_job_that_is_taken_is_nobody_elses_until_its_lease_ends,
    a_job_waits_as_long_as_it_is_told_and_is_counted,
    a_worker_that_wakes_late_changes_nothing,
    a_job_that_is_removed_and_made_anew_is_another,
    a_letter_and_its_job_change_together_or_not_at_all,
    an_answer_says_what_becomes_of_its_job,
    an_answer_that_no_layer_judged_changes_nothing,
    many_workers_do_each_job_once,
    many_workers_whose_leases_end_early_settle_each_job_once,
    a_worker_may_be_killed_at_every_step,
    the_outbox_that_is_asked_twice_says_that_it_is_done,
);

async fn a_job_is_written_with_its_order_or_not_at_all<D: Backend>(shop: Shop<D>) {
    let mut tx = shop.pool.begin().await.unwrap();
    assert!(shop.outbox.enqueue_in(&mut *tx, &shipment("a")).await.unwrap());
    drop(tx);
    assert_eq!(shop.jobs().await, 0);
    assert!(shop.enqueue(&shipment("a")).await);
    assert_eq!(shop.jobs().await, 1);
}

async fn the_same_work_is_queued_once<D: Backend>(shop: Shop<D>) {
    assert!(shop.enqueue(&shipment("a")).await);
    assert!(!shop.enqueue(&shipment("a")).await);
    assert!(shop.enqueue(&shipment("b")).await);
    assert_eq!(shop.jobs().await, 2);
}

async fn a_job_comes_back_as_it_was_written_without_secrets<D: Backend>(shop: Shop<D>) {
    let job = shipment("order_1");
    shop.enqueue(&job).await;
    let task = shop.take_one().await;
    assert_eq!((task.id(), task.key()), (job.id(), "order_1"));
    let request: Request<Bytes> = task.request();
    assert_eq!(request.uri(), "http://warehouse:7002/shipments");
    assert_eq!(request.headers()["idempotency-key"], "order_1");
    assert!(!request.headers().contains_key("authorization"));
    assert_eq!(request.body(), "{\"order\": 1}");
    assert_eq!(request.extensions().get(), Some(&OperationClass::Deferred));
    let left = request.extensions().get::<Job>().unwrap().left(aplomb_core::time::now());
    assert!(left <= 24 * LONG && left > 23 * LONG, "{left:?}");
}

async fn a_job_that_is_taken_is_nobody_elses_until_its_lease_ends<D: Backend>(shop: Shop<D>) {
    shop.enqueue(&shipment("a")).await;
    shop.enqueue(&shipment("later").delay(LONG)).await;
    let first = shop.take_briefly().await.pop().unwrap();
    let second = shop.take_one().await;
    assert!(second.fence() > first.fence());
    assert!(shop.take_briefly().await.is_empty());
    let depth = shop.outbox.depth().await.unwrap();
    assert_eq!((depth.jobs, depth.taken, depth.due), (2, 1, 0));
    assert_eq!(shop.outbox.renew(&first, LONG).await.unwrap(), Settled::Lost);
    assert_eq!(shop.outbox.renew(&second, Duration::ZERO).await.unwrap(), Settled::Done);
    assert_eq!(shop.take_briefly().await.len(), 1);
}

async fn a_job_waits_as_long_as_it_is_told_and_is_counted<D: Backend>(shop: Shop<D>) {
    shop.enqueue(&shipment("a")).await;
    let task = shop.take_one().await;
    assert_eq!(shop.outbox.reschedule(&task, &later(LONG)).await.unwrap(), Settled::Rescheduled);
    assert!(shop.take_briefly().await.is_empty());
    assert_eq!(shop.outbox.reschedule(&task, &later(LONG)).await.unwrap(), Settled::Lost);

    shop.enqueue(&shipment("b")).await;
    for round in 0..3 {
        let task = shop.take_one().await;
        assert_eq!(task.takes(), round + 1);
        let known = Job::new(LONG, aplomb_core::time::now()).rounds(round).attempts(3 * round);
        let known =
            if round == 0 { known } else { known.first_failed_at(Timestamp::from_millis(1_000)) };
        let (seen, known) = (format!("{:?}", task.job()), format!("{known:?}"));
        assert_eq!(seen.split_once("rounds").unwrap().1, known.split_once("rounds").unwrap().1);
        shop.outbox.reschedule(&task, &later(Duration::ZERO)).await.unwrap();
    }
}

async fn a_worker_that_wakes_late_changes_nothing<D: Backend>(shop: Shop<D>) {
    shop.enqueue(&shipment("a")).await;
    let late = shop.take_briefly().await.pop().unwrap();
    let newer = shop.take_one().await;
    assert_eq!(shop.outbox.done(&late).await.unwrap(), Settled::Lost);
    assert_eq!(shop.outbox.reschedule(&late, &later(LONG)).await.unwrap(), Settled::Lost);
    assert_eq!(shop.outbox.bury(&late, &letter(&late).await).await.unwrap(), Settled::Lost);
    assert_eq!(shop.sink.get(late.id()).await.unwrap(), None);
    assert_eq!(shop.outbox.done(&newer).await.unwrap(), Settled::Done);
    assert_eq!(shop.jobs().await, 0);
}

async fn a_job_that_is_removed_and_made_anew_is_another<D: Backend>(shop: Shop<D>) {
    shop.enqueue(&shipment("a")).await;
    let late = shop.take_briefly().await.pop().unwrap();
    let newer = shop.take_one().await;
    shop.outbox.done(&newer).await.unwrap();
    shop.enqueue(&shipment("a")).await;
    let anew = shop.take_one().await;
    assert!(anew.fence() > newer.fence());
    for zombie in [&late, &newer] {
        assert_eq!(shop.outbox.done(zombie).await.unwrap(), Settled::Lost);
    }
    assert_eq!(shop.jobs().await, 1);
}

async fn a_letter_and_its_job_change_together_or_not_at_all<D: Backend>(shop: Shop<D>) {
    shop.enqueue(&shipment("a")).await;
    let task = shop.take_one().await;
    let letter = letter(&task).await;
    let mut tx = shop.pool.begin().await.unwrap();
    let buried = shop.outbox.bury_in(&mut *tx, &task, &letter).await.unwrap();
    assert_eq!(buried, Settled::Buried(task.id()));
    drop(tx);
    assert_eq!(shop.jobs().await, 1);
    assert_eq!(shop.sink.get(task.id()).await.unwrap(), None);

    assert_eq!(shop.outbox.bury(&task, &letter).await.unwrap(), Settled::Buried(task.id()));
    assert_eq!(shop.jobs().await, 0);
    assert_eq!(shop.sink.get(task.id()).await.unwrap().unwrap().letter, letter);
}

async fn an_answer_says_what_becomes_of_its_job<D: Backend>(shop: Shop<D>) {
    for (key, status) in [("ok", 201), ("down", 503), ("poison", 422)] {
        shop.enqueue(&shipment(key)).await;
        let task = shop.take_one().await;
        let answer = send(&task, status).await;
        let settled = shop.outbox.settle(&task, &answer).await.unwrap();
        match status {
            201 => assert_eq!(settled, Settled::Done),
            503 => assert_eq!(settled, Settled::Rescheduled),
            _ => assert_eq!(settled, Settled::Buried(task.id())),
        }
        let letter = shop.sink.get(task.id()).await.unwrap();
        assert_eq!(letter.is_some(), status == 422);
    }
    assert_eq!(shop.jobs().await, 1);

    shop.enqueue(&hopeless("late")).await;
    let task = shop.take_one().await;
    let answer = send(&task, 503).await;
    let settled = shop.outbox.settle(&task, &answer).await.unwrap();
    assert_eq!(settled, Settled::Buried(task.id()));
    let letter = shop.sink.get(task.id()).await.unwrap().unwrap().letter;
    assert_eq!((letter.cause, &*letter.key), (Cause::Exhausted, "late"));
}

async fn an_answer_that_no_layer_judged_changes_nothing<D: Backend>(shop: Shop<D>) {
    shop.enqueue(&shipment("a")).await;
    let task = shop.take_one().await;
    let answer = Ok(Response::builder().status(503).body(()).unwrap());
    assert_eq!(shop.outbox.settle(&task, &answer).await.unwrap(), Settled::Unjudged);
    let answer: Result<Response<()>, BoxError> = Err("reset".into());
    assert_eq!(shop.outbox.settle(&task, &answer).await.unwrap(), Settled::Unjudged);
    assert_eq!(shop.jobs().await, 1);
    let answer = Ok(Response::new(()));
    assert_eq!(shop.outbox.settle(&task, &answer).await.unwrap(), Settled::Done);
}

async fn many_workers_do_each_job_once<D: Backend>(shop: Shop<D>) {
    for number in 0..120 {
        shop.enqueue(&shipment(&format!("k{number}"))).await;
    }
    let done = Arc::new(Mutex::new(HashMap::<_, u32>::new()));
    let workers = (0..8).map(|worker| {
        let (outbox, done) = (shop.outbox.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            loop {
                let tasks = outbox.claim(&format!("w{worker}"), 7, LONG).await.unwrap();
                if tasks.is_empty() {
                    return;
                }
                for task in tasks {
                    *done.lock().unwrap().entry(task.id()).or_default() += 1;
                    assert_eq!(outbox.done(&task).await.unwrap(), Settled::Done);
                }
            }
        })
    });
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    assert_eq!(shop.jobs().await, 0);
    let done = done.lock().unwrap();
    assert_eq!(done.len(), 120);
    assert!(done.values().all(|times| *times == 1), "{done:?}");
}

/// Leases that end before the work does: jobs are taken twice, and settled once all the same.
async fn many_workers_whose_leases_end_early_settle_each_job_once<D: Backend>(shop: Shop<D>) {
    for number in 0..40 {
        shop.enqueue(&shipment(&format!("k{number}"))).await;
    }
    let settled = Arc::new(Mutex::new(HashMap::<_, (u32, u64)>::new()));
    let workers = (0..6).map(|worker: u32| {
        let (outbox, settled) = (shop.outbox.clone(), Arc::clone(&settled));
        tokio::spawn(async move {
            let name = format!("w{worker}");
            for turn in 0_u32.. {
                let tasks = outbox.claim(&name, 5, Duration::from_millis(2)).await.unwrap();
                if tasks.is_empty() && outbox.depth().await.unwrap().jobs == 0 {
                    return;
                }
                for task in tasks {
                    settle_once(&outbox, task, worker + turn, &settled).await;
                }
            }
        })
    });
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    let settled = settled.lock().unwrap();
    assert_eq!(settled.len(), 40);
    assert!(settled.values().all(|(times, _)| *times == 1), "{settled:?}");
}

/// Ends a job in one of two ways, and remembers that it did.
async fn settle_once<D: Backend>(
    outbox: &Outbox<D>,
    task: Task,
    chance: u32,
    settled: &Mutex<HashMap<LetterId, (u32, u64)>>,
) {
    let letter = letter(&task).await;
    let ended = if chance.is_multiple_of(2) {
        outbox.done(&task).await
    } else {
        outbox.bury(&task, &letter).await
    };
    if ended.unwrap() != Settled::Lost {
        let mut settled = settled.lock().unwrap();
        let (times, fence) = settled.entry(task.id()).or_default();
        *times += 1;
        assert!(*fence < task.fence(), "a later fence wins");
        *fence = task.fence();
    }
}

/// A worker that is polled so often and then dropped, wherever it is.
async fn a_worker_may_be_killed_at_every_step<D: Backend>(shop: Shop<D>) {
    for (status, ends_as_letter) in [(422, true), (201, false)] {
        for polls in 1.. {
            assert!(polls < POLLS_MAX, "a worker does not come to its end");
            let key = format!("{status}_{polls}");
            let id = shipment(&key).id();
            shop.enqueue(&shipment(&key)).await;
            let is_done = polled(polls, work(&shop.outbox, status)).await;

            let job = usize::from(shop.jobs().await == 1);
            let letter = usize::from(shop.sink.get(id).await.unwrap().is_some());
            assert!(job + letter <= 1, "both, after {polls} polls of {status}");
            assert!(job + letter == 1 || !ends_as_letter, "lost after {polls} polls of {status}");
            // Whoever comes after it finds the job, if it is there, and ends it.
            while shop.jobs().await > 0 {
                work(&shop.outbox, status).await;
            }
            let letter = shop.sink.get(id).await.unwrap();
            assert_eq!(letter.is_some(), ends_as_letter, "after {polls} polls of {status}");
            if is_done {
                break;
            }
        }
    }
}

async fn the_outbox_that_is_asked_twice_says_that_it_is_done<D: Backend>(shop: Shop<D>) {
    shop.enqueue(&shipment("a")).await;
    let task = shop.take_one().await;
    let letter = letter(&task).await;
    shop.outbox.bury(&task, &letter).await.unwrap();
    // A worker whose commit was in doubt asks again: nothing is changed by that.
    assert_eq!(shop.outbox.bury(&task, &letter).await.unwrap(), Settled::Lost);
    assert!(shop.sink.get(task.id()).await.unwrap().is_some());
}

#[test]
fn what_no_letter_would_hold_is_refused_before_it_is_queued() {
    let mut unkeyed = request("k");
    unkeyed.headers_mut().remove("idempotency-key");
    assert_eq!(Outgoing::new(unkeyed, LONG).unwrap_err(), NotOutgoing::Key);
    let long = request("k").map(|_| Bytes::from(vec![0; 64 * 1024 + 1]));
    assert_eq!(Outgoing::new(long, LONG).unwrap_err(), NotOutgoing::Body { cap: 64 * 1024 });
}

/// One round of a worker.
async fn work<D: Backend>(outbox: &Outbox<D>, status: u16) {
    for task in outbox.claim("worker", 1, Duration::ZERO).await.unwrap() {
        let answer = send(&task, status).await;
        outbox.settle(&task, &answer).await.unwrap();
    }
}

/// Polls a future so often and then drops it. Answers whether it came to its end.
async fn polled(polls: u32, future: impl Future<Output = ()>) -> bool {
    let (mut future, mut left): (Pin<Box<_>>, _) = (Box::pin(future), polls);
    std::future::poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Sends a job through a layer that hands its letters over.
async fn send(task: &Task, status: u16) -> Result<Response<()>, BoxError> {
    let mut client =
        DeadLetterLayer::hand_over().layer(service_fn(move |_: Request<Full<Bytes>>| async move {
            Ok::<_, BoxError>(Response::builder().status(status).body(()).unwrap())
        }));
    client.ready().await?.call(task.request()).await
}

async fn letter(task: &Task) -> Letter {
    match Fate::of(&send(task, 422).await) {
        Some(Fate::HandedOver(letter)) => (*letter).clone(),
        other => panic!("{other:?}"),
    }
}

fn later(wait: Duration) -> Reschedule {
    let outcome = Outcome::Failure(Failure::new(FailureKind::Transient));
    let failure = LastFailure::new(outcome, Ok(StatusCode::SERVICE_UNAVAILABLE));
    let at = std::time::UNIX_EPOCH + Duration::from_secs(1);
    Reschedule::new(failure, 3, at, wait)
}

/// More polls than any round takes.
const POLLS_MAX: u32 = 500;
