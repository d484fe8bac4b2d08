//! The last good answer: which is kept, how long it is served, what evicts it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_core::{Condition, Degraded, DegradedKind, NotBefore, Principal, cause};
use aplomb_fallback::{
    Computed, Evict, FallbackEvent, FallbackLayer, LastGood, OrElse, Unanswered,
};
use bytes::Bytes;
use common::{
    Answer, Asked, Events, Stock, answer, answer_with, down, get, head, header, ms, seconds, send,
    text, with,
};
use http::{Method, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::time::sleep;
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn a_fresh_answer_is_served_as_it_was_with_its_age() {
    let (stock, events) =
        (Stock::says(|_| answer_with(200, "etag", "\"5\"", "5")), Events::default());
    let layer = FallbackLayer::last_good(LastGood::new(seconds(2))).observe(events.clone());
    let service = layer.layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    stock.is_down();
    sleep(ms(1_500)).await;
    let served = send(&service, get("/mugs")).await.unwrap();
    assert_eq!(
        (served.status().as_u16(), text(&served), head(&served, "etag")),
        (200, "5", "\"5\"")
    );
    assert_eq!(head(&served, "age"), "1");
    let status = "\"aplomb\"; fwd=bypass; fwd-status=503; ttl=0; detail=upstream";
    assert_eq!(head(&served, "cache-status"), status);
    assert!(!served.headers().contains_key("warning"));
    assert_eq!(Degraded::of(served.extensions()), None);
    let (condition, age) = (Condition::Upstream, Some(ms(1_500)));
    assert_eq!(events.take(), [FallbackEvent::Used { condition, kind: None, age }]);
}

#[tokio::test(start_paused = true)]
async fn a_stale_answer_is_served_where_old_is_safe_and_says_so() {
    let (stock, events) = (Stock::says(|_| answer(200, "5")), Events::default());
    let last_good = LastGood::new(seconds(2)).stale_for(seconds(10)).name("shop");
    let service = FallbackLayer::last_good(last_good).observe(events.clone()).layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    stock.now_says(|_| Err(NotBefore::new(SECOND).into()));
    sleep(ms(9_500)).await;
    let served = send(&service, get("/mugs")).await.unwrap();
    assert_eq!((text(&served), head(&served, "age")), ("5", "9"));
    assert_eq!(head(&served, "cache-status"), "\"shop\"; hit; ttl=-8; detail=open");
    let stale = Degraded::new(DegradedKind::Stale, Condition::Open, "cache").age(ms(9_500));
    assert_eq!(Degraded::of(served.extensions()), Some(stale));
    let (condition, kind) = (Condition::Open, Some(DegradedKind::Stale));
    assert_eq!(events.take(), [FallbackEvent::Used { condition, kind, age: stale.age }]);
}

#[tokio::test(start_paused = true)]
async fn what_a_layer_inside_stood_in_for_evicts_nothing() {
    let (stock, last_good) = (Stock::says(|_| answer(200, "5")), LastGood::new(seconds(60)));
    let no_number =
        Computed::new(DegradedKind::Approximate, |_| Ok(Response::new("about five".into())));
    let inside = FallbackLayer::new(no_number).on(Condition::Upstream).layer(stock.clone());
    let service = FallbackLayer::last_good(last_good).layer(inside);
    send(&service, get("/mugs")).await.unwrap();
    stock.now_says(|_| answer(502, "broken"));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "about five");
    // The one inside has nothing to say to this.
    stock.now_says(|_| Err(NotBefore::new(SECOND).into()));
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "5");
}

#[tokio::test(start_paused = true)]
async fn without_a_word_that_old_is_safe_nothing_stale_is_served() {
    let stock = Stock::says(|_| answer(200, "5"));
    let service = FallbackLayer::last_good(LastGood::new(seconds(2))).layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    stock.is_down();
    sleep(seconds(2)).await;
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "5");
    sleep(ms(1)).await;
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
}

