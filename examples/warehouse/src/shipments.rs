//! Shipments, and who hears of orders.

use aplomb_core::Problem;
use aplomb_idempotency::{Claim, Recorded, Refusal};
use aplomb_idempotency_sqlx::sqlite::failed;
use aplomb_inventory_service::shell::Shell;
use aplomb_inventory_service::{Answer, BODY_MAX, Refused, bad_request, json, ok};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::middleware::Next;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

use crate::stock::{self, Shipment, Shipped};

/// Stands before the keys and turns poison away: an answer such as 422 would be kept with its key,
/// which must ship the order once somebody has mended it.
pub(crate) async fn gate(State(shell): State<Shell>, request: Request, next: Next) -> Answer {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_MAX).await.map_err(|_| {
        bad_request(format!("the body is over {BODY_MAX} bytes or broke off; send it again"))
    })?;
    if let Ok(order) = wanted(&body) {
        let mut reader = shell.database().reader().await?;
        if stock::is_refused(reader.at(), &order).await? {
            return Err(poison(&order).into());
        }
    }
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// `POST /shipments`: ships an order. The shipment and the record of the key commit together.
pub(crate) async fn ship(
    State(shell): State<Shell>,
    claim: Claim,
    body: Bytes,
) -> Result<Recorded, Refusal> {
    let order = wanted(&body)?;
    shell.chaos().latency().await;
    let mut tx = shell.database().begin().await.map_err(failed)?;
    let response = match stock::ship(tx.at(), &order, claim.key()).await.map_err(failed)? {
        Shipped::Now(shipment) => created(&shipment),
        Shipped::Already(shipment) => already(&shipment).into_response(),
    };
    Ok(tx.record(&claim, response).await?)
}

/// `GET /shipments/{order_id}`.
pub(crate) async fn show(
    State(shell): State<Shell>,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    let order = name(path)?;
    shell.chaos().latency().await;
    let mut reader = shell.database().reader().await?;
    let shipment = stock::shipment_of(reader.at(), &order).await?.ok_or_else(|| {
        Problem::new("/problems/not-shipped", "no such shipment", StatusCode::NOT_FOUND)
            .detail("the order was not shipped, as far as is known here")
            .with("order_id", order.as_str())
    })?;
    Ok(ok(&shipment))
}

/// `PUT /analytics/orders/{order_id}`: hears of an order.
pub(crate) async fn hear(
    State(shell): State<Shell>,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Refused> {
    let order = name(path)?;
    let mut writer = shell.database().writer().await?;
    stock::note(writer.at(), &order).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn wanted(body: &[u8]) -> Result<String, Problem> {
    #[derive(Deserialize)]
    struct Wanted {
        order_id: String,
    }
    let wanted: Wanted = serde_json::from_slice(body)
        .map_err(|error| bad_request(format!("{error}; send {{\"order_id\"}}")))?;
    checked(wanted.order_id)
}

fn name(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    match path {
        Ok(Path(order)) => checked(order),
        Err(wrong) => Err(bad_request(wrong.body_text())),
    }
}

/// An order's name travels in a `Location`.
pub(crate) fn checked(order: String) -> Result<String, Problem> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !order.is_empty() && order.len() <= ORDER_MAX && order.bytes().all(fits) {
        return Ok(order);
    }
    let ask = format!("an order's name has 1 to {ORDER_MAX} letters, digits, '-', '_' and '.'");
    Err(bad_request(ask))
}

fn created(shipment: &Shipment) -> http::Response<Bytes> {
    let mut response = json(StatusCode::CREATED, shipment);
    let location = HeaderValue::try_from(format!("/shipments/{}", shipment.order_id));
    let location = location.expect("an order's name is letters, digits and marks");
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn already(shipment: &Shipment) -> Problem {
    Problem::new("/problems/already-shipped", "already shipped", StatusCode::CONFLICT)
        .detail("the order was shipped under another key; an order is shipped once")
        .with("order_id", shipment.order_id.as_str())
}

fn poison(order: &str) -> Problem {
    Problem::new(
        "/problems/cannot-be-shipped",
        "the order cannot be shipped",
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .detail("somebody has to mend the order; the same key ships it then")
    .with("order_id", order)
}

const ORDER_MAX: usize = 64;
