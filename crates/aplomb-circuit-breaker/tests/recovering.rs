//! Half-open and after: probes that end in every way, the ramp, how long it stays open.

#![cfg(not(aplomb_loom))]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};

use aplomb_circuit_breaker::{
    Breaker, Change, CircuitBreaker, CircuitBreakerLayer, Ended, Permit, Settings, State, Together,
    Trip,
};
use aplomb_core::time::{self, Instant};
use aplomb_core::{Dice, Failure, FailureKind, HttpClassifier, Outcome, Pushback};
use common::{Dependency, Does, Heard, call, calls, count, is_open, ms, secs};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn of_ten_thousand_concurrent_arrivals_one_reaches_the_service() {
    let Opened { layer, service, stock, .. } = Opened::new().await;
    let before = stock.calls();
    stock.now(Does::AnswersAfter(200, ms(50)));
    let said = join_all((0..10_000).map(|_| call(&service))).await;
    assert_eq!(stock.calls() - before, 1);
    assert_eq!((count(&said, "200"), count(&said, "open")), (1, 9_999));
    assert_eq!(layer.handle().snapshot().state, State::HalfOpen);
}

#[test]
fn of_threads_that_arrive_together_one_is_the_probe() {
    let start = time::now();
    for round in 0..100 {
        let (breaker, settings) = (Breaker::new(start), Settings::default());
        open(&breaker, &settings, start, round);
        let (later, probes) = (start + secs(2), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let admitted = breaker.admit(&settings, later).is_ok();
                        probes.fetch_add(admitted.into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(probes.into_inner(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_back_at_full_load_within_seconds() {
    let Opened { layer, service, stock, heard } = Opened::new().await;
    heard.take();
    stock.now(Does::AnswersAfter(200, ms(100)));
    // Two hundred calls a second, of a tenth of a second each.
    let (begun, mut under_way) = (time::now(), Vec::new());
    for _ in 0..400 {
        let service = service.clone();
        under_way.push(tokio::spawn(async move { call(&service).await }));
        tokio::time::sleep(ms(5)).await;
        if layer.handle().snapshot().state == State::Closed {
            break;
        }
    }
    let took = time::now() - begun;
    assert!(took <= secs(1), "five round trips and a little: {took:?}");
    let said: Vec<_> = join_all(under_way).await.into_iter().map(Result::unwrap).collect();
    assert!(count(&said, "200") >= 31, "{said:?}");
    assert_eq!(count(&calls(&service, 100).await, "200"), 100);
    let told = heard.take();
    let changes: Vec<_> = told.iter().filter(|told| *told != "all rejected").collect();
    assert_eq!(changes, ["all half_open: open_time_over", "all closed: recovered"]);
}

#[tokio::test(start_paused = true)]
async fn the_ramp_lets_one_then_two_then_four_out() {
    let Opened { service, stock, .. } = Opened::new().await;
    stock.now(Does::AnswersAfter(200, ms(100)));
    let mut rounds = Vec::new();
    for _ in 0..6 {
        let said = join_all((0..100).map(|_| call(&service))).await;
        rounds.push(count(&said, "200"));
    }
    assert_eq!(rounds, [1, 2, 4, 8, 16, 100]);
}

#[tokio::test(start_paused = true)]
async fn a_client_with_one_call_a_second_is_not_turned_away_on_the_ramp() {
    let Opened { service, stock, .. } = Opened::new().await;
    stock.now(Does::Answers(200));
    for _ in 0..40 {
        assert_eq!(call(&service).await, "200");
        tokio::time::advance(secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_is_relieved_when_its_lease_is_over() {
    let Opened { layer, service, stock, .. } = Opened::new().await;
    stock.now(Does::AnswersAfter(200, secs(25)));
    let slow = service.clone();
    let slow = tokio::spawn(async move { call(&slow).await });
    tokio::time::sleep(ms(9_999)).await;
    assert_eq!(call(&service).await, "open");
    tokio::time::sleep(ms(1)).await;
    stock.now(Does::Hangs);
    let second = service.clone();
    let second = tokio::spawn(async move { call(&second).await });
    tokio::time::sleep(ms(1)).await;
    assert_eq!(call(&service).await, "open", "one in its place, and not two");
    // Late, but of this generation: it says that the dependency lives.
    assert_eq!(slow.await.unwrap(), "200");
    stock.now(Does::Answers(200));
    assert_eq!(count(&calls(&service, 30).await, "200"), 30);
    assert_eq!(layer.handle().snapshot().state, State::Closed);
    second.abort();
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_opens_it_again() {
    let Opened { layer, service, stock, .. } = Opened::new().await;
    stock.now(Does::Panics);
    assert!(AssertUnwindSafe(call(&service)).catch_unwind().await.is_err());
    assert!(is_open(&layer.handle()));
    stock.now(Does::Answers(200));
    tokio::time::advance(secs(3)).await;
    assert_eq!(call(&service).await, "200");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_gives_its_permit_back() {
    let Opened { layer, service, stock, .. } = Opened::new().await;
    stock.now(Does::Hangs);
    for _ in 0..3 {
        assert!(call(&service).now_or_never().is_none());
        assert_eq!(layer.handle().snapshot().state, State::HalfOpen);
    }
    stock.now(Does::Answers(200));
    assert_eq!(call(&service).await, "200");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_before_its_first_poll_gives_its_permit_back() {
    use tower::Service;
    let Opened { mut service, stock, .. } = Opened::new().await;
    for _ in 0..3 {
        std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
        drop(service.call(common::get("http://stock:7001/")));
    }
    stock.now(Does::Answers(200));
    assert_eq!(call(&service).await, "200");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_was_slow_and_is_dropped_has_failed() {
    let Opened { layer, service, stock, .. } = Opened::new().await;
    stock.now(Does::Hangs);
    assert!(tokio::time::timeout(secs(3), call(&service)).await.is_err());
    assert!(is_open(&layer.handle()));
}

#[tokio::test(start_paused = true)]
async fn a_probe_without_a_vote_leaves_its_place_to_the_next() {
    let Opened { service, stock, .. } = Opened::new().await;
    stock.now(Does::Answers(404));
    assert_eq!(count(&calls(&service, 10).await, "404"), 10);
    stock.now(Does::Answers(200));
    assert_eq!(call(&service).await, "200");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_throttled_has_failed() {
    let Opened { layer, service, stock, .. } = Opened::new().await;
    stock.now(Does::Answers(429));
    call(&service).await;
    assert!(is_open(&layer.handle()));
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_begins_on_the_ramp_opens_it_after_five_that_were_refused() {
    let Opened { layer, service, stock, .. } = Opened::new().await;
    stock.now(Does::Answers(200));
    calls(&service, 20).await;
    stock.now(Does::Refuses);
    let before = stock.calls();
    calls(&service, 100).await;
    assert_eq!(stock.calls() - before, 5);
    assert!(is_open(&layer.handle()));
}

#[tokio::test(start_paused = true)]
async fn one_failure_of_three_does_not_end_the_ramp() {
    let Opened { layer, service, stock, .. } = Opened::new().await;
    stock.now(Does::Answers(200));
    calls(&service, 2).await;
    stock.now(Does::Answers(500));
    call(&service).await;
    assert_eq!(layer.handle().snapshot().state, State::HalfOpen);
    call(&service).await;
    assert!(is_open(&layer.handle()), "half of four do");
}

#[tokio::test(start_paused = true)]
async fn four_results_from_before_the_outage_do_not_open_it_again() {
    let stock = Dependency::that(Does::AnswersAfter(500, secs(30)));
    let layer = layer(Trip::default());
    let service = layer.layer(stock.clone());
    let late: Vec<_> = (0..40).map(|_| service.clone()).collect();
    let late: Vec<_> =
        late.into_iter().map(|s| tokio::spawn(async move { call(&s).await })).collect();
    tokio::task::yield_now().await;
    stock.now(Does::Answers(500));
    calls(&service, 10).await;
    tokio::time::sleep(secs(2)).await;
    stock.now(Does::Answers(200));
    calls(&service, 40).await;
    assert_eq!(layer.handle().snapshot().state, State::Closed);
    let counted = layer.handle().snapshot();
    for late in late {
        assert_eq!(late.await.unwrap(), "500");
    }
    let after = layer.handle().snapshot();
    assert_eq!((after.state, after.failed_in_a_row), (State::Closed, 0));
    assert!(counted.failed == 0 && after.failed == 0, "neither old nor late failures count");
}

#[test]
fn the_open_time_grows_from_one_second_to_ten_while_probes_fail() {
    let (settings, start) = (Settings::default(), time::now());
    for seed in 0..50 {
        let breaker = Breaker::new(start);
        let mut now = start;
        let mut opened = open(&breaker, &settings, now, seed);
        for ceiling in [1_u64, 2, 4, 8, 10, 10, 10] {
            let (least, most) = (secs(ceiling) / 2, secs(ceiling));
            assert!((least..=most).contains(&opened.open_for), "{opened:?} at {ceiling}");
            now += most + ms(1);
            let (probe, _) = breaker.admit(&settings, now).unwrap();
            opened = fail(&breaker, &settings, probe, now, Pushback::None, seed).unwrap();
        }
    }
}

#[test]
fn no_two_clients_stay_open_alike() {
    let (settings, start) = (Settings::default(), time::now());
    let times: std::collections::HashSet<_> =
        (0..100).map(|seed| open(&Breaker::new(start), &settings, start, seed).open_for).collect();
    assert_eq!(times.len(), 100);
}

#[test]
fn after_recovery_the_open_time_decays_instead_of_jumping_back() {
    let (settings, start) = (Settings::default(), time::now());
    let levels: Vec<_> = [1, 11, 21, 31, 1_000]
        .map(|calm| {
            let (breaker, mut now) = (Breaker::new(start), start);
            open(&breaker, &settings, now, 1);
            for _ in 0..3 {
                now += secs(11);
                let (probe, _) = breaker.admit(&settings, now).unwrap();
                fail(&breaker, &settings, probe, now, Pushback::None, 1);
            }
            now += secs(11);
            recover(&breaker, &settings, now);
            now += secs(calm);
            open(&breaker, &settings, now, 1);
            breaker.snapshot(&settings, now).level
        })
        .into();
    assert_eq!(levels, [3, 2, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pushback_lengthens_the_open_time() {
    for (asked, least) in [(20, 20), (86_400, 60)] {
        let stock = Dependency::that(Does::Asks(503, asked));
        let layer = layer(Trip::default());
        let service = layer.layer(stock.clone());
        calls(&service, 10).await;
        let left = layer.handle().snapshot().retry_after;
        assert!((secs(least)..=secs(least) * 5 / 4 + ms(1)).contains(&left), "{left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_says_when_to_come_back() {
    use aplomb_circuit_breaker::CircuitOpen;
    use aplomb_core::cause;
    use tower::ServiceExt;
    let stock = Dependency::that(Does::Answers(500));
    let service = layer(Trip::default()).layer(stock);
    calls(&service, 10).await;
    let rejected = || async {
        let error = service.clone().oneshot(common::get("http://stock:7001/")).await.unwrap_err();
        cause::<CircuitOpen>(&*error).unwrap().retry_after()
    };
    let left = rejected().await;
    assert!((ms(500)..=secs(1)).contains(&left), "{left:?}");
    tokio::time::advance(ms(300)).await;
    assert_eq!(rejected().await + ms(300), left);
}

type Service = CircuitBreaker<Dependency, Together, HttpClassifier, Heard>;

/// A circuit whose open time has just passed, and what it heard.
struct Opened {
    layer: CircuitBreakerLayer<Together, HttpClassifier, Heard>,
    service: Service,
    stock: Dependency,
    heard: Heard,
}

impl Opened {
    async fn new() -> Self {
        let (stock, heard) = (Dependency::that(Does::Answers(500)), Heard::default());
        let layer = layer(Trip::default()).observe(heard.clone());
        let service = layer.layer(stock.clone());
        calls(&service, 11).await;
        assert!(is_open(&layer.handle()));
        tokio::time::advance(secs(1) + ms(1)).await;
        Self { layer, service, stock, heard }
    }
}

fn layer(trip: Trip) -> CircuitBreakerLayer {
    CircuitBreakerLayer::new(trip).dice(Dice::seeded(7))
}

fn open(breaker: &Breaker, settings: &Settings, now: Instant, seed: u64) -> Change {
    let mut failing = (0..10).map(|_| {
        let (permit, _) = breaker.admit(settings, now).unwrap();
        fail(breaker, settings, permit, now, Pushback::None, seed)
    });
    failing.find_map(|change| change).unwrap()
}

fn fail(
    breaker: &Breaker,
    settings: &Settings,
    permit: Permit,
    now: Instant,
    pushback: Pushback,
    seed: u64,
) -> Option<Change> {
    let failure = Failure::new(FailureKind::Transient).pushback(pushback);
    let ended = Ended::With(Outcome::Failure(failure));
    breaker.settle(settings, permit, now, ended, &Dice::seeded(seed))
}

fn recover(breaker: &Breaker, settings: &Settings, now: Instant) {
    while breaker.state() != State::Closed {
        let (permit, _) = breaker.admit(settings, now).unwrap();
        breaker.settle(settings, permit, now, Ended::With(Outcome::Success), &Dice::seeded(1));
    }
}

#[test]
fn a_long_outage_is_forgotten_as_fast_as_a_short_one() {
    let (settings, dice, start) = (Settings::default(), Dice::seeded(7), time::now());
    let (breaker, mut now) = (Breaker::new(start), start);
    let ends = |now, outcome| {
        let (permit, _) = breaker.admit(&settings, now).unwrap();
        breaker.settle(&settings, permit, now, Ended::With(outcome), &dice)
    };
    let refused = Outcome::Failure(Failure::new(FailureKind::Unsent));
    let outage = |now| (0..5).find_map(|_| ends(now, refused)).unwrap().open_for;
    now += outage(now) + ms(1);
    for _ in 0..40 {
        now += ends(now, refused).unwrap().open_for + ms(1);
    }
    for _ in 0..31 {
        ends(now, Outcome::Success);
    }
    assert_eq!(breaker.state(), State::Closed);
    // Ten seconds at most before; two windows without an outage make it four.
    now += secs(20);
    let open_for = outage(now);
    assert!(open_for <= secs(4), "{open_for:?}");
}

#[test]
fn a_lease_may_be_as_long_as_can_be_said() {
    let mut settings = Settings::default();
    settings.lease = std::time::Duration::from_millis(u64::MAX);
    let (breaker, now, dice) = (Breaker::new(time::now()), time::now(), Dice::seeded(7));
    for _ in 0..5 {
        let (permit, _) = breaker.admit(&settings, now).unwrap();
        let refused = Outcome::Failure(Failure::new(FailureKind::Unsent));
        breaker.settle(&settings, permit, now, Ended::With(refused), &dice);
    }
    let later = now + secs(2);
    assert!(breaker.admit(&settings, later).is_ok());
    assert!(breaker.admit(&settings, later).is_err());
}
