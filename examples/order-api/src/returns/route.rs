use std::sync::Arc;
use std::time::Duration;

use aplomb_core::{Problem, retry_after};
use aplomb_idempotency::{Claim, CompleteError, Recorded, Refusal};
use aplomb_idempotency_sqlx::sqlite::failed;
use axum::body::Bytes;
use axum::extract::State;
use http::{Response, StatusCode};
use serde_json::json;

use super::ask::{Ask, Wire};
use super::table::Written;
use super::{Return, Returns};
use crate::answer;
use crate::caller::Caller;
use crate::desk::Desk;
use crate::inventory::By;
use crate::openapi::ProblemDetails;
use crate::order::{OrderId, Status};
use crate::service::App;

/// `POST /returns`: gives the stock of a line back, or goes on with the return that has this key.
///
/// It is written down first, Inventory is asked next, and its end commits together with the record
/// of the key. While Inventory does not answer, it is refused for now: it stands written down, and
/// the reconciler or the same key finishes it.
#[utoipa::path(
    post,
    path = "/returns",
    params(("idempotency-key" = String, Header, description = "the same key is answered with the same answer")),
    request_body = Wire,
    responses(
        (status = 201, description = "the stock is back", body = Object),
        (status = 400, description = "no key, or a body that is no return", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "no such order or line", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 409, description = "not confirmed, or returned under another key", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 410, description = "the key was used too long ago", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "the key was used for another return", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "written down and not done yet; see Retry-After", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn give_back(
    State(app): State<Arc<App>>,
    claim: Claim,
    caller: Caller,
    body: Bytes,
) -> Result<Recorded, Refusal> {
    let ask = Ask::parse(&body).map_err(|bad| answer::bad_request(bad.to_string()))?;
    let order = OrderId::parse(&ask.order).ok_or_else(answer::unknown_order)?;
    tokio::select! {
        returned = work(&app.desk, &claim, order, ask.line, caller) => returned,
        // Another claim goes on with the return. Giving back twice is giving back once.
        () = claim.lost() => Err(CompleteError::Lost.into()),
    }
}

async fn work(
    desk: &Desk,
    claim: &Claim,
    order: OrderId,
    line: u32,
    caller: Caller,
) -> Result<Recorded, Refusal> {
    let written = desk.returns.write_down(claim.key(), order, line, desk.now(), desk.hold()).await;
    let returned = taken(written.map_err(failed)?)?;
    let on = desk.errand(By::Customer, caller);
    if !desk.give_back(&returned, &on).await {
        desk.postpone(&returned).await.map_err(failed)?;
        return Err(not_yet(desk));
    }
    let mut tx = desk.returns.write().await.map_err(failed)?;
    Returns::settle_in(tx.at(), &returned, desk.now()).await.map_err(failed)?;
    Ok(tx.record(claim, document(&returned)).await?)
}

fn taken(written: Written) -> Result<Return, Problem> {
    match written {
        Written::Down(returned) => Ok(returned),
        Written::UnknownOrder => Err(answer::unknown_order()),
        Written::UnknownLine => Err(unknown_line()),
        Written::NotConfirmed(status) => Err(not_confirmed(status)),
        Written::ByAnother => Err(by_another()),
        Written::KeyReused => Err(answer::return_key_reused()),
    }
}

fn document(returned: &Return) -> Response<Bytes> {
    let Return { order, line, .. } = returned;
    let document = json!({
        "order_id": order.to_string(),
        "line": line.number,
        "sku": line.sku,
        "quantity": line.quantity,
        "reservation_id": line.hold.reservation(),
        "status": "returned",
    });
    answer::json(StatusCode::CREATED, &document)
}

fn unknown_line() -> Problem {
    Problem::new("/problems/unknown-line", "the order has no such line", StatusCode::NOT_FOUND)
}

fn not_confirmed(status: Status) -> Problem {
    Problem::new(
        "/problems/order-not-confirmed",
        "only what was confirmed can be returned",
        StatusCode::CONFLICT,
    )
    .with("order_status", status.as_str())
}

fn by_another() -> Problem {
    Problem::new(
        "/problems/already-returned",
        "this line was returned under another key",
        StatusCode::CONFLICT,
    )
}

fn not_yet(desk: &Desk) -> Refusal {
    let problem = Problem::new(
        "/problems/return-pending",
        "the return is written down and not done yet",
        StatusCode::SERVICE_UNAVAILABLE,
    );
    let problem = problem.detail("it will be done; ask again with the same key to hear of it");
    let mut response = problem.into_response();
    retry_after::write(response.headers_mut(), RETRY_AFTER, &mut desk.dice.roll());
    Refusal::try_from(response).expect("a 503 is an error")
}

/// As long as an operation to Inventory may last: its circuit has probed by then.
const RETRY_AFTER: Duration = Duration::from_secs(3);
