use std::sync::Arc;

use aplomb_core::{Principal, Problem};
use aplomb_idempotency::{Claim, Recorded, Recovered, Refusal};
use aplomb_idempotency_sqlx::sqlite;
use axum::Extension;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::name;
use crate::answer::{Answer, json, ok, out_of_stock, unknown_reservation, unknown_sku};
use crate::database::Tx;
use crate::db::{self, Claimant, Reserved};
use crate::domain::{Reservation, Wanted};
use crate::inventory::App;
use crate::points::Point;
use crate::shell::ProblemDetails;

/// `POST /inventory/reservations`: holds stock for an order line.
///
/// The stock, the row, the audit event and the record of the key commit together or not at all.
#[utoipa::path(
    post,
    path = "/inventory/reservations",
    params(("Idempotency-Key" = String, Header, max_length = 255,
        description = "names this piece of work; the same on every attempt")),
    request_body = Wanted,
    responses(
        (status = 201, description = "held, now or by an earlier attempt", body = Reservation,
            headers(("Location" = String), ("Idempotent-Replayed" = String))),
        (status = 400, description = "no key or a bad one, or a body that cannot be read", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 401, description = "no token, or an unknown one", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "no such product", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "out of stock; or under way, then see Retry-After; or held under another key", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 410, description = "the key is older than it is remembered", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "the key was used for something else", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "overloaded, or the database did not answer; see Retry-After", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn reserve(
    State(app): State<Arc<App>>,
    claim: Claim,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Recorded, Refusal> {
    let (tx, response) = effect(&app, &claim, &headers, &body).await?;
    let recorded = tx.record(&claim, response).await?;
    app.points.reach(Point::AfterRecord, &headers);
    Ok(recorded)
}

/// The same where the records of keys lie elsewhere: the rows commit, and the layer records the
/// answer after that. What happens when the process dies in between, [`recover`] says.
pub(crate) async fn reserve_apart(
    State(app): State<Arc<App>>,
    claim: Claim,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Body>, Refusal> {
    let (tx, response) = effect(&app, &claim, &headers, &body).await?;
    tx.commit().await.map_err(|error| in_doubt(&error))?;
    app.points.reach(Point::AfterRecord, &headers);
    Ok(response.map(Body::from))
}

/// What became of a claim whose process died: the business key knows.
pub(crate) async fn recover(app: &App, caller: &str, key: &str) -> Recovered {
    let found = async {
        let mut reader = app.shell.database().reader().await?;
        db::reserved_under(reader.at(), caller, key).await
    };
    match found.await {
        Ok(Some(reservation)) => Recovered::Applied(created(&reservation)),
        Ok(None) => Recovered::NotApplied,
        Err(error) => {
            tracing::warn!(%error, "what became of a claim could not be read");
            Recovered::DontKnow
        }
    }
}

/// The effect, not yet committed, and what is answered once it is.
async fn effect(
    app: &App,
    claim: &Claim,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Tx, Response<Bytes>), Refusal> {
    let wanted = Wanted::parse(body)?;
    app.shell.chaos().latency().await;
    app.points.reach(Point::BeforeEffect, headers);
    let mut tx = app.shell.database().begin().await.map_err(failed)?;
    let by = Claimant { caller: claim.caller(), key: claim.key(), fence: claim.fence().get() };
    let response = match db::reserve(tx.at(), &wanted, by).await.map_err(failed)? {
        Reserved::Held(reservation) => created(&reservation),
        Reserved::OutOfStock { available } => out_of_stock(&wanted, available).into_response(),
        Reserved::Already { reservation_id } => already(&wanted, reservation_id).into_response(),
        Reserved::UnknownSku => {
            tx.rollback().await.map_err(failed)?;
            return Err(unknown_sku(&wanted.sku).into());
        }
    };
    app.points.reach(Point::AfterEffect, headers);
    Ok((tx, response))
}

/// `GET /inventory/reservations/{id}`.
#[utoipa::path(
    get,
    path = "/inventory/reservations/{id}",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "as it stands", body = Reservation),
        (status = 401, description = "no token, or an unknown one", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "no such reservation of the caller", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    let id = name(path)?;
    app.shell.chaos().latency().await;
    let mut reader = app.shell.database().reader().await?;
    let found = db::reservation(reader.at(), &id, principal.as_str()).await?;
    Ok(ok(&found.ok_or_else(unknown_reservation)?))
}

/// `DELETE /inventory/reservations/{id}`: gives the stock back, once.
#[utoipa::path(
    delete,
    path = "/inventory/reservations/{id}",
    params(("id" = String, Path)),
    responses(
        (status = 204, description = "given back, once, however often it is asked"),
        (status = 401, description = "no token, or an unknown one", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "no such reservation of the caller", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    let id = name(path)?;
    app.shell.chaos().latency().await;
    let mut tx = app.shell.database().begin().await?;
    let known = db::release(tx.at(), &id, principal.as_str()).await?;
    tx.commit().await?;
    if !known {
        return Err(unknown_reservation().into());
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn created(reservation: &Reservation) -> Response<Bytes> {
    let mut response = json(StatusCode::CREATED, reservation);
    let location = format!("/inventory/reservations/{}", reservation.id);
    let location = HeaderValue::try_from(location).expect("an id is printable ASCII");
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// The order line is held under another key. Whose it is, only its owner is told.
fn already(wanted: &Wanted, reservation_id: Option<String>) -> Problem {
    let problem = Problem::new(
        "/problems/already-reserved",
        "this order line was reserved under another key",
        StatusCode::CONFLICT,
    )
    .detail("an order line is reserved once; use its reservation, or another line")
    .with("order_id", wanted.order_id.as_str())
    .with("line", wanted.line);
    match reservation_id {
        Some(id) => problem.with("reservation_id", id),
        None => problem,
    }
}

/// Nobody knows whether the rows are there: a 500, about which the layer asks [`recover`].
fn in_doubt(error: &sqlx::Error) -> Refusal {
    tracing::error!(%error, "a commit is in doubt");
    Problem::new(
        "/problems/database",
        "the database did not answer",
        StatusCode::INTERNAL_SERVER_ERROR,
    )
    .into()
}

/// The transaction rolls back and the key is given back: the caller may come again.
fn failed(error: sqlx::Error) -> Refusal {
    tracing::error!(%error, "a reservation failed");
    sqlite::failed(error)
}
