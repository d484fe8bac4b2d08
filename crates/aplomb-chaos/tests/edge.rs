//! The outermost station: connections cut before anything runs, answers lost after all was done.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use aplomb_chaos::{Chaos, Cut, Event, Knobs};
use aplomb_core::{BoxError, Call, Classify, FailureKind, HttpClassifier, Ratio, cause};
use http::{Method, Request, Response};
use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceExt, service_fn};

#[tokio::test]
async fn a_calm_edge_lets_everything_pass() {
    let work = Work::default();
    let mut edge = Chaos::seeded(1).edge().layer(work.service());
    for _ in 0..100 {
        send(&mut edge, "/").await.unwrap();
    }
    assert_eq!(work.done(), 100);
}

#[tokio::test]
async fn a_dropped_connection_reaches_nothing() {
    let (chaos, work) = (Chaos::seeded(1), Work::default());
    chaos.set(Knobs { drop_connection_rate: Ratio::ONE, ..Knobs::default() });
    let mut edge = chaos.edge().layer(work.service());
    assert!(!cut(&send(&mut edge, "/").await).answered);
    assert_eq!(work.done(), 0);
}

#[tokio::test]
async fn a_service_that_is_down_reaches_nothing_until_it_is_up() {
    let (chaos, work) = (Chaos::seeded(1), Work::default());
    let mut edge = chaos.edge().layer(work.service());
    chaos.set(Knobs { down: true, ..Knobs::default() });
    assert!(!cut(&send(&mut edge, "/").await).answered);
    chaos.set(Knobs::default());
    send(&mut edge, "/").await.unwrap();
    assert_eq!(work.done(), 1);
}

#[tokio::test]
async fn a_lost_response_was_answered_all_the_same() {
    let (chaos, work) = (Chaos::seeded(1), Work::default());
    chaos.set(Knobs { lose_response_rate: Ratio::ONE, ..Knobs::default() });
    let mut edge = chaos.edge().layer(work.service());
    assert!(cut(&send(&mut edge, "/").await).answered);
    assert_eq!(work.done(), 1, "the effect stands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_the_next_n_answers_are_lost_however_many_come_at_once() {
    let (chaos, work) = (Chaos::seeded(1), Work::default());
    chaos.set(Knobs { lose_next: 7, ..Knobs::default() });
    let edge = chaos.edge().layer(work.yielding_service());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let mut edge = edge.clone();
        calls.spawn(async move { send(&mut edge, "/").await.is_err() });
    }
    let lost = calls.join_all().await.into_iter().filter(|lost| *lost);
    assert_eq!(lost.count(), 7);
    assert_eq!(work.done(), 200);
    assert_eq!(chaos.knobs().lose_next, 0);
}

#[tokio::test]
async fn a_promised_loss_is_taken_before_a_random_one() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { lose_next: 2, lose_response_rate: Ratio::ONE, ..Knobs::default() });
    let mut edge = chaos.edge().layer(Work::default().service());
    cut(&send(&mut edge, "/").await);
    assert_eq!(chaos.knobs().lose_next, 1);
}

#[tokio::test]
async fn only_requests_that_got_an_answer_are_counted() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { lose_next: 1, ..Knobs::default() });
    let failing = service_fn(async |_: Request<()>| Err::<Response<()>, _>(io::Error::other("no")));
    let hanging = service_fn(async |_: Request<()>| {
        std::future::pending::<()>().await;
        Ok::<_, Infallible>(Response::new(()))
    });

    let failed = chaos.edge().layer(failing).oneshot(Request::new(())).await;
    assert_eq!(failed.unwrap_err().to_string(), "no");
    let mut hung = Box::pin(chaos.edge().layer(hanging).oneshot(Request::new(())));
    let begun = poll_fn(|context| Poll::Ready(hung.as_mut().poll(context).is_pending()));
    assert!(begun.await);
    drop(hung);
    assert_eq!(chaos.knobs().lose_next, 1);

    let mut edge = chaos.edge().layer(Work::default().service());
    assert!(cut(&send(&mut edge, "/").await).answered);
    assert_eq!(chaos.knobs().lose_next, 0);
}

