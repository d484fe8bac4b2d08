use std::sync::Arc;

use aplomb_core::Principal;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};

use super::name;
use crate::answer::{Answer, ok, unknown_sku, whole};
use crate::auth::backoffice_only;
use crate::db;
use crate::domain::{Availability, Stock, check_name, parse_stock};
use crate::inventory::App;
use crate::shell::ProblemDetails;

/// `PUT /products/{sku}`: sets what is available.
#[utoipa::path(
    put,
    path = "/products/{sku}",
    params(("sku" = String, Path, min_length = 1, max_length = 64)),
    request_body = Stock,
    responses(
        (status = 200, description = "set", body = Availability),
        (status = 400, description = "the stock or the name is wrong", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 401, description = "no token, or an unknown one", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 403, description = "not the back office", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    path: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    backoffice_only(&principal)?;
    let sku = name(path)?;
    check_name("sku", &sku)?;
    let stock = parse_stock(&whole(body)?)?;
    app.shell.chaos().latency().await;
    let mut tx = app.shell.database().begin().await?;
    db::set_stock(tx.at(), &sku, stock, principal.as_str()).await?;
    let now = db::availability(tx.at(), &sku).await?;
    tx.commit().await?;
    Ok(ok(&now))
}

/// `GET /products/{sku}/availability`.
#[utoipa::path(
    get,
    path = "/products/{sku}/availability",
    params(("sku" = String, Path, min_length = 1, max_length = 64)),
    responses(
        (status = 200, description = "what is left", body = Availability),
        (status = 401, description = "no token, or an unknown one", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "no such product", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "overloaded; see Retry-After", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn availability(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    let sku = name(path)?;
    app.shell.chaos().latency().await;
    let mut reader = app.shell.database().reader().await?;
    let found = db::availability(reader.at(), &sku).await?;
    Ok(ok(&found.ok_or_else(|| unknown_sku(&sku))?))
}
