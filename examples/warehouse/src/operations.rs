//! What operators look at, and the knobs.

use std::sync::Arc;

use aplomb_chaos::Knobs;
use aplomb_core::Problem;
use aplomb_inventory_service::{Refused, json};
use aplomb_telemetry::Metrics;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::shipments::{bad_request, checked};
use crate::stock;
use crate::warehouse::App;

type Answer = Result<Response, Refused>;

/// The orders that are marked.
#[derive(Deserialize, Serialize)]
pub(crate) struct Marked {
    orders: Vec<String>,
}

/// `GET /poison`.
pub(crate) async fn poisoned(State(app): State<Arc<App>>) -> Answer {
    let mut reader = app.database.reader().await?;
    let orders = stock::poisoned(reader.at()).await?;
    Ok(ok(&Marked { orders }))
}

/// `PUT /poison`: marks these orders and no others.
pub(crate) async fn poison(
    State(app): State<Arc<App>>,
    body: Result<Json<Marked>, JsonRejection>,
) -> Answer {
    let Json(Marked { orders }) = body.map_err(|wrong| bad_request(wrong.body_text()))?;
    if orders.len() > MARKS_MAX {
        return Err(bad_request(format!("mark {MARKS_MAX} orders at most")).into());
    }
    let orders = orders.into_iter().map(checked).collect::<Result<Vec<_>, _>>()?;
    let mut tx = app.database.begin().await?;
    stock::poison(tx.at(), &orders).await?;
    tx.commit().await?;
    Ok(ok(&Marked { orders }))
}

/// `GET /audit`: shipments, counted.
pub(crate) async fn audit(State(app): State<Arc<App>>) -> Answer {
    let mut reader = app.database.reader().await?;
    Ok(ok(&stock::figures(reader.at()).await?))
}

/// `GET /analytics`.
pub(crate) async fn analytics(State(app): State<Arc<App>>) -> Answer {
    let mut reader = app.database.reader().await?;
    Ok(ok(&json!({ "orders": stock::noted(reader.at()).await? })))
}

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> Response {
    ok(&json!({ "status": "alive" }))
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
    match app.metrics.encode() {
        Ok(page) => ([(header::CONTENT_TYPE, Metrics::MEDIA_TYPE)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// `GET /chaos`: the knobs as they stand.
pub(crate) async fn knobs(State(app): State<Arc<App>>) -> Response {
    ok(&app.chaos.knobs())
}

/// `PUT /chaos`: turns all knobs at once.
pub(crate) async fn turn(
    State(app): State<Arc<App>>,
    body: Result<Json<Knobs>, JsonRejection>,
) -> Answer {
    let Json(knobs) = body.map_err(|wrong| bad_request(wrong.body_text()))?;
    app.chaos.set(knobs);
    Ok(ok(&app.chaos.knobs()))
}

/// Any other path.
pub(crate) async fn nowhere() -> Refused {
    Problem::new("/problems/unknown-path", "there is nothing here", StatusCode::NOT_FOUND).into()
}

/// Any other method on a path.
pub(crate) async fn not_so() -> Refused {
    Problem::new(
        "/problems/unknown-method",
        "this path does not take that method",
        StatusCode::METHOD_NOT_ALLOWED,
    )
    .into()
}

fn ok(value: &impl Serialize) -> Response {
    json(StatusCode::OK, value).map(Body::from)
}

const MARKS_MAX: usize = 1_000;
