//! What operators look at.

use aplomb_inventory_service::shell::Shell;
use aplomb_inventory_service::{Answer, bad_request, ok};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::shipments::checked;
use crate::stock;

/// The orders that are marked.
#[derive(Deserialize, Serialize)]
pub(crate) struct Marked {
    orders: Vec<String>,
}

/// `GET /poison`.
pub(crate) async fn poisoned(State(shell): State<Shell>) -> Answer {
    let mut reader = shell.database().reader().await?;
    let orders = stock::poisoned(reader.at()).await?;
    Ok(ok(&Marked { orders }))
}

/// `PUT /poison`: marks these orders and no others.
pub(crate) async fn poison(
    State(shell): State<Shell>,
    body: Result<Json<Marked>, JsonRejection>,
) -> Answer {
    let Json(Marked { orders }) = body.map_err(|wrong| bad_request(wrong.body_text()))?;
    if orders.len() > MARKS_MAX {
        return Err(bad_request(format!("mark {MARKS_MAX} orders at most")).into());
    }
    let orders = orders.into_iter().map(checked).collect::<Result<Vec<_>, _>>()?;
    let mut tx = shell.database().begin().await?;
    stock::poison(tx.at(), &orders).await?;
    tx.commit().await?;
    Ok(ok(&Marked { orders }))
}

/// `GET /audit`: shipments, counted.
pub(crate) async fn audit(State(shell): State<Shell>) -> Answer {
    let mut reader = shell.database().reader().await?;
    Ok(ok(&stock::figures(reader.at()).await?))
}

/// `GET /analytics`.
pub(crate) async fn analytics(State(shell): State<Shell>) -> Answer {
    let mut reader = shell.database().reader().await?;
    Ok(ok(&json!({ "orders": stock::noted(reader.at()).await? })))
}

const MARKS_MAX: usize = 1_000;
