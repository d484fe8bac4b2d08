use std::sync::Arc;

use aplomb_chaos::Knobs;
use aplomb_core::Problem;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

use super::whole;
use crate::answer::{Answer, bad_request, ok};
use crate::inventory::App;
use crate::metrics::Metrics;

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> Answer {
    Ok(ok(&json!({ "status": "alive" })))
}

/// `GET /readyz`: 503 once it was told to stop.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Answer {
    if !app.is_stopping() {
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
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    match app.metrics.page() {
        Ok(page) => ([(header::CONTENT_TYPE, Metrics::MEDIA_TYPE)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// `GET /chaos`: the knobs as they stand.
pub(crate) async fn knobs(State(app): State<Arc<App>>) -> Answer {
    Ok(ok(&app.chaos.knobs()))
}

/// `PUT /chaos`: turns all knobs at once.
pub(crate) async fn turn(
    State(app): State<Arc<App>>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let body = whole(body)?;
    let Json(knobs) =
        Json::<Knobs>::from_bytes(&body).map_err(|wrong| bad_request(wrong.body_text()))?;
    app.chaos.set(knobs);
    Ok(ok(&app.chaos.knobs()))
}

/// Any other path.
pub(crate) async fn nowhere() -> http::Response<Body> {
    let problem =
        Problem::new("/problems/unknown-path", "there is nothing here", StatusCode::NOT_FOUND);
    problem.into_response()
}

/// Any other method on a path.
pub(crate) async fn not_so() -> http::Response<Body> {
    let problem = Problem::new(
        "/problems/unknown-method",
        "this path does not take that method",
        StatusCode::METHOD_NOT_ALLOWED,
    );
    problem.into_response()
}
