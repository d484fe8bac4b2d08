use std::sync::Arc;

use aplomb_core::{Principal, Problem};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use http::StatusCode;

use crate::answer::{Answer, json, out_of_stock, unknown_sku, whole};
use crate::domain::{Reservation, Wanted};
use crate::inventory::App;
use crate::legacy::{self, Reserved};
use crate::shell::ProblemDetails;

/// `POST /legacy/reservations`: holds stock for an order line, once more for every call that asks.
///
/// As with most servers, the work goes on when its caller has gone.
#[utoipa::path(
    post,
    path = "/legacy/reservations",
    request_body = Wanted,
    responses(
        (status = 201, description = "held, once more", body = Reservation),
        (status = 400, description = "the body cannot be read", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 401, description = "no token, or an unknown one", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "no such product", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "out of stock", body = ProblemDetails, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn reserve(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let wanted = Wanted::parse(&whole(body)?)?;
    let work = tokio::spawn(async move { hold(&app, &wanted, &principal).await });
    work.await.unwrap_or_else(|died| {
        tracing::error!(%died, "a reservation without a key was not finished");
        Err(not_finished().into())
    })
}

async fn hold(app: &App, wanted: &Wanted, principal: &Principal) -> Answer {
    app.shell.chaos().latency().await;
    let mut tx = app.shell.database().begin().await?;
    let reservation = match legacy::reserve(tx.at(), wanted, principal.as_str()).await? {
        Reserved::Held(reservation) => reservation,
        Reserved::OutOfStock { available } => return Err(out_of_stock(wanted, available).into()),
        Reserved::UnknownSku => return Err(unknown_sku(&wanted.sku).into()),
    };
    tx.commit().await?;
    Ok(json(StatusCode::CREATED, &reservation).map(Body::from))
}

fn not_finished() -> Problem {
    Problem::new(
        "/problems/not-finished",
        "the work was not finished",
        StatusCode::INTERNAL_SERVER_ERROR,
    )
    .detail("whether stock is held, the audit knows")
}
