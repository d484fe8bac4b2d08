//! Each call has one owner of its retries; whoever is not stands down.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use std::io;

use aplomb_core::{BoxError, NotRetried, Ratio, Reason, owner};
use aplomb_retry::{Budget, ExhaustionLayer, RetryEvent, RetryLayer, Terms};
use common::{Act, Heard, Script, layer, request};
use http::{Method, Request, Response};
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn two_layers_in_one_process_do_not_multiply() {
    let (stock, heard) = (Script::always(Act::Answer(503)), Heard::default());
    let client = ServiceBuilder::new()
        .layer(layer().observe(heard.clone()))
        .layer(layer())
        .service(stock.clone());
    let response = client.oneshot(request(Method::GET)).await.unwrap();
    assert_eq!(stock.sends(), 3);
    assert_eq!(reason(&response), Reason::Attempts, "the truer reason is the inner one's");
    assert!(matches!(
        heard.events()[..],
        [RetryEvent::Refused { reason: Reason::OwnedElsewhere, .. }]
    ));
}

#[tokio::test(start_paused = true)]
async fn an_outer_layer_that_knows_about_keys_keeps_what_needs_its_knowledge() {
    let stock = Script::new([Act::Answer(503)]);
    let client =
        ServiceBuilder::new().layer(layer().honours_keys()).layer(layer()).service(stock.clone());
    let response = client.oneshot(common::keyed(Method::POST)).await.unwrap();
    assert_eq!((response.status().as_u16(), stock.sends()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn a_layer_stands_down_for_an_owner_named_for_its_own_dependency() {
    for (claim, sends) in [("order-api@stock", 1), ("order-api@ships", 3), ("mesh@stock", 3)] {
        let stock = Script::always(Act::Answer(503));
        let mut passed_on = request(Method::GET);
        passed_on.headers_mut().insert(owner::RETRY_OWNER, claim.parse().unwrap());
        let mesh = layer().owner("mesh").layer(stock.clone());
        let response = mesh.oneshot(passed_on).await.unwrap();
        assert_eq!(stock.sends(), sends, "{claim}");
        assert_eq!(reason(&response) == Reason::OwnedElsewhere, sends == 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_names_itself_on_what_it_sends() {
    let stock = Script::new([]);
    layer().owner("order-api").layer(stock.clone()).oneshot(request(Method::GET)).await.unwrap();
    assert_eq!(stock.arrivals()[0].headers[owner::RETRY_OWNER], "order-api@stock");
}

#[tokio::test(start_paused = true)]
async fn headers_from_outside_only_ever_take_retries_away() {
    let stock = Script::always(Act::Header(503, "x-should-retry", "true"));
    let mut forged = request(Method::POST);
    for (name, value) in [("x-envoy-attempt-count", "0"), ("x-retry-owner", "me@nobody")] {
        forged.headers_mut().insert(name, value.parse().unwrap());
    }
    layer().layer(stock.clone()).oneshot(forged).await.unwrap();
    assert_eq!(stock.sends(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_says_when_the_retries_below_it_are_exhausted() {
    for (below, says) in [(503, Some("false")), (501, None), (200, None)] {
        let client = layer().layer(Script::always(Act::Answer(below)));
        let handler = ServiceBuilder::new().layer(ExhaustionLayer::new()).service(service_fn(
            move |_: Request<()>| {
                let client = client.clone();
                async move {
                    let response = client.oneshot(request(Method::GET)).await?;
                    Ok::<_, BoxError>(passed_on(&response))
                }
            },
        ));
        let response = handler.oneshot(Request::new(())).await.unwrap();
        let said = response.headers().get(owner::SHOULD_RETRY);
        assert_eq!(said.map(|value| value.to_str().unwrap()), says, "below it: {below}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_degraded_answer_is_an_answer() {
    let client = layer().layer(Script::always(Act::Answer(503)));
    let handler = service_fn(move |_: Request<()>| {
        let client = client.clone();
        async move {
            client.oneshot(request(Method::GET)).await.unwrap();
            Ok::<_, std::convert::Infallible>(Response::new(()))
        }
    });
    let response = ExhaustionLayer::new().layer(handler).oneshot(Request::new(())).await.unwrap();
    assert!(response.headers().get(owner::SHOULD_RETRY).is_none());
}

#[tokio::test(start_paused = true)]
async fn three_hops_send_three_times_and_not_twenty_seven() {
    // Budgets that never refuse: what stops the hops above is ownership alone.
    let rich = || RetryLayer::new(Budget::new(Terms::earning(Ratio::ONE).cap(1_000)));
    let stock = Script::always(Act::Answer(503));
    let hop = |below: Below| {
        let client = rich().layer(below);
        ExhaustionLayer::new().layer(service_fn(move |request: Request<common::Body>| {
            let client = client.clone();
            // What crosses a network: status and headers.
            async move { client.oneshot(request).await.map(|response| passed_on(&response)) }
        }))
    };
    let middle = hop(below(stock.clone()));
    let top = rich().layer(hop(below(middle)));
    for call in 1..=10 {
        top.clone().oneshot(request(Method::GET)).await.unwrap();
        assert_eq!(stock.sends(), 3 * call);
    }
}

type Below = BoxCloneSyncService<Request<common::Body>, Response<common::Body>, io::Error>;

fn below<S>(service: S) -> Below
where
    S: Service<Request<common::Body>, Response = Response<common::Body>, Error = BoxError>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    Below::new(service.map_err(io::Error::other))
}

fn passed_on(response: &Response<common::Body>) -> Response<common::Body> {
    let mut passed = Response::new(common::Body::default());
    *passed.status_mut() = response.status();
    passed.headers_mut().clone_from(response.headers());
    passed
}

fn reason(response: &Response<common::Body>) -> Reason {
    response.extensions().get::<NotRetried>().unwrap().reason
}
