//! The ready stack, on each transport, through presets: every layer of it does there what it does
//! alone, and stands where the order says.

use std::time::Duration;

use aplomb::core::{Degraded, DegradedKind, IDEMPOTENCY_KEY, OperationClass, transport};
use aplomb::fallback::Fixed;
use aplomb::policy::{Key, Policy};
use aplomb::stack::Stack;

use crate::wire::{Script, Stock};

fn read() -> Policy {
    Policy::preset(OperationClass::Read).build().unwrap()
}

fn reserve() -> Policy {
    let key = Key::new("order line", Duration::from_secs(24 * 3600));
    Policy::preset(OperationClass::KeyedWrite).key(key).build().unwrap()
}

fn limited() -> Fixed {
    Fixed::new(DegradedKind::Approximate, http::Response::new("few".into()))
}

/// The keys under which requests came.
fn keys(stock: &Stock) -> Vec<Option<http::HeaderValue>> {
    stock.seen().iter().map(|(_, headers, _)| headers.get(IDEMPOTENCY_KEY).cloned()).collect()
}

/// A test for each layer, on one transport: `send!(stack, stock, method)` is the status that its
/// caller sees, or 0 for an error.
macro_rules! cells {
    ($send:ident) => {
        use super::*;

        #[tokio::test]
        async fn retry_sends_a_read_again_and_a_post_without_a_key_once() {
            let stock = Stock::plain([Script::Status(503)]).await;
            assert_eq!($send!(Stack::new(read()), stock, GET), 200);
            assert_eq!(stock.requests(), 2);
            let stock = Stock::plain([Script::Status(503)]).await;
            assert_eq!($send!(Stack::new(read()), stock, POST), 503);
            assert_eq!(stock.requests(), 1);
        }

        #[tokio::test]
        async fn key_is_stamped_once_for_all_attempts() {
            let stock = Stock::plain([Script::Status(503)]).await;
            assert_eq!($send!(Stack::new(reserve()), stock, POST), 200);
            let keys = keys(&stock);
            assert!(keys.len() == 2 && keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
        }

        #[tokio::test]
        async fn deadline_of_an_attempt_leaves_time_for_another() {
            let stock = Stock::plain([Script::Hang]).await;
            assert_eq!($send!(Stack::new(read()), stock, GET), 200);
            assert_eq!(stock.requests(), 2);
        }

        #[tokio::test]
        async fn deadline_in_total_ends_a_call_that_goes_on_hanging() {
            let stock = Stock::plain([Script::Hang, Script::Hang]).await;
            let seen = $send!(Stack::new(read()), stock, GET);
            assert!([0, 504].contains(&seen), "{seen}");
            assert_eq!(stock.requests(), 2);
        }

        #[tokio::test]
        async fn breaker_that_is_open_is_neither_retried_nor_paid() {
            let stock = Stock::plain([]).await;
            let stack = Stack::new(read());
            stack.breaker_handle().unwrap().force_open();
            let budget = stack.budget().unwrap();
            let seen = $send!(stack, stock, GET);
            assert!([0, 503].contains(&seen), "{seen}");
            assert_eq!((stock.requests(), budget.balance().to_string()), (0, "10".to_owned()));
        }

        #[tokio::test]
        async fn backoff_leaves_alone_who_asked_for_it() {
            let stock = Stock::plain([Script::Pause(60)]).await;
            let stack = Stack::new(read());
            assert_eq!($send!(stack.clone(), stock, GET), 503);
            let seen = $send!(stack, stock, GET);
            assert!([0, 503].contains(&seen), "{seen}");
            assert_eq!(stock.requests(), 1, "applications of one stack share its pace");
        }

        #[tokio::test]
        async fn fallback_answers_outside_an_open_breaker() {
            let stock = Stock::plain([]).await;
            let stack = Stack::new(read());
            stack.breaker_handle().unwrap().force_open();
            assert_eq!($send!(stack.fallback(limited()), stock, GET), 200);
            assert_eq!(stock.requests(), 0);
        }
    };
}

#[test]
fn the_docs_print_what_is_tested() {
    let printed = include_str!("../../../crates/aplomb/figures/stack.md").lines();
    let rows: Vec<Vec<&str>> =
        printed.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
    let (columns, rows) = (&rows[0][1..], &rows[2..]);
    let here = include_str!("stacks.rs");
    let applied = here.lines().filter(|line| *line == "    cells!(send);").count();
    assert_eq!(columns.len(), applied, "{columns:?}");
    for row in rows {
        let name = format!("async fn {}_", row[0].replace(' ', "_"));
        assert!(here.contains(&name), "{name}");
        assert!(row[1..].iter().all(|cell| *cell == "✓"), "{row:?}");
    }
    assert_eq!(rows.len(), 7);
}

mod around_reqwest {
    macro_rules! send {
        ($stack:expr, $stock:expr, $method:ident) => {{
            let client = $stack.reqwest(reqwest::Client::builder()).unwrap();
            let call = client.request(http::Method::$method, $stock.url()).send().await;
            call.map_or(0, |answer| answer.status().as_u16())
        }};
    }
    cells!(send);

    #[tokio::test]
    async fn an_error_of_reqwests_own_is_found_in_it() {
        let client = Stack::new(read()).reqwest(transport::reqwest()).unwrap();
        // Nobody listens there.
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = client.get(format!("http://{nobody}/")).send().await.unwrap_err();
        assert!(error.is_connect() && error.cause::<reqwest::Error>().is_some(), "{error}");
        let error = client.get("no url").send().await.unwrap_err();
        assert!(error.is_builder(), "{error}");
    }

    #[tokio::test]
    async fn a_fallbacks_answer_is_reqwests_and_says_what_it_is() {
        let stock = Stock::plain([Script::Status(503), Script::Status(503)]).await;
        let client = Stack::new(read()).fallback(limited()).reqwest(transport::reqwest()).unwrap();
        let answer = client.get(stock.url()).send().await.unwrap();
        assert!(Degraded::of(answer.extensions()).is_some());
        assert_eq!(answer.url().as_str(), stock.url());
        assert_eq!(answer.text().await.unwrap(), "few");
    }

    #[tokio::test]
    async fn requests_go_by_the_policy_of_their_operation() {
        let stock = Stock::plain([Script::Status(503)]).await;
        let policies = aplomb::policy::PolicyFile::parse(
            "aplomb.toml",
            &format!(
                "version = 1\n[service]\nname = 'shop'\n[dependency.stock]\nauthority = '{}'\n\
                 [dependency.stock.operation.look]\nclass = 'read'\nmatch = 'GET /stock'\n\
                 [dependency.stock.operation.confirm]\nclass = 'confirm'\n",
                stock.address
            ),
        );
        let client = aplomb::reqwest::Client::new(policies.unwrap()).unwrap();
        let named = client.get(stock.url()).operation("stock.confirm").send().await.unwrap();
        assert_eq!((named.status().as_u16(), stock.requests()), (503, 1));
        let found = client.get(stock.url()).query(&[("shown", 5)]).send().await.unwrap();
        assert_eq!((found.status().as_u16(), stock.requests()), (200, 2));
        let error = client.delete(stock.url()).send().await.unwrap_err();
        assert!(error.cause::<aplomb::stack::NoOperation>().is_some(), "{error}");
    }
}

mod around_a_hyper_client {
    use bytes::Bytes;
    use http_body_util::Full;
    use hyper_util::rt::TokioExecutor;
    use tower::{Layer, ServiceExt};

    macro_rules! send {
        ($stack:expr, $stock:expr, $method:ident) => {{
            let client = $stack.layer(transport::hyper(TokioExecutor::new()).build_http());
            let request = http::Request::builder().method("GET").uri($stock.url());
            let mut request = request.body(Full::<Bytes>::from("a mug")).unwrap();
            *request.method_mut() = http::Method::$method;
            let call = crate::layers::fits_axum(client).oneshot(request).await;
            call.map_or(0, |answer| answer.status().as_u16())
        }};
    }
    cells!(send);
}

/// On a server the work inside the stack is a call to the stock, so that each run of it counts.
mod on_a_server {
    use axum::body::Body;
    use http::{Request, Response};
    use hyper_util::rt::TokioExecutor;

    use super::transport;

    pub(super) async fn forward(
        uri: http::Uri,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, aplomb::core::BoxError> {
        *request.uri_mut() = uri;
        let client = transport::hyper(TokioExecutor::new()).build_http();
        Ok(client.request(request).await?.map(Body::new))
    }
}

mod on_a_router {
    use axum::Router;
    use axum::body::Body;
    use http::{Request, Response};
    use tower::{ServiceBuilder, service_fn};

    use super::on_a_server::forward;

    macro_rules! send {
        ($stack:expr, $stock:expr, $method:ident) => {{
            let uri: http::Uri = $stock.url().parse().unwrap();
            let service = ServiceBuilder::new()
                .layer(aplomb::ProblemLayer::new())
                .map_response(|answer: Response<_>| answer.map(Body::new))
                .layer($stack)
                .service(service_fn(move |request: Request<Body>| forward(uri.clone(), request)));
            let address = crate::wire::serve_router(Router::new().fallback_service(service)).await;
            let mut request = crate::wire::get(address);
            *request.method_mut() = http::Method::$method;
            crate::wire::ask(request).await.unwrap().status
        }};
    }
    cells!(send);
}

mod on_a_hyper_server {
    use axum::body::Body;
    use http::{Request, Response};
    use tower::{ServiceBuilder, service_fn};

    use super::on_a_server::forward;

    macro_rules! send {
        ($stack:expr, $stock:expr, $method:ident) => {{
            let uri: http::Uri = $stock.url().parse().unwrap();
            let service = ServiceBuilder::new()
                .layer(aplomb::ProblemLayer::new())
                .map_response(|answer: Response<_>| answer.map(Body::new))
                .map_request(|request| Request::map(request, Body::new))
                .layer($stack)
                .service(service_fn(move |request: Request<Body>| forward(uri.clone(), request)));
            let mut request = crate::wire::get(crate::wire::serve(service).await);
            *request.method_mut() = http::Method::$method;
            crate::wire::ask(request).await.unwrap().status
        }};
    }
    cells!(send);
}
