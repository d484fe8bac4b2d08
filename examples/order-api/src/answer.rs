//! What customers are answered.

use aplomb_core::Problem;
use aplomb_idempotency::problems::KEY_REUSED;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

pub(crate) use aplomb_inventory_service::{Refused, json};

use crate::order::{Order, OrderId, Status};

/// The answer to whoever placed this order.
pub(crate) fn placed(order: &Order) -> Response<Bytes> {
    let status = match order.status {
        Status::Confirmed => StatusCode::CREATED,
        Status::RejectedOutOfStock | Status::RejectedUnknownSku => {
            return rejected(order).into_response();
        }
        Status::Placing | Status::PendingInventoryConfirmation => StatusCode::ACCEPTED,
    };
    let mut response = json(status, &document(order));
    let location = HeaderValue::try_from(format!("/orders/{}", order.id));
    let location = location.expect("an order's name is letters, digits and hyphens");
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// The answer to whoever looks at this order.
pub(crate) fn shown(order: &Order) -> Response<Bytes> {
    json(StatusCode::OK, &document(order))
}

fn document(order: &Order) -> Value {
    let lines: Vec<_> = order
        .lines
        .iter()
        .map(|line| {
            json!({
                "line": line.number,
                "sku": line.sku,
                "quantity": line.quantity,
                "reservation_id": line.hold.reservation(),
            })
        })
        .collect();
    json!({
        "order_id": order.id.to_string(),
        "customer": order.customer,
        "status": order.status,
        "fulfilment": order.fulfilled,
        "lines": lines,
    })
}

fn rejected(order: &Order) -> Problem {
    let (kind, title, status) = if order.status == Status::RejectedUnknownSku {
        ("/problems/unknown-sku", "no such product", StatusCode::NOT_FOUND)
    } else {
        ("/problems/out-of-stock", "out of stock", StatusCode::CONFLICT)
    };
    Problem::new(kind, title, status)
        .detail("the order was rejected and nothing is reserved for it")
        .with("order_id", order.id.to_string())
        .with("order_status", order.status.as_str())
}

pub(crate) fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new("/problems/bad-request", "the request cannot be read", StatusCode::BAD_REQUEST)
        .detail(detail)
}

/// The key's record has gone, but its order is still there, and it is another one.
pub(crate) fn key_reused(of: OrderId) -> Problem {
    Problem::new(KEY_REUSED, "idempotency key reused", StatusCode::UNPROCESSABLE_ENTITY)
        .detail("this key was used for another order; choose a new key for a new order")
        .with("order_id", of.to_string())
}

/// The key's record has gone, but its return is still there, and it is another one.
pub(crate) fn return_key_reused() -> Problem {
    Problem::new(KEY_REUSED, "idempotency key reused", StatusCode::UNPROCESSABLE_ENTITY)
        .detail("this key was used for another return; choose a new key for a new return")
}

pub(crate) fn unknown_order() -> Problem {
    Problem::new("/problems/unknown-order", "no such order", StatusCode::NOT_FOUND)
}

pub(crate) fn inventory_unavailable() -> Problem {
    Problem::new(
        "/problems/inventory-unavailable",
        "availability is not known right now",
        StatusCode::SERVICE_UNAVAILABLE,
    )
    .detail("inventory did not answer; ask again later")
}
