//! The layer honours tower's contract.

mod common;

use aplomb_core::DegradedKind;
use aplomb_fallback::{FallbackLayer, Fixed, Missed, Nothing};
use aplomb_testkit::{Clause, Contract};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::service_fn;

#[test]
fn a_fallback_with_nothing_to_say() {
    Contract::new("fallback, nothing", || FallbackLayer::new(service_fn(nothing))).check();
}

#[test]
fn a_fallback_that_answers() {
    Contract::new("fallback, fixed", || {
        let page = Response::builder().status(503).body("come back later".into()).unwrap();
        FallbackLayer::new(Fixed::new(DegradedKind::Approximate, page))
    })
    .answers_errors()
    .except(Clause::ResponsesPass, "a failure is what it stands in for")
    .check();
}

#[test]
fn a_fallback_that_only_observes() {
    Contract::new("fallback, observing", || {
        FallbackLayer::new(Fixed::new(DegradedKind::Approximate, Response::default()))
            .observe_only()
    })
    .check();
}

#[test]
fn a_fallback_that_hangs_is_dropped_with_its_call() {
    Contract::new("fallback, hanging", || {
        FallbackLayer::new(service_fn(|_: Request<Missed>| {
            std::future::pending::<Result<Response<Full<Bytes>>, Nothing>>()
        }))
    })
    .check();
}

#[cfg(feature = "last-good")]
#[test]
fn applications_of_a_fallback_share_what_it_keeps() {
    use aplomb_fallback::LastGood;
    use aplomb_testkit::{Act, Applied};

    let hour = std::time::Duration::from_secs(3_600);
    let last_good = move || FallbackLayer::last_good(LastGood::new(hour));
    Contract::new("fallback, last good", last_good)
        .requests(|_| common::get("http://probe.test/mugs"))
        .shares_state(|applied: Applied| async move {
            applied.probe().next([Act::OK, Act::UNAVAILABLE]);
            let (kept, served) = (applied.call().await?, applied.call().await?);
            if served.body() == kept.body() && served.headers().contains_key("age") {
                return Ok(());
            }
            Err(format!("{kept:?} was kept and {served:?} was served").into())
        })
        .check_only(Clause::StateIsShared);
    Contract::new("fallback, last good", last_good).check();
}

async fn nothing(_: Request<Missed>) -> Result<Response<Full<Bytes>>, Nothing> {
    Err(Nothing)
}
