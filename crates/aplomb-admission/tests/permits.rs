//! Who holds the permit, and until when.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::convert::Infallible;
use std::sync::Arc;

use aplomb_admission::AdmissionLayer;
use aplomb_core::{HeldPermit, Permit};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::Notify;
use tower::{Layer, Service, ServiceExt, service_fn};

type Body = Full<Bytes>;

fn taken(request: &Request<Body>) -> Permit {
    HeldPermit::of(request.extensions()).unwrap().take().unwrap()
}

fn done() -> Response<Body> {
    Response::new(Body::default())
}

#[tokio::test(start_paused = true)]
async fn work_that_runs_on_keeps_its_permit() {
    let (layer, end) = (AdmissionLayer::new(1), Arc::new(Notify::new()));
    let handler = service_fn(|request: Request<Body>| {
        let (permit, end) = (taken(&request), Arc::clone(&end));
        async move {
            let work = async move {
                end.notified().await;
                drop(permit);
            };
            tokio::spawn(work).await.unwrap();
            Ok::<_, Infallible>(done())
        }
    });
    let mut service = layer.layer(handler);
    let mut call = Box::pin(service.ready().await.unwrap().call(Request::default()));
    let hung_up = tokio::time::timeout(std::time::Duration::from_millis(1), &mut call).await;
    assert!(hung_up.is_err());
    drop(call);
    assert_eq!(layer.handle().snapshot().running, 1, "the work goes on");
    end.notify_one();
    tokio::task::yield_now().await;
    assert_eq!(layer.handle().snapshot().running, 0);
}

#[tokio::test(start_paused = true)]
async fn work_that_needs_its_permit_no_longer_releases_it() {
    let layer = AdmissionLayer::new(1);
    let handle = layer.handle();
    let handler = service_fn(|request: Request<Body>| {
        let handle = handle.clone();
        async move {
            assert_eq!(handle.snapshot().running, 1);
            HeldPermit::of(request.extensions()).unwrap().release();
            assert_eq!(handle.snapshot().running, 0, "from here on it only waits");
            Ok::<_, Infallible>(done())
        }
    });
    layer.layer(handler).oneshot(Request::default()).await.unwrap();
    assert_eq!(handle.snapshot().running, 0);
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_held_until_the_head_of_the_answer() {
    let layer = AdmissionLayer::new(1);
    let service = layer.layer(service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(done()) }));
    let response = service.oneshot(Request::default()).await.unwrap();
    assert_eq!(layer.handle().snapshot().running, 0, "the body goes at its reader's pace");
    drop(response);
}

#[tokio::test(start_paused = true)]
async fn a_permit_outlives_no_panic() {
    let layer = AdmissionLayer::new(1);
    let panics = service_fn(|request: Request<Body>| async move {
        assert!(request.uri().path() == "/well", "a handler's own fault");
        Ok::<_, Infallible>(done())
    });
    let service = layer.layer(panics);
    let get = |path| Request::get(path).body(Body::default()).unwrap();
    assert!(tokio::spawn(service.clone().oneshot(get("/ill"))).await.unwrap_err().is_panic());
    assert_eq!(layer.handle().snapshot().running, 0);
    service.oneshot(get("/well")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_route_with_a_limit_of_its_own_keeps_the_routers_permit_too() {
    let (router, route) = (AdmissionLayer::new(10), AdmissionLayer::new(1));
    let (kept, handle) = (Arc::new(std::sync::Mutex::new(None)), router.handle());
    let handler = service_fn(|request: Request<Body>| {
        *kept.lock().unwrap() = Some(taken(&request));
        async { Ok::<_, Infallible>(done()) }
    });
    router.layer(route.layer(handler)).oneshot(Request::default()).await.unwrap();
    let running = || (handle.snapshot().running, route.handle().snapshot().running);
    assert_eq!(running(), (1, 1));
    kept.lock().unwrap().take();
    assert_eq!(running(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_route_whose_answer_is_there_leaves_the_router_its_own_permit() {
    let (router, route) = (AdmissionLayer::new(10), AdmissionLayer::new(1));
    let (router_handle, route_handle) = (router.handle(), route.handle());
    let handler = route.layer(service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(done()) }));
    let between = service_fn(|request: Request<Body>| {
        let (handler, router, route) = (handler.clone(), &router_handle, &route_handle);
        async move {
            let answer = handler.oneshot(request).await;
            let running = (router.snapshot().running, route.snapshot().running);
            assert_eq!(running, (1, 0), "what stands between them still works");
            answer
        }
    });
    router.layer(between).oneshot(Request::default()).await.unwrap();
    assert_eq!(router_handle.snapshot().running, 0);
}
