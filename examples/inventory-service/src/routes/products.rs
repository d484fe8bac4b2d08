use std::sync::Arc;

use aplomb_core::Principal;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};

use super::{name, whole};
use crate::answer::{Answer, ok, unknown_sku};
use crate::auth::backoffice_only;
use crate::db;
use crate::domain::{check_name, parse_stock};
use crate::inventory::App;

/// `PUT /products/{sku}`: sets what is available.
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
    app.chaos.latency().await;
    let mut tx = app.database.begin().await?;
    db::set_stock(tx.at(), &sku, stock, principal.as_str()).await?;
    let now = db::availability(tx.at(), &sku).await?;
    tx.commit().await?;
    Ok(ok(&now))
}

/// `GET /products/{sku}/availability`.
pub(crate) async fn availability(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    let sku = name(path)?;
    app.chaos.latency().await;
    let mut reader = app.database.reader().await?;
    let found = db::availability(reader.at(), &sku).await?;
    Ok(ok(&found.ok_or_else(|| unknown_sku(&sku))?))
}
