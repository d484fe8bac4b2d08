//! What callers can do to a server by how many they are and by what they say of themselves.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aplomb_admission::AdmissionLayer;
use aplomb_core::{Dice, owner};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};

type Body = Full<Bytes>;

#[tokio::test(start_paused = true)]
async fn a_flood_of_callers_waits_in_a_line_of_bounded_length() {
    let layer = AdmissionLayer::new(LIMIT).waiters_max(WAITERS).dice(Dice::seeded(7));
    let handler = service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>());
    let service = layer.layer(handler);
    let mut context = Context::from_waker(Waker::noop());
    let (mut held, mut refused) = (Vec::new(), 0);
    for number in 0..10_000_u32 {
        let mut call = Box::pin(service.clone().oneshot(claims(number)));
        match call.as_mut().poll(&mut context) {
            Poll::Pending => held.push(call),
            Poll::Ready(answer) => {
                let answer = answer.unwrap();
                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
                refused += 1;
            }
        }
        assert!(layer.handle().snapshot().waiting <= WAITERS);
    }
    assert_eq!(layer.handle().snapshot().running, LIMIT);
    assert!(refused >= 10_000 - usize::try_from(LIMIT).unwrap() - 2 * WAITERS, "{refused}");
    held.clear();
    let snapshot = layer.handle().snapshot();
    assert_eq!((snapshot.running, snapshot.waiting), (0, 0), "who has gone holds nothing");
}

#[tokio::test(start_paused = true)]
async fn no_count_of_attempts_is_too_great_or_too_strange_to_be_served() {
    let layer = AdmissionLayer::new(LIMIT).dice(Dice::seeded(7));
    let handler = service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::from("done")))
    });
    let service = layer.layer(handler);
    for said in ["0", "1", "4294967295", "99999999999999999999", "-1", "many", ""] {
        let mut request = Request::new(Body::default());
        request.headers_mut().insert(owner::ATTEMPT_COUNT, said.parse().unwrap());
        let call = pin!(service.clone().oneshot(request));
        assert_eq!(call.await.unwrap().status(), StatusCode::OK, "{said:?}");
    }
}

/// A call that says of itself what it likes.
fn claims(number: u32) -> Request<Body> {
    let mut request = Request::new(Body::default());
    request.headers_mut().insert(owner::ATTEMPT_COUNT, (number % 5).into());
    request
}

const LIMIT: u32 = 4;
const WAITERS: usize = 64;