#[tokio::test]
async fn only_the_requests_asked_for_are_touched() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { lose_next: 1, ..Knobs::default() });
    let products = |request: &Request<()>| request.uri().path().starts_with("/products");
    let mut edge = chaos.edge().only(products).layer(Work::default().service());
    send(&mut edge, "/healthz").await.unwrap();
    assert_eq!(chaos.knobs().lose_next, 1);
    cut(&send(&mut edge, "/products/mug").await);
    send(&mut edge, "/products/mug").await.unwrap();
}

#[tokio::test]
async fn the_same_seed_cuts_the_same_connections() {
    let first = pattern(&Chaos::seeded(5), 0).await;
    assert_eq!(first, pattern(&Chaos::seeded(5), 0).await);
    assert_ne!(first, pattern(&Chaos::seeded(6), 0).await);
    assert!(first.contains(&true) && first.contains(&false));
}

#[tokio::test]
async fn a_seed_that_is_set_starts_the_dice_anew() {
    let chaos = Chaos::seeded(1);
    let first = pattern(&chaos, 9).await;
    assert_ne!(first, pattern(&chaos, 0).await, "without a seed they roll on");
    assert_eq!(first, pattern(&chaos, 9).await);
}

#[tokio::test]
async fn a_cut_is_a_reset_to_the_classifier() {
    let chaos = Chaos::seeded(1);
    chaos.set(Knobs { down: true, ..Knobs::default() });
    let error = send(&mut chaos.edge().layer(Work::default().service()), "/").await.unwrap_err();
    let call = Call::of(&Method::GET, &http::HeaderMap::new());
    let result: Result<&Response<()>, _> = Err(&*error as &(dyn std::error::Error + 'static));
    let failure = HttpClassifier.classify(call, result).failure().unwrap();
    assert_eq!(failure.kind, FailureKind::Transient);
}

#[tokio::test]
async fn faults_are_told_to_the_observer() {
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let chaos = Chaos::seeded(1);
    let ear = Arc::clone(&heard);
    let observed = chaos.observe(move |event: &Event| ear.lock().unwrap().push(*event));
    let mut edge = observed.edge().layer(Work::default().service());
    for knobs in [
        Knobs { down: true, ..Knobs::default() },
        Knobs { drop_connection_rate: Ratio::ONE, ..Knobs::default() },
        Knobs { lose_next: 1, ..Knobs::default() },
    ] {
        chaos.set(knobs);
        cut(&send(&mut edge, "/").await);
    }
    assert_eq!(*heard.lock().unwrap(), [Event::Down, Event::Dropped, Event::Lost]);
}

/// Which of forty connections are cut at one in two.
async fn pattern(chaos: &Chaos, seed: u64) -> Vec<bool> {
    chaos.set(Knobs { drop_connection_rate: Ratio::percent(50), seed, ..Knobs::default() });
    let mut edge = chaos.edge().layer(Work::default().service());
    let mut cuts = Vec::new();
    for _ in 0..40 {
        cuts.push(send(&mut edge, "/").await.is_err());
    }
    cuts
}

async fn send<S>(edge: &mut S, path: &str) -> Result<Response<()>, BoxError>
where
    S: Service<Request<()>, Response = Response<()>, Error = BoxError>,
{
    let request = Request::get(path).body(()).expect("the path is one");
    edge.ready().await?.call(request).await
}

fn cut(result: &Result<Response<()>, BoxError>) -> Cut {
    let error = result.as_ref().expect_err("the connection was cut");
    *cause::<Cut>(&**error).expect("it was cut on purpose")
}

/// Counts what was really done.
#[derive(Clone, Default)]
struct Work(Arc<AtomicU32>);

impl Work {
    fn service(&self) -> BoxCloneService<Request<()>, Response<()>, Infallible> {
        let work = self.clone();
        BoxCloneService::new(service_fn(move |_| {
            work.0.fetch_add(1, Ordering::Relaxed);
            async { Ok(Response::new(())) }
        }))
    }

    /// One whose calls are all in flight before the first is answered.
    fn yielding_service(&self) -> BoxCloneService<Request<()>, Response<()>, Infallible> {
        let work = self.clone();
        BoxCloneService::new(service_fn(move |_| {
            work.0.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::task::yield_now().await;
                Ok(Response::new(()))
            }
        }))
    }

    fn done(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}
