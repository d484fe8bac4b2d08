//! A dependency that pushed back is left alone, by everybody and for no longer than it asked.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_backoff::{Backoff, BackoffEvent, BackoffLayer};
use aplomb_core::{BoxError, Deadline, Dice, NotBefore, cause, time};
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt};

#[tokio::test(start_paused = true)]
async fn a_pushback_holds_back_every_caller() {
    let (layer, stock) = (layer(), Stock::new([(503, Some(2))]));
    send(&layer, &stock, get()).await.unwrap();
    for _ in 0..3 {
        send(&layer.clone(), &stock, get()).await.unwrap();
    }
    let arrivals = stock.arrivals();
    assert!(arrivals[1] >= secs(2) && arrivals[1] <= ms(2_500), "{arrivals:?}");
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_do_not_all_come_back_at_once() {
    let (layer, stock) = (layer(), Stock::new([(503, Some(4))]));
    send(&layer, &stock, get()).await.unwrap();
    let waiting = (0..50).map(|_| tokio::spawn(send(&layer, &stock, get())));
    for call in waiting.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    let mut arrivals = stock.arrivals().split_off(1);
    arrivals.sort();
    arrivals.dedup();
    assert!(arrivals.len() > 40, "{arrivals:?}");
    assert!(arrivals.last().unwrap().abs_diff(arrivals[0]) > ms(500));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_would_be_up_fails_at_once_with_what_is_left() {
    let (layer, stock) = (layer(), Stock::new([(429, Some(10))]));
    send(&layer, &stock, get()).await.unwrap();
    let mut hasty = get();
    hasty.extensions_mut().insert(Deadline::after(time::now(), secs(3)));
    let begun = time::now();
    let error = send(&layer, &stock, hasty).await.unwrap_err();
    assert_eq!(cause::<NotBefore>(&*error).unwrap().retry_after, secs(10));
    assert_eq!((time::now() - begun, stock.arrivals().len()), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_has_another_answer_waits_for_short_pauses_alone() {
    let (layer, stock) = (layer(), Stock::new([(503, Some(2))]));
    send(&layer, &stock, get()).await.unwrap();
    let hasty = layer.clone().wait_at_most(ms(100));
    let mut patient = get();
    patient.extensions_mut().insert(Deadline::after(time::now(), secs(10)));
    let begun = time::now();
    let error = send(&hasty, &stock, patient).await.unwrap_err();
    assert!(cause::<NotBefore>(&*error).is_some());
    assert_eq!((time::now() - begun, stock.arrivals().len()), (Duration::ZERO, 1));
    // One of the same dependency that is nearly over is waited for.
    tokio::time::sleep(ms(2_450)).await;
    send(&hasty, &stock, get()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_waited_on_its_own_does_not_wait_again() {
    let (layer, stock) = (layer(), Stock::new([(503, Some(2))]));
    send(&layer, &stock, get()).await.unwrap();
    tokio::time::sleep(ms(2_001)).await;
    send(&layer, &stock, get()).await.unwrap();
    assert_eq!(stock.arrivals()[1], ms(2_001));
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_begin_a_pause_that_grows() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    let layer = BackoffLayer::new(Backoff::exponential(ms(100), secs(1)))
        .after_failures(3)
        .observe(move |event: &BackoffEvent| keep.lock().unwrap().push(*event));
    let stock = Stock::new([(500, None); 12]);
    for _ in 0..12 {
        send(&layer, &stock, get()).await.unwrap();
    }
    let pauses: Vec<_> = heard.lock().unwrap().iter().filter_map(pause).collect();
    assert_eq!(pauses, [ms(100), ms(200), ms(400), ms(800)]);
}

/// A failure is often quicker than a success: of eight calls that go out together after a pause, at
/// three failures in ten, the first to end is nearly always one.
#[tokio::test(start_paused = true)]
async fn failures_that_outrun_the_successes_beside_them_lengthen_nothing() {
    let layer = BackoffLayer::new(Backoff::exponential(ms(100), secs(5))).after_failures(3);
    let stock = Stock::new([(500, None); 5]);
    for _ in 0..3 {
        send(&layer, &stock, get()).await.unwrap();
    }
    let calls: Vec<_> = (0..8).map(|_| tokio::spawn(send(&layer, &stock, get()))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    send(&layer, &stock, get()).await.unwrap();
    let last = *stock.arrivals().last().unwrap();
    assert!(last < ms(200), "one pause, and none after it: {:?}", stock.arrivals());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_paced_however_long_it_lasts() {
    let layer = BackoffLayer::new(Backoff::exponential(ms(100), ms(100))).after_failures(1);
    let stock = Stock::new([(500, None); 300]);
    for _ in 0..300 {
        send(&layer, &stock, get()).await.unwrap();
    }
    let arrivals = stock.arrivals();
    assert!(arrivals.windows(2).all(|pair| pair[1] >= pair[0] + ms(100)), "{arrivals:?}");
}

#[tokio::test(start_paused = true)]
async fn more_failures_than_can_be_counted_still_begin_a_pause() {
    let layer = BackoffLayer::new(Backoff::exponential(ms(100), ms(100))).after_failures(1_000);
    let stock = Stock::new([(500, None); 1_000]);
    for _ in 0..1_001 {
        send(&layer, &stock, get()).await.unwrap();
    }
    assert!(*stock.arrivals().last().unwrap() >= ms(100));
}

#[tokio::test(start_paused = true)]
async fn a_pushback_is_waited_out_to_its_last_microsecond() {
    let (layer, stock) = (layer(), Stock::new([(503, Some(1))]));
    send(&layer, &stock, get()).await.unwrap();
    tokio::time::advance(Duration::from_micros(999_001)).await;
    send(&layer, &stock, get()).await.unwrap();
    assert!(stock.arrivals()[1] >= secs(1), "{:?}", stock.arrivals());
}

#[tokio::test(start_paused = true)]
async fn a_success_ends_the_row() {
    let layer = layer().after_failures(2);
    let stock = Stock::new([(500, None), (200, None), (500, None), (200, None)]);
    for _ in 0..4 {
        send(&layer, &stock, get()).await.unwrap();
    }
    assert_eq!(stock.arrivals(), [Duration::ZERO; 4], "nobody waited");
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_mistakes_pause_nothing() {
    let (layer, stock) = (layer().after_failures(1), Stock::new([(404, None), (422, None)]));
    for _ in 0..3 {
        send(&layer, &stock, get()).await.unwrap();
    }
    assert_eq!(stock.arrivals(), [Duration::ZERO; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_pushback_cannot_silence_a_client_for_a_day() {
    let (layer, stock) = (layer().longest_pause(secs(1)), Stock::new([(503, Some(86_400))]));
    for _ in 0..2 {
        send(&layer, &stock, get()).await.unwrap();
    }
    assert!(stock.arrivals()[1] <= ms(1_250));
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_there_is_room_for() {
    let (layer, stock) = (layer().waiters_max(2), Stock::new([(503, Some(1))]));
    send(&layer, &stock, get()).await.unwrap();
    let mut calls: Vec<_> = (0..3).map(|_| Box::pin(send(&layer, &stock, get()))).collect();
    for call in &mut calls[..2] {
        assert!(is_pending(call).await);
    }
    assert!(cause::<NotBefore>(&*calls.pop().unwrap().await.unwrap_err()).is_some());
    drop(calls.pop());
    send(&layer, &stock, get()).await.expect("the place of a call that was dropped is free");
}

async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending()))
        .await
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_only_observes_tells_and_lets_nobody_wait() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    let layer = layer().observe_only();
    let layer = layer.observe(move |event: &BackoffEvent| keep.lock().unwrap().push(*event));
    let stock = Stock::new([(503, Some(10))]);
    let begun = time::now();
    for _ in 0..2 {
        send(&layer, &stock, get()).await.unwrap();
    }
    assert_eq!((time::now() - begun, stock.arrivals().len()), (Duration::ZERO, 2));
    let (paused, would) =
        (BackoffEvent::Paused { pause: secs(10) }, BackoffEvent::WouldWait { left: secs(10) });
    assert_eq!(*heard.lock().unwrap(), [paused, would]);
}

fn send<O: aplomb_core::Observe<BackoffEvent> + Clone + 'static>(
    layer: &BackoffLayer<aplomb_core::HttpClassifier, O>,
    stock: &Stock,
    request: Request<()>,
) -> impl Future<Output = Result<Response<()>, BoxError>> + use<O> {
    layer.layer(stock.clone()).oneshot(request)
}

fn pause(event: &BackoffEvent) -> Option<Duration> {
    match event {
        BackoffEvent::Paused { pause } => Some(*pause),
        _ => None,
    }
}

type Script = VecDeque<(u16, Option<u32>)>;

/// A dependency that follows its script of statuses and `Retry-After` seconds, then answers 200.
#[derive(Clone)]
struct Stock {
    begun: time::Instant,
    script: Arc<Mutex<Script>>,
    arrivals: Arc<Mutex<Vec<Duration>>>,
}

impl Stock {
    fn new(script: impl IntoIterator<Item = (u16, Option<u32>)>) -> Self {
        let script = Arc::new(Mutex::new(script.into_iter().collect()));
        Self { begun: time::now(), script, arrivals: Arc::default() }
    }

    fn arrivals(&self) -> Vec<Duration> {
        self.arrivals.lock().unwrap().clone()
    }
}

impl Service<Request<()>> for Stock {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        self.arrivals.lock().unwrap().push(time::now() - self.begun);
        let (status, after) = self.script.lock().unwrap().pop_front().unwrap_or((200, None));
        let mut response = Response::builder().status(status);
        if let Some(seconds) = after {
            response = response.header("retry-after", seconds);
        }
        ready(Ok(response.body(()).unwrap()))
    }
}

fn layer() -> BackoffLayer {
    BackoffLayer::new(Backoff::interactive()).dice(Dice::seeded(7))
}

fn get() -> Request<()> {
    Request::new(())
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
