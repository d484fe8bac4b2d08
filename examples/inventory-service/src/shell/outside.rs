//! What every request passes first: names for it, a span, headers that no log shows, a count of
//! problems, smaller answers for whoever asks for them.

use aplomb_core::{Dice, IDEMPOTENCY_KEY, problem};
use aplomb_telemetry::OperationMetrics;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::{HeaderValue, header};
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{
    MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer,
};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::TraceLayer;

/// Around all routes, outside of what answers by a key: a replay has a name of its own, and an
/// answer is kept as it was made. `any` counts what is answered as a problem, whoever made it.
pub fn wear(router: Router, any: OperationMetrics) -> Router {
    // Whoever knows the key of a piece of work may learn what became of it.
    let secrets = [header::AUTHORIZATION, header::COOKIE, IDEMPOTENCY_KEY];
    router.layer(
        ServiceBuilder::new()
            .layer(SetSensitiveRequestHeadersLayer::new(secrets))
            .layer(SetRequestIdLayer::x_request_id(Names { dice: Dice::from_entropy() }))
            .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
            .layer(PropagateRequestIdLayer::x_request_id())
            .layer(CompressionLayer::new())
            .layer(from_fn_with_state(any, count_problems)),
    )
}

async fn count_problems(
    State(any): State<OperationMetrics>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind == problem::MEDIA_TYPE) {
        any.problem(response.status());
    }
    response
}

fn span(request: &Request) -> tracing::Span {
    let name = request.extensions().get::<RequestId>();
    let name = name.and_then(|name| name.header_value().to_str().ok()).unwrap_or_default();
    let path = request.uri().path();
    tracing::info_span!("request", method = %request.method(), path, request_id = name)
}

/// Names requests that come without a name.
#[derive(Clone)]
struct Names {
    dice: Dice,
}

impl MakeRequestId for Names {
    fn make_request_id<B>(&mut self, _: &http::Request<B>) -> Option<RequestId> {
        let mut rng = self.dice.roll();
        let name = format!("{:016x}{:016x}", rng.bits(), rng.bits());
        HeaderValue::try_from(name).ok().map(RequestId::new)
    }
}