#[tokio::test(start_paused = true)]
async fn old_may_be_safe_for_some_requests_alone() {
    let stock = Stock::says(|_| answer(200, "5"));
    let last_good = LastGood::new(seconds(2))
        .stale_for(seconds(60))
        .safe_when(|request| request.uri().path() == "/pictures");
    let service = FallbackLayer::last_good(last_good).layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    send(&service, get("/pictures")).await.unwrap();
    stock.is_down();
    sleep(seconds(5)).await;
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
    assert_eq!(text(&send(&service, get("/pictures")).await.unwrap()), "5");
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_never_served() {
    let (stock, events) = (Stock::says(|_| answer(200, "5")), Events::default());
    let last_good = LastGood::new(seconds(2)).stale_for(seconds(10));
    let service = FallbackLayer::last_good(last_good).observe(events.clone()).layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    stock.is_down();
    sleep(ms(10_001)).await;
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
    let (condition, why) = (Condition::Upstream, Unanswered::Nothing);
    assert_eq!(events.take(), [FallbackEvent::Unanswered { condition, why }]);
}

#[tokio::test(start_paused = true)]
async fn the_age_that_an_answer_came_with_counts() {
    let stock = Stock::says(|_| answer_with(200, "age", "8", "5"));
    let last_good = LastGood::new(seconds(2)).stale_for(seconds(10));
    let service = FallbackLayer::last_good(last_good).layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    stock.is_down();
    let served = send(&service, get("/mugs")).await.unwrap();
    assert_eq!(head(&served, "age"), "8");
    assert!(Degraded::of(served.extensions()).is_some());
    sleep(ms(2_001)).await;
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_cache_control_is_obeyed() {
    let stock = Stock::says(|_| answer(200, "5"));
    let service = FallbackLayer::last_good(LastGood::new(seconds(60))).layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    stock.is_down();
    sleep(seconds(5)).await;
    for (said, answered) in [("no-cache", "down"), ("max-age=4", "down"), ("max-age=5", "5")] {
        let request = header(get("/mugs"), "cache-control", said);
        assert_eq!(text(&send(&service, request).await.unwrap()), answered, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_may_not_be_kept_are_not_and_take_older_ones_along() {
    for (name, value) in [("cache-control", "no-store"), ("set-cookie", "a=b"), ("vary", "x-mood")]
    {
        let stock = Stock::says(|_| answer(200, "5"));
        let service = FallbackLayer::last_good(LastGood::new(seconds(60))).layer(stock.clone());
        send(&service, get("/mugs")).await.unwrap();
        sleep(ms(1)).await;
        stock.now_says(move |_| answer_with(200, name, value, "4"));
        send(&service, get("/mugs")).await.unwrap();
        stock.is_down();
        assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_to_be_gone_is_not_shown() {
    for status in [404, 410, 403] {
        let stock = Stock::says(|_| answer(200, "5"));
        let service = FallbackLayer::last_good(LastGood::new(seconds(60))).layer(stock.clone());
        send(&service, get("/mugs")).await.unwrap();
        sleep(ms(1)).await;
        stock.now_says(move |_| answer(status, "gone"));
        send(&service, get("/mugs")).await.unwrap();
        stock.is_down();
        assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down", "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_caller_is_served_what_another_one_was_answered() {
    let stock = Stock::says(|request: &Asked| {
        let token = request.headers()["authorization"].to_str().unwrap().to_owned();
        answer_with(200, "cache-control", "private", &token)
    });
    let service = FallbackLayer::last_good(LastGood::new(seconds(60))).layer(stock.clone());
    let of = |token| header(get("/me"), "authorization", token);
    send(&service, of("ann")).await.unwrap();
    stock.is_down();
    assert_eq!(text(&send(&service, of("ann")).await.unwrap()), "ann");
    assert_eq!(text(&send(&service, of("bob")).await.unwrap()), "down");
    assert_eq!(text(&send(&service, get("/me")).await.unwrap()), "down");
    let mut principal = of("ann");
    principal.extensions_mut().insert(Principal::new("carol"));
    assert_eq!(text(&send(&service, principal).await.unwrap()), "down");
}

#[tokio::test(start_paused = true)]
async fn one_answer_for_all_callers_is_never_a_private_one() {
    for (control, answered) in [("private", "down"), ("max-age=5", "5")] {
        let stock = Stock::says(move |_| answer_with(200, "cache-control", control, "5"));
        let last_good = LastGood::new(seconds(60)).shared();
        let service = FallbackLayer::last_good(last_good).layer(stock.clone());
        send(&service, header(get("/mugs"), "authorization", "ann")).await.unwrap();
        stock.is_down();
        let bobs = header(get("/mugs"), "authorization", "bob");
        assert_eq!(text(&send(&service, bobs).await.unwrap()), answered);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_cap_passes_and_is_not_kept() {
    for is_known in [true, false] {
        let stock = Stock::says(|_| answer(200, "12345"));
        let last_good = LastGood::new(seconds(60)).body_cap(4);
        let service = FallbackLayer::last_good(last_good).layer(
            stock.clone().map_response(move |it| it.map(|body| Lengthless { body, is_known })),
        );
        assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "12345");
        stock.is_down();
        assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_not_read_to_its_end_is_not_kept() {
    let stock = Stock::says(|_| answer(200, "5"));
    let service = FallbackLayer::last_good(LastGood::new(seconds(60))).layer(stock.clone());
    drop(service.clone().oneshot(get("/mugs")).await.unwrap());
    stock.is_down();
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_body_broke_is_not_kept() {
    let layer = FallbackLayer::last_good(LastGood::new(seconds(60)));
    let breaks = layer.layer(tower::service_fn(|_: Asked| async {
        let frames = [Ok(Frame::data(Bytes::from("5"))), Err("it broke")];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        Ok::<_, aplomb_core::BoxError>(Response::new(body))
    }));
    let mut body = breaks.oneshot(get("/mugs")).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok() && body.frame().await.unwrap().is_err());
    // Some readers ask once more.
    assert!(body.frame().await.is_none());
    let fails = layer.layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&fails, get("/mugs")).await.unwrap()), "down");
}

#[tokio::test(start_paused = true)]
async fn a_write_evicts_what_it_may_have_changed_for_everybody() {
    let lost =
        || -> Answer { Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()) };
    let refused =
        || -> Answer { Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()) };
    let ends: [(fn() -> Answer, bool); 7] = [
        (|| answer(200, ""), true),
        (|| answer(303, ""), true),
        (|| answer(500, ""), true),
        (lost, true),
        (|| answer(409, ""), false),
        (refused, false),
        (|| Err(NotBefore::new(SECOND).into()), false),
    ];
    for (end, evicts) in ends {
        let stock = Stock::says(|_| answer(200, "5"));
        let service = FallbackLayer::last_good(LastGood::new(seconds(60))).layer(stock.clone());
        let of = |token| header(get("http://stock/mugs"), "authorization", token);
        send(&service, of("ann")).await.unwrap();
        send(&service, of("bob")).await.unwrap();
        stock.now_says(move |_| end());
        let _ = send(&service, with(Method::POST, "http://STOCK/mugs")).await;
        stock.is_down();
        for token in ["ann", "bob"] {
            let served = send(&service, of(token)).await.unwrap();
            assert_eq!(text(&served), if evicts { "down" } else { "5" }, "{:?}", end());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_write_names_on_its_own_host_is_evicted_too() {
    for (name, value, evicts) in [
        ("location", "/mugs", true),
        ("content-location", "http://stock/mugs", true),
        ("location", "http://other/mugs", false),
    ] {
        let stock = Stock::says(|_| answer(200, "5"));
        let service = FallbackLayer::last_good(LastGood::new(seconds(60))).layer(stock.clone());
        send(&service, get("http://stock/mugs")).await.unwrap();
        stock.now_says(move |_| answer_with(201, name, value, ""));
        send(&service, with(Method::POST, "http://stock/deliveries")).await.unwrap();
        stock.is_down();
        let served = send(&service, get("http://stock/mugs")).await.unwrap();
        assert_eq!(text(&served), if evicts { "down" } else { "5" }, "{name}: {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_caller_went_away_evicts_too() {
    let stock = Stock::says(|_| answer(200, "5"));
    let layer = FallbackLayer::last_good(LastGood::new(seconds(60)));
    let service = layer.layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    let hangs = layer.layer(tower::service_fn(|_: Asked| std::future::pending::<Answer>()));
    let write = send(&hangs, with(Method::POST, "/mugs"));
    assert!(tokio::time::timeout(ms(1), write).await.is_err());
    stock.is_down();
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_was_on_its_way_during_a_write_is_not_kept() {
    let layer = FallbackLayer::last_good(LastGood::new(seconds(60)));
    let slow = layer.layer(tower::service_fn(|_: Asked| async {
        sleep(ms(10)).await;
        answer(200, "before the write")
    }));
    let quick = layer.layer(Stock::says(|_| answer(200, "")));
    let (read, ()) = tokio::join!(send(&slow, get("/mugs")), async {
        sleep(ms(5)).await;
        send(&quick, with(Method::PUT, "/mugs")).await.unwrap();
    });
    assert_eq!(text(&read.unwrap()), "before the write");
    let fails = layer.layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&fails, get("/mugs")).await.unwrap()), "down");
}

#[tokio::test(start_paused = true)]
async fn an_older_answer_that_comes_late_does_not_replace_a_newer_one() {
    let layer = FallbackLayer::last_good(LastGood::new(seconds(60)));
    let slow = layer.layer(tower::service_fn(|_: Asked| async {
        sleep(ms(10)).await;
        answer(200, "older")
    }));
    let quick = layer.layer(Stock::says(|_| answer(200, "newer")));
    let (older, newer) = tokio::join!(send(&slow, get("/mugs")), async {
        sleep(ms(5)).await;
        send(&quick, get("/mugs")).await
    });
    assert_eq!((text(&older.unwrap()), text(&newer.unwrap())), ("older", "newer"));
    let fails = layer.layer(Stock::says(|_| down()));
    assert_eq!(text(&send(&fails, get("/mugs")).await.unwrap()), "newer");
}

#[tokio::test(start_paused = true)]
async fn the_handle_evicts_a_target_a_prefix_or_everything() {
    let evictions: [(Eviction, [&str; 3]); 4] = [
        (|it| it.evict(&http::Uri::from_static("http://a/mugs/1")), ["down", "5", "5"]),
        (|it| it.evict(&http::Uri::from_static("/mugs/1")), ["down", "5", "down"]),
        (|it| it.evict_prefix("/mugs"), ["down", "down", "down"]),
        (|it| it.evict_prefix("a/mugs"), ["down", "down", "5"]),
    ];
    let uris = ["http://a/mugs/1", "http://a/mugs/2", "http://b/mugs/1"];
    for (evict, left) in evictions {
        let (stock, last_good) = (Stock::says(|_| answer(200, "5")), LastGood::new(seconds(60)));
        let service = FallbackLayer::last_good(last_good.clone()).layer(stock.clone());
        for uri in uris {
            send(&service, get(uri)).await.unwrap();
        }
        evict(&last_good);
        stock.is_down();
        for (uri, left) in uris.into_iter().zip(left) {
            assert_eq!(text(&send(&service, get(uri)).await.unwrap()), left, "{uri}");
        }
        last_good.evict_all();
        assert_eq!(text(&send(&service, get(uris[2])).await.unwrap()), "down");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sold_out_answer_to_one_request_evicts_another_target() {
    let last_good = LastGood::new(seconds(60)).evict_when(|seen| {
        let sku = seen.headers.get("x-sold-out").and_then(|sku| sku.to_str().ok());
        match sku.filter(|_| seen.status == 409) {
            Some(sku) => Evict::Uri(format!("/products/{sku}").parse().unwrap()),
            None => Evict::Nothing,
        }
    });
    let stock = Stock::says(|_| answer(200, "1 left"));
    let service = FallbackLayer::last_good(last_good).layer(stock.clone());
    send(&service, get("http://stock/products/mug")).await.unwrap();
    send(&service, get("http://stock/products/cup")).await.unwrap();
    stock.now_says(|_| answer_with(409, "x-sold-out", "mug", "sold out"));
    let reserve = with(Method::POST, "http://stock/reservations");
    assert_eq!(text(&send(&service, reserve).await.unwrap()), "sold out");
    stock.is_down();
    let mug = send(&service, get("http://stock/products/mug")).await.unwrap();
    let cup = send(&service, get("http://stock/products/cup")).await.unwrap();
    assert_eq!((text(&mug), text(&cup)), ("down", "1 left"));
}

#[tokio::test(start_paused = true)]
async fn when_the_last_number_is_too_old_availability_is_limited() {
    let last_good = LastGood::new(seconds(2));
    let limited = Computed::new(DegradedKind::Approximate, |_| {
        Ok(Response::new(r#"{"available":null,"degraded":true}"#.into()))
    });
    let layer = FallbackLayer::new(OrElse::new(last_good.clone(), limited)).keeps(last_good);
    let stock = Stock::says(|_| answer(200, r#"{"available":5}"#));
    let service = layer.layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    stock.is_down();
    sleep(seconds(2)).await;
    let number = send(&service, get("/mugs")).await.unwrap();
    assert_eq!((text(&number), head(&number, "age")), (r#"{"available":5}"#, "2"));
    sleep(seconds(1)).await;
    let limited = send(&service, get("/mugs")).await.unwrap();
    assert_eq!(text(&limited), r#"{"available":null,"degraded":true}"#);
    assert_eq!(head(&limited, "cache-control"), "no-store");
    let degraded = Degraded::of(limited.extensions()).unwrap();
    assert_eq!((degraded.kind, degraded.source), (DegradedKind::Approximate, "computed"));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded_in_answers_and_in_bytes() {
    let kept = |last_good: LastGood, body: String| async move {
        let stock = Stock::says(move |_| answer(200, body.clone()));
        let service = FallbackLayer::last_good(last_good.clone()).layer(stock);
        for number in 0..500 {
            let mut request = get("/");
            *request.uri_mut() = format!("/mugs/{number}").parse().unwrap();
            send(&service, request).await.unwrap();
        }
        last_good.size()
    };
    let (answers, _) = kept(LastGood::new(SECOND).entries(20), "5".into()).await;
    assert_eq!(answers, 20);
    let (answers, bytes) = kept(LastGood::new(SECOND).bytes(100_000), "x".repeat(10_000)).await;
    assert!((8..=9).contains(&answers) && bytes <= 100_000, "{answers} in {bytes}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_degraded_already_is_not_kept() {
    let stock = Stock::says(|_| {
        let mut response = answer(200, "approximately 5").unwrap();
        let degraded = Degraded::new(DegradedKind::Approximate, Condition::Open, "inside");
        response.extensions_mut().insert(degraded);
        Ok(response)
    });
    let service = FallbackLayer::last_good(LastGood::new(seconds(60))).layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    stock.is_down();
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
}

#[tokio::test(start_paused = true)]
async fn a_write_is_never_answered_with_something_kept() {
    let stock = Stock::says(|_| answer(200, "5"));
    let service = FallbackLayer::last_good(LastGood::new(seconds(60))).layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    stock.now_says(|_| Err(NotBefore::new(SECOND).into()));
    let error = send(&service, with(Method::POST, "/mugs")).await.unwrap_err();
    assert!(cause::<NotBefore>(&*error).is_some());
}

#[tokio::test(start_paused = true)]
async fn observing_decides_and_answers_nothing_and_keeps_on_keeping() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let last_good = LastGood::new(seconds(60));
    let observe = FallbackLayer::last_good(last_good.clone()).observe_only();
    let observe = observe.observe(move |event: &FallbackEvent| hears.lock().unwrap().push(*event));
    let stock = Stock::says(|_| answer(200, "5"));
    let service = observe.layer(stock.clone());
    send(&service, get("/mugs")).await.unwrap();
    stock.is_down();
    assert_eq!(text(&send(&service, get("/mugs")).await.unwrap()), "down");
    send(&service, with(Method::POST, "/orders")).await.unwrap();
    let condition = Condition::Upstream;
    let would = [FallbackEvent::WouldAsk { condition }, FallbackEvent::Kept { condition }];
    assert_eq!(*heard.lock().unwrap(), would);
    let enforces = FallbackLayer::last_good(last_good).layer(stock);
    assert_eq!(text(&send(&enforces, get("/mugs")).await.unwrap()), "5");
}

/// A body that may not say how long it is.
struct Lengthless {
    body: Full<Bytes>,
    is_known: bool,
}

impl Body for Lengthless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_known { self.body.size_hint() } else { SizeHint::default() }
    }
}

type Eviction = fn(&LastGood);

const SECOND: Duration = Duration::from_secs(1);
