//! A service that wears every layer, has seen some trouble, and is asked for its metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb::{ProblemEvent, ProblemLayer};
use aplomb_admission::AdmissionLayer;
use aplomb_backoff::{Backoff, BackoffLayer};
use aplomb_circuit_breaker::{CircuitBreakerLayer, CircuitOpen, Trip};
use aplomb_core::{BoxError, DegradedKind, OperationClass, Ratio};
use aplomb_dead_letter::{DeadLetterLayer, MemorySink};
use aplomb_deadline::DeadlineLayer;
use aplomb_fallback::{Computed, FallbackLayer, Nothing};
use aplomb_idempotency::{IdempotencyLayer, KeyLayer, MemoryStore};
use aplomb_retry::{Budget, RetryLayer, Terms};
use aplomb_telemetry::Metrics;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use prometheus::Registry;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

/// The page of a service that wears every layer, after some trouble.
pub(crate) async fn page() -> String {
    let metrics = Metrics::register(&Registry::new(), None).unwrap();
    // Its series stand at zero from then on.
    let _ = metrics.policies();
    let stock = Arc::new(AtomicU32::new(1));
    let router = router(&metrics, inventory(&metrics, Arc::clone(&stock)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let client = reqwest::Client::new();
    let orders = format!("http://{address}/orders");
    let order = |key: u32, how: &'static str| {
        let key = format!("01890a5d-ac96-774b-bcce-b302099a{key:04}");
        let request = client.post(&orders).header("idempotency-key", key).header("x-how", how);
        let request = request.body("a mug");
        async move { request.send().await.unwrap().status() }
    };
    // The first answer of Inventory is lost, the second sale is the first one again.
    assert_eq!(order(1, "look").await, 200);
    assert_eq!(order(1, "look").await, 200);
    // Then it fails whatever it is asked: a shipment becomes a letter, the others are answered
    // otherwise, until the circuit opens.
    stock.store(u32::MAX, Ordering::Relaxed);
    assert_eq!(order(2, "ship").await, 503);
    for key in 3..13 {
        assert_eq!(order(key, "look").await, 200);
    }
    assert_eq!(order(13, "fail").await, 502);
    // A write that the circuit kept back was provably not acted on: the fallback may answer it.
    assert_eq!(order(14, "write").await, 200);
    let broken = client.get(format!("http://{address}/broken")).send().await.unwrap();
    assert_eq!(broken.status(), 503);
    client.get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap()
}

type Inventory = BoxCloneSyncService<Request<Full<Bytes>>, Answer, BoxError>;
type Answer = Response<aplomb_fallback::FallbackBody<Full<Bytes>>>;

/// The client's side.
fn inventory(metrics: &Metrics, failures: Arc<AtomicU32>) -> Inventory {
    let heard = metrics.dependency("inventory", "reserve");
    let budget = Budget::new(Terms::earning(Ratio::ONE).cap(100));
    metrics.watch_budget("inventory", "reserve", &budget);
    let bulkhead = AdmissionLayer::outbound(8);
    metrics.watch_admission("inventory", "reserve", &bulkhead.handle());
    let limited = Computed::new(DegradedKind::Approximate, |_| {
        Ok::<_, Nothing>(Response::new(Bytes::from_static(b"some")))
    });
    let trip = Trip::failure_ratio(Ratio::percent(90)).failures_in_a_row(10);
    let pace = BackoffLayer::new(Backoff::full(MILLI, MILLI)).after_failures(50);
    let fallback = ServiceBuilder::new()
        .layer(heard.call_layer())
        .layer(DeadLetterLayer::new(MemorySink::new()).observe(heard.clone()))
        .layer(FallbackLayer::new(limited).observe(heard.clone()));
    // Too short to wait for a probe of the circuit.
    let retry = RetryLayer::new(budget).total(Duration::from_millis(500)).honours_keys();
    let retry = retry.backoff(Backoff::full(MILLI, MILLI));
    let transport = ServiceBuilder::new()
        .layer(DeadlineLayer::total(Duration::from_secs(5)).observe(heard.clone()))
        .layer(KeyLayer::random())
        .layer(retry.keep_records().observe(heard.clone()))
        .layer(pace.observe(heard.clone()))
        .layer(bulkhead.observe(heard.clone()))
        .layer(CircuitBreakerLayer::new(trip).observe(heard.clone()))
        .layer(heard.attempt_layer())
        .layer(DeadlineLayer::attempt(Duration::from_secs(1)).observe(heard))
        .service(service_fn(move |_: Request<Full<Bytes>>| {
            let fails = failures
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            let status = if fails.is_ok() { 503 } else { 200 };
            let response = Response::builder().status(status).body(Full::<Bytes>::default());
            std::future::ready(response.map_err(BoxError::from))
        }));
    BoxCloneSyncService::new(fallback.service(transport))
}

/// The server's side.
fn router(metrics: &Metrics, inventory: Inventory) -> Router {
    let heard = metrics.operation("POST /orders");
    let admission = AdmissionLayer::new(16);
    metrics.watch_admission("", "POST /orders", &admission.handle());
    let answered = heard.clone();
    let problems = move |event: &ProblemEvent| match *event {
        ProblemEvent::Failed(status) => answered.problem(status),
        ProblemEvent::Unready(status) => answered.unready(status),
        _ => {}
    };
    let keys = IdempotencyLayer::new(MemoryStore::new()).global_scope("shop");
    let problems = ProblemLayer::new().observe(problems);
    let broken = problems.layer(service_fn(|_: axum::extract::Request| async {
        Err::<axum::response::Response, _>(CircuitOpen::new(MILLI))
    }));
    let layers = ServiceBuilder::new()
        .layer(problems)
        .layer(DeadlineLayer::inherit().observe(heard.clone()))
        .layer(admission.observe(heard.clone()))
        .layer(keys.observe(heard));
    let served = metrics.clone();
    Router::new()
        .route("/orders", post(order).layer(layers))
        .route_service("/broken", broken)
        .route("/metrics", get(async move || served.encode().unwrap()))
        .with_state(inventory)
}

/// Asks Inventory, as the request says.
async fn order(State(inventory): State<Inventory>, headers: HeaderMap) -> impl IntoResponse {
    let (method, class) = match headers["x-how"].as_bytes() {
        b"look" => (Method::GET, OperationClass::Read),
        b"ship" => (Method::POST, OperationClass::Deferred),
        b"fail" => return StatusCode::BAD_GATEWAY,
        _ => (Method::POST, OperationClass::KeyedWrite),
    };
    let mut request = Request::new(Full::from("a mug"));
    *request.method_mut() = method;
    *request.uri_mut() = "http://stock:7001/stock".parse().unwrap();
    request.extensions_mut().insert(class);
    request.headers_mut().insert("idempotency-key", headers["idempotency-key"].clone());
    match inventory.oneshot(request).await {
        Ok(response) => response.status(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

const MILLI: Duration = Duration::from_millis(1);
