//! Headers from outside the trust boundary: whatever stands in them, they only take retries away.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::time::Duration;

use aplomb_core::{Deadline, NotRetried, OperationClass, Ratio, Reason, owner, time};
use aplomb_retry::{Budgets, RetryLayer, Terms};
use common::{Act, Script, layer, request};
use http::{HeaderValue, Method};
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn a_huge_retry_after_ends_a_call_at_once_and_holds_nobody() {
    for (name, value) in [
        ("retry-after", "61"),
        ("retry-after", "31536000"),
        ("retry-after", "18446744073709551615"),
        ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ("grpc-retry-pushback-ms", "4294967295"),
    ] {
        let stock = Script::always(Act::Header(503, name, value));
        let begun = time::now();
        let client = layer().unlimited_total().layer(stock.clone());
        let response = client.oneshot(request(Method::GET)).await.unwrap();
        let why = response.extensions().get::<NotRetried>().unwrap().reason;
        assert_eq!((why, stock.sends()), (Reason::Time, 1), "{name}: {value}");
        assert_eq!(time::now(), begun, "{name}: {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_zero_leaves_one_send_and_a_deadline_of_a_year_lengthens_nothing() {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    for (left, fewest, most) in [(Duration::ZERO, 1, 1), (YEAR, 2, 50), (Duration::MAX, 2, 50)] {
        let stock = Script::always(Act::Answer(503));
        let begun = time::now();
        let mut inherits = request(Method::GET);
        inherits.extensions_mut().insert(Deadline::after(begun, left));
        let client = layer().max_attempts(1_000).total(Duration::from_secs(3));
        let response = client.layer(stock.clone()).oneshot(inherits).await.unwrap();
        assert!((fewest..=most).contains(&stock.sends()), "{left:?}: {}", stock.sends());
        assert!(time::now() - begun <= Duration::from_secs(3), "{left:?}");
        assert_eq!(response.extensions().get::<NotRetried>().unwrap().reason, Reason::Time);
    }
}

#[tokio::test(start_paused = true)]
async fn a_forged_owner_takes_away_the_retries_of_its_own_call_alone() {
    let client = layer().owner("order-api");
    let stock = Script::always(Act::Answer(503));
    let mut forged = request(Method::GET);
    for _ in 0..1_000 {
        forged.headers_mut().append(owner::RETRY_OWNER, HeaderValue::from_static("me@elsewhere"));
    }
    forged.headers_mut().append(owner::RETRY_OWNER, HeaderValue::from_static("me@stock"));
    client.layer(stock.clone()).oneshot(forged).await.unwrap();
    assert_eq!(stock.sends(), 1);

    client.layer(stock.clone()).oneshot(request(Method::GET)).await.unwrap();
    assert_eq!(stock.sends(), 1 + 3, "others have theirs");
}

#[tokio::test(start_paused = true)]
async fn a_forged_attempt_count_gives_and_takes_nothing() {
    for count in ["0", "2", "4294967295", "-1", "99999999999999999999", "many"] {
        let stock = Script::always(Act::Answer(503));
        let mut forged = request(Method::GET);
        forged.headers_mut().insert(owner::ATTEMPT_COUNT, count.parse().unwrap());
        let response = layer().layer(stock.clone()).oneshot(forged).await.unwrap();
        let note = response.extensions().get::<NotRetried>().unwrap();
        assert_eq!((stock.sends(), note.attempt.number()), (3, 3), "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn thousands_of_authorities_leave_a_known_one_its_budget() {
    let budgets = Budgets::new(Terms::earning(Ratio::percent(20)).cap(1));
    let retries = RetryLayer::new(budgets.clone());
    let own = budgets.of("stock", OperationClass::Read);
    let sent = async |uri: String| {
        let stock = Script::always(Act::Answer(503));
        let mut stranger = request(Method::GET);
        *stranger.uri_mut() = uri.parse().unwrap();
        retries.layer(stock.clone()).oneshot(stranger).await.unwrap();
        stock.sends()
    };
    for stranger in 0..3_000 {
        sent(format!("http://stranger-{stranger}/")).await;
    }
    assert_eq!(own.balance().to_string(), "1");
    assert_eq!(sent("http://stock/".to_owned()).await, 2);
    assert_eq!(sent("http://another-stranger/".to_owned()).await, 1, "they share what is spent");
}
