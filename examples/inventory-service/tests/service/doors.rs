//! The doors: how much is let in at a time.

use std::future::poll_fn;
use std::task::Poll;

use crate::support::{Answer, Ask, BACKOFFICE, Service, problem};
use aplomb_core::BoxError;
use aplomb_inventory_service::Doors;

#[tokio::test]
async fn a_full_service_says_so_before_it_looks_at_a_key() {
    let service = narrow(Some(Doors::new(1))).await;
    service.send(Ask::chaos(r#"{"latency_ms": 60000}"#)).await;
    let mut inside = Box::pin(service.send_from(HERE, look()));
    assert!(is_waiting(&mut inside).await);

    let ask = Ask::reserve("k", "1", "mug", 1);
    let answer = service.send(ask.clone()).await;
    assert_eq!(answer.problem(), problem(503, "overloaded"));
    assert!(answer.headers.contains_key("retry-after"));
    for path in ["/healthz", "/readyz", "/metrics", "/inventory/audit?sku=mug"] {
        assert_eq!(service.send(Ask::get(path)).await.status, 200, "{path}");
    }

    drop(inside);
    service.send(Ask::chaos("{}")).await;
    let made = service.send(ask).await;
    assert_eq!((made.status.as_u16(), made.is_replay()), (201, false));
    let page = service.metrics().await;
    for line in [
        r#"admission_rejected_total{dependency="",operation="any",reason="waited_too_long"} 1"#,
        r#"problem_answers_total{event="failed",operation="any",status="503"} 1"#,
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn without_doors_everybody_is_let_in() {
    let service = narrow(None).await;
    service.send(Ask::chaos(r#"{"latency_ms": 60000}"#)).await;
    let mut inside = Vec::new();
    for _ in 0..600 {
        let mut look = Box::pin(service.send_from(HERE, look()));
        assert!(is_waiting(&mut look).await);
        inside.push(look);
    }
}

#[tokio::test]
async fn the_doors_are_as_wide_as_they_are_told() {
    let service = narrow(Some(Doors::new(2))).await;
    service.send(Ask::chaos(r#"{"latency_ms": 60000}"#)).await;
    let (mut one, mut two) =
        (Box::pin(service.send_from(HERE, look())), Box::pin(service.send_from(HERE, look())));
    assert!(is_waiting(&mut one).await && is_waiting(&mut two).await);
    assert_eq!(service.send(look()).await.problem(), problem(503, "overloaded"));
}

#[tokio::test]
async fn what_a_black_hole_swallows_takes_no_place_and_does_nothing() {
    let service = narrow(Some(Doors::new(1))).await;
    let ask = Ask::reserve("k", "1", "mug", 1);
    service.send(Ask::chaos(r#"{"hang_rate": 1}"#)).await;
    let mut swallowed = Box::pin(service.send_from(HERE, ask.clone()));
    assert!(is_waiting(&mut swallowed).await);
    service.send(Ask::chaos("{}")).await;
    let made = service.send(ask).await;
    assert!(made.status == 201 && !made.is_replay());
    assert!(is_waiting(&mut swallowed).await, "nobody answers it any more");
}

async fn narrow(doors: Option<Doors>) -> Service {
    let service = Service::with(|config| config.doors = doors).await;
    let put = Ask::put("/products/mug", r#"{"stock":5}"#).by(BACKOFFICE);
    assert_eq!(service.send(put).await.status, 200);
    service
}

fn look() -> Ask {
    Ask::get("/products/mug/availability")
}

async fn is_waiting<F>(call: &mut std::pin::Pin<Box<F>>) -> bool
where
    F: Future<Output = Result<Answer, BoxError>>,
{
    poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await
}

const HERE: [u8; 4] = [127, 0, 0, 1];
