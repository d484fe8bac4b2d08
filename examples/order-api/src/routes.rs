//! What each path does.

use std::sync::Arc;

use aplomb_core::{Observe, Problem, retry_after};
use aplomb_idempotency::{Claim, CompleteError, Recorded, Refusal};
use aplomb_idempotency_sqlx::sqlite::failed;
use aplomb_telemetry::Metrics;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode, header};
use serde_json::json;

use crate::answer::{self, Refused};
use crate::ask::{Ask, Wire};
use crate::caller::Caller;
use crate::desk::Desk;
use crate::inventory::By;
use crate::journal::{Entry, Step};
use crate::openapi::ProblemDetails;
use crate::order::{Order, OrderId};
use crate::policy;
use crate::service::App;

/// `POST /orders`: places an order, or goes on with the one that has this key.
///
/// The order is written down first, Inventory is asked next, and the order's status commits
/// together with the record of the key.
#[utoipa::path(
    post,
    path = "/orders",
    params(("idempotency-key" = String, Header, description = "the same key is answered with the same answer")),
    request_body = Wire,
    responses(
        (status = 201, description = "confirmed: every line is reserved", body = Object),
        (status = 202, description = "pending: the outcome is not known yet, see Location", body = Object),
        (status = 400, description = "no key, or a body that is no order", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "no such product; the order was rejected", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "out of stock, and the order was rejected; or the key is at work", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 410, description = "the key was used too long ago", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "the key was used for another order", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "too much to do; see Retry-After", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn place(
    State(app): State<Arc<App>>,
    claim: Claim,
    caller: Caller,
    body: Bytes,
) -> Result<Recorded, Refusal> {
    let ask = Ask::parse(&body).map_err(|bad| answer::bad_request(bad.to_string()))?;
    tokio::select! {
        placed = work(&app.desk, &claim, ask, caller) => placed,
        // Another claim goes on with the order. What we asked of Inventory has its keys.
        () = claim.lost() => Err(CompleteError::Lost.into()),
    }
}

async fn work(desk: &Desk, claim: &Claim, ask: Ask, caller: Caller) -> Result<Recorded, Refusal> {
    let on = desk.errand(By::Customer, caller);
    let mut order = write_down(desk, claim.key(), ask).await?;
    loop {
        let status = desk.carry(&mut order, &on).await.map_err(failed)?;
        let mut tx = desk.orders.write().await.map_err(failed)?;
        let settled = desk.settle_in(tx.at(), &mut order, status).await;
        if settled.map_err(failed)? {
            let recorded = tx.record(claim, answer::placed(&order)).await?;
            desk.fulfilment.tell(&order);
            if !order.status.is_terminal() {
                desk.chronicle.observe(&Entry::new(order.id, 0, "place", Step::Pending));
            }
            return Ok(recorded);
        }
        tx.rollback().await.map_err(failed)?;
        // The reconciler ended or refused it meanwhile; each can happen once, so this loop ends.
        desk.reread(&mut order).await.map_err(failed)?;
    }
}

/// The order of this key: a new one, or the one that was written down before a crash.
async fn write_down(desk: &Desk, key: &str, ask: Ask) -> Result<Order, Refusal> {
    let (now, id) = (desk.now(), OrderId::new(desk.now(), &mut desk.dice.roll()));
    let new = Order::new(id, ask.clone());
    let order = desk.orders.place(key, new, now, desk.hold()).await;
    let order = order.map_err(failed)?;
    if !order.is_for(&ask) {
        return Err(answer::key_reused(order.id).into());
    }
    Ok(order)
}

/// `GET /orders/{id}`.
#[utoipa::path(
    get,
    path = "/orders/{id}",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "how it stands", body = Object),
        (status = 404, description = "no such order", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    let order = app.order(path).await?;
    Ok(answer::shown(&order).map(Body::from))
}

/// `GET /orders/{id}/timeline`: what this process remembers of its way.
#[utoipa::path(
    get,
    path = "/orders/{id}/timeline",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "every attempt, wait and replay of it, and all of them in one sentence", body = Object),
        (status = 404, description = "no such order", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn timeline(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    let order = app.order(path).await?;
    let mut document = app.desk.chronicle.page(order.id).document();
    document["order_id"] = order.id.to_string().into();
    document["status"] = order.status.as_str().into();
    Ok(answer::json(StatusCode::OK, &document).map(Body::from))
}

impl App {
    async fn order(&self, path: Result<Path<String>, PathRejection>) -> Result<Order, Refused> {
        // A name that is no text is no order's name either.
        let id = path.ok().and_then(|Path(id)| OrderId::parse(&id));
        let id = id.ok_or_else(answer::unknown_order)?;
        let order = self.desk.orders.find(id).await?;
        Ok(order.ok_or_else(answer::unknown_order)?)
    }
}

/// `GET /products/{sku}/availability`: what Inventory says; while it says nothing, its last number
/// for a moment, and then that the number is not known.
#[utoipa::path(
    get,
    path = "/products/{sku}/availability",
    params(("sku" = String, Path, min_length = 1, max_length = 64)),
    responses(
        (status = 200, description = "the number; or the last one, with its age; or null and in words when neither is known", body = Object),
        (status = 400, description = "no name of a product", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "no such product", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "not known now", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn availability(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Ok(Path(sku)) = path else {
        return answer::bad_request("the name of the product is no text").into_response();
    };
    match app.desk.inventory.look(&sku, caller).await {
        Ok(answer) if matches!(answer.status().as_u16(), 200 | 400 | 404) => pass_on(answer),
        Ok(answer) => {
            tracing::warn!(status = %answer.status(), "availability is not known");
            unavailable(&app)
        }
        Err(error) => {
            tracing::warn!(%error, "availability is not known");
            unavailable(&app)
        }
    }
}

/// Status, type, body, and how old it is; the other headers were between Inventory and us.
fn pass_on(answer: http::Response<Bytes>) -> Response {
    let (from, body) = answer.into_parts();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = from.status;
    for name in [header::CONTENT_TYPE, header::CACHE_CONTROL, header::AGE, CACHE_STATUS] {
        if let Some(value) = from.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn unavailable(app: &App) -> Response {
    let mut response: Response = answer::inventory_unavailable().into_response();
    let wait = std::time::Duration::from_secs(1);
    retry_after::write(response.headers_mut(), wait, &mut app.desk.dice.roll());
    response
}

/// `GET /healthz`: the process answers.
#[utoipa::path(
    get,
    path = "/healthz",
    responses(
        (status = 200, description = "the process answers", body = Object),
    )
)]
pub(crate) async fn healthz() -> Response {
    answer::json(StatusCode::OK, &json!({ "status": "alive" })).map(Body::from)
}

/// `GET /readyz`: 503 once it was told to stop, or while its database does not answer.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, description = "it takes new work", body = Object),
        (status = 503, description = "it is stopping", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Refused> {
    if app.is_stopping() {
        let problem = Problem::new(
            "/problems/stopping",
            "this process is stopping",
            StatusCode::SERVICE_UNAVAILABLE,
        );
        return Err(problem.detail("send new work to another one").into());
    }
    app.desk.orders.ping().await?;
    Ok(answer::json(StatusCode::OK, &json!({ "status": "ready" })).map(Body::from))
}

/// `GET /metrics`.
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (status = 200, description = "in the text format of prometheus", body = String),
    )
)]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    match app.metrics.encode() {
        Ok(page) => ([(header::CONTENT_TYPE, Metrics::MEDIA_TYPE)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// `GET /policies`: what each operation may cost, and where that is written.
#[utoipa::path(
    get,
    path = "/policies",
    responses(
        (status = 200, description = "the policy in force of each operation", body = Object),
    )
)]
pub(crate) async fn policies(State(app): State<Arc<App>>) -> Response {
    let document = policy::document(app.desk.wire().in_force(), app.haste);
    answer::json(StatusCode::OK, &document).map(Body::from)
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

/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
