use aplomb_chaos::Knobs;
use aplomb_core::Problem;
use aplomb_telemetry::Metrics;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use serde_json::json;
use utoipa::{OpenApi, ToSchema};

use super::Shell;
use crate::answer::{Answer, BODY_MAX, bad_request, ok, whole};
use crate::auth::loopback_only;

/// What every service answers, for its document.
#[derive(OpenApi)]
#[openapi(paths(healthz, readyz, metrics, knobs, turn))]
struct Common;

/// The document of what every service answers, to be merged with its own.
pub fn document() -> utoipa::openapi::OpenApi {
    Common::openapi()
}

/// What every refusal and failure is answered as (RFC 9457).
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes what `Problem` writes")]
pub struct ProblemDetails {
    /// Its stable kind, such as `/problems/out-of-stock`.
    #[schema(format = "uri-reference")]
    r#type: String,
    title: String,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time, and what would mend it.
    detail: Option<String>,
}

/// Adds what every service answers to `own`.
pub(super) fn add(shell: &Shell, own: Router) -> Router {
    let near = Router::new()
        .route("/chaos", get(knobs).put(turn))
        .route_layer(from_fn(loopback_only))
        .with_state(shell.clone());
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(shell.clone())
        .merge(near)
        .merge(own)
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(BODY_MAX))
}

/// `GET /healthz`: the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    responses((status = 200, description = "the process answers")),
    security(())
)]
async fn healthz() -> Answer {
    Ok(ok(&json!({ "status": "alive" })))
}

/// `GET /readyz`: 503 once it was told to stop.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, description = "it takes work"),
        (status = 503, description = "it stops", content_type = "application/problem+json"),
    ),
    security(())
)]
async fn readyz(State(shell): State<Shell>) -> Answer {
    if !shell.is_stopping() {
        return Ok(ok(&json!({ "status": "ready" })));
    }
    let problem = Problem::new(
        "/problems/stopping",
        "this process is stopping",
        StatusCode::SERVICE_UNAVAILABLE,
    );
    Err(problem.detail("send new work to another one").into())
}

/// `GET /metrics`.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "what is counted", content_type = Metrics::MEDIA_TYPE)),
    security(())
)]
async fn metrics(State(shell): State<Shell>) -> Response {
    match shell.metrics().encode() {
        Ok(page) => ([(header::CONTENT_TYPE, Metrics::MEDIA_TYPE)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// `GET /chaos`: the knobs as they stand.
#[utoipa::path(
    get,
    path = "/chaos",
    responses((status = 200, description = "the knobs as they stand; from this machine alone")),
    security(())
)]
async fn knobs(State(shell): State<Shell>) -> Answer {
    Ok(ok(&shell.chaos().knobs()))
}

/// `PUT /chaos`: turns all knobs at once.
#[utoipa::path(
    put,
    path = "/chaos",
    request_body(content = Object, description = "the knobs; what is left out is 0"),
    responses(
        (status = 200, description = "turned, all at once; from this machine alone"),
        (status = 400, description = "a knob is unknown or turned too far",
            content_type = "application/problem+json"),
    ),
    security(())
)]
async fn turn(State(shell): State<Shell>, body: Result<Bytes, BytesRejection>) -> Answer {
    let body = whole(body)?;
    let Json(knobs) =
        Json::<Knobs>::from_bytes(&body).map_err(|wrong| bad_request(wrong.body_text()))?;
    shell.chaos().set(knobs);
    Ok(ok(&shell.chaos().knobs()))
}

/// Any other path.
async fn nowhere() -> http::Response<Body> {
    let problem =
        Problem::new("/problems/unknown-path", "there is nothing here", StatusCode::NOT_FOUND);
    problem.into_response()
}

/// Any other method on a path.
async fn not_so() -> http::Response<Body> {
    let problem = Problem::new(
        "/problems/unknown-method",
        "this path does not take that method",
        StatusCode::METHOD_NOT_ALLOWED,
    );
    problem.into_response()
}
